"""``pychat user``: manage the accounts in a store, with or without a running server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pychat.cli.credentials.password import WAYS, ask_password, can_ask, given_password
from pychat.cli.operator.auditing import Audit, audit_option
from pychat.cli.settings.files import default_store
from pychat.cli.settings.options import SettingsCommand, option, password_options, source_of

if TYPE_CHECKING:
    from pychat.server.store import Store
    from pychat.server.store.records import Account

T = TypeVar("T")

store_option = option(
    "--store",
    default=default_store,
    metavar="ADDRESS",
    show_default="the user's data folder",
    help="The store of the server: sqlite:///path/to/chat.db or mongodb://host/database.",
)


@click.group()
def user() -> None:
    """Manage the accounts in a server's store.

    The server may be running. Changes take effect at once.
    """


@user.command(cls=SettingsCommand)
@store_option
@option("--alias", default="", metavar="NAME", help="The name shown beside the id.")
@password_options
@audit_option
@click.argument("id")
def add(
    store: str,
    alias: str,
    password_file: str | None,
    password_command: str | None,
    audit_log: Path | None,
    id: str,
) -> None:
    """Create an account."""
    require_valid_id(id, "ID")
    _check_alias(alias)
    audit = Audit(audit_log, store)
    password = _new_password(id, password_file, password_command)

    async def make() -> None:
        from pychat.server.store import AlreadyExists
        from pychat.visible import shown_name

        async with opened(store, create=True) as opened_store:
            try:
                await opened_store.create_account(
                    id, shown_name(alias, id), hashed(password), int(time.time() * 1000)
                )
            except AlreadyExists:
                raise click.ClickException(f"the id {id} is taken") from None

    run(make())
    audit.note("account made", id=id)
    tell(f"Created the account {id}.")


@user.command(cls=SettingsCommand)
@store_option
@password_options
@audit_option
@click.argument("id")
def passwd(
    store: str,
    password_file: str | None,
    password_command: str | None,
    audit_log: Path | None,
    id: str,
) -> None:
    """Set an account's password.

    Revokes all login tokens of the account.
    """
    audit = Audit(audit_log, store)
    password = _new_password(id, password_file, password_command)

    async def change() -> None:
        async with opened(store) as opened_store:
            account = await existing(opened_store, id)
            await opened_store.update_account(account.key, password_hash=hashed(password))
            sessions = await opened_store.login_tokens(account.key)
            await opened_store.revoke_login_tokens(
                account.key, [session.id for session in sessions]
            )

    run(change())
    audit.note("password changed", id=id)
    tell(f"Changed the password of {id}.")


@user.command(cls=SettingsCommand)
@store_option
@audit_option
@click.argument("id")
def disable(store: str, audit_log: Path | None, id: str) -> None:
    """Disable an account. Its messages stay. Prints the rooms that it owns."""
    from pychat.client.safetext import safe_text

    audit = Audit(audit_log, store)
    owned = run(_set_disabled(store, id, True))
    audit.note("id disabled", id=id)
    tell(f"Disabled {id}.")
    if owned:
        rooms = ", ".join(safe_text(f"#{room}", multiline=False) for room in owned)
        tell(f"{id} owns {rooms}. An admin can transfer public rooms: pychat room transfer.")


@user.command(cls=SettingsCommand)
@store_option
@audit_option
@click.argument("id")
def enable(store: str, audit_log: Path | None, id: str) -> None:
    """Enable a disabled account."""
    audit = Audit(audit_log, store)
    run(_set_disabled(store, id, False))
    audit.note("id enabled", id=id)
    tell(f"Enabled {id}.")


@user.command(cls=SettingsCommand)
@store_option
@option("--revoke", metavar="DEVICE", help="Revoke this login token, or 'all'.")
@option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
@audit_option
@click.argument("id")
def devices(
    store: str, revoke: str | None, as_lines: bool, audit_log: Path | None, id: str
) -> None:
    """List or revoke the login tokens of an account."""
    audit = Audit(None if revoke is None else audit_log, store)

    async def look() -> None:
        from pychat.cli.output.results import print_sessions

        async with opened(store) as opened_store:
            account = await existing(opened_store, id)
            found = await opened_store.login_tokens(account.key)
            if revoke is not None:
                ids = [s.id for s in found if revoke in ("all", s.id)]
                if not ids and revoke != "all":
                    raise click.ClickException(f"{id} has no login {revoke}")
                await opened_store.revoke_login_tokens(account.key, ids)
                audit.note("logins ended", id=id, logins=len(ids))
                tell(f"Ended {len(ids)} {'login' if len(ids) == 1 else 'logins'} of {id}.")
                return
        print_sessions(found, as_json=as_lines)

    run(look())


@user.command("list", cls=SettingsCommand)
@store_option
@option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
def list_(store: str, as_lines: bool) -> None:
    """List the accounts.

    Prints a table on a terminal, otherwise lines of id, alias, state and last login, separated by
    tabs.
    """

    async def collect() -> None:
        from pychat.cli.output.results import print_accounts

        async with opened(store) as opened_store:
            accounts = [account async for account in opened_store.all_accounts()]
        print_accounts(accounts, as_json=as_lines)

    run(collect())


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command on the store and return its result.

    Raises ClickException with the store's error.
    """
    from pychat.server.store import InvalidStoreAddress, StoreError

    try:
        return asyncio.run(main)
    except InvalidStoreAddress as error:
        raise click.UsageError(f"{source_of('store')}: {error}.") from None
    except StoreError as error:
        raise click.ClickException(str(error)) from None


@user.command(cls=SettingsCommand)
@store_option
@audit_option
@click.argument("id")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export(store: str, audit_log: Path | None, id: str, file: Path) -> None:
    """Write what the store has of a person to a file, for that person.

    FILE is a new tar archive: lines of JSON with the account, its devices, conversations, messages
    and reactions, and the files that were sent. Messages of others, passwords and tokens are left
    out. The server may be running.
    """
    audit = Audit(audit_log, store)
    run(_export(store, id, file))
    audit.note("account exported", id=id)


async def _export(address: str, id: str, file: Path) -> None:
    from collections import Counter

    import msgspec

    from pychat.cli.operator.export import lines_first, new_file
    from pychat.cli.output.progress import counting
    from pychat.server.store.transfer.archive import write_archive
    from pychat.server.store.transfer.lines import FileLine
    from pychat.server.store.transfer.person import person_lines

    lost: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    files: list[FileLine] = []
    async with opened(address) as store:
        account = await existing(store, id)
        with (
            new_file(file) as output,
            lines_first(output, True) as lines,
            counting("Exporting") as advance,
        ):
            found = person_lines(store, account, lambda name, _: lost.update([name]), files)
            async for line in found:
                lines.write(msgspec.json.encode(line) + b"\n")
                kinds[line["type"]] += 1
                advance(1)
            await write_archive(output, lines, store, ((each.id, each.size) for each in files))
    what = f"{kinds['message']:,} messages, {kinds['reaction']:,} reactions, {len(files):,} files"
    tell(f"Exported {account.id}: {what}.")
    if lost:
        raise click.ClickException(
            f"the store is damaged: {lost.total():,} messages could not be read"
        )


@user.command(cls=SettingsCommand)
@store_option
@audit_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("id")
def erase(store: str, audit_log: Path | None, yes: bool, id: str) -> None:
    """Erase a person: messages, files, reactions, logins, alias and password.

    The id stays, disabled, so that nobody else can take it. Others keep their own messages, also
    those that name the person. Backups and exports are not changed. The server must be stopped, and
    the rooms of the person must belong to somebody else. 'pychat user export' writes what is there
    to a file before.
    """
    audit = Audit(audit_log, store)
    if not yes:
        if not can_ask():
            raise click.UsageError("Erasing cannot be undone: add --yes.")
        click.confirm(f"Erase {id} for good?", abort=True, err=True)
    run(_erase(store, id))
    audit.note("account erased", id=id)


async def _erase(address: str, id: str) -> None:
    import secrets

    from pychat.cli.output.progress import counting
    from pychat.server.store.erasing import erase as erase_person
    from pychat.server.store.erasing import owned_rooms

    async with opened(address, exclusive=True) as store:
        account = await existing(store, id)
        rooms = await owned_rooms(store, account)
        if rooms:
            named = ", ".join(f"#{room}" for room in rooms)
            raise click.ClickException(
                f"{account.id} owns {named}: start the server, and transfer or delete it first"
            )
        unknown = hashed(secrets.token_urlsafe())
        with counting("Erasing") as advance:
            erased = await erase_person(store, account, unknown, advance)
    tell(f"Erased {account.id}: {erased.messages:,} messages, {erased.reactions:,} reactions.")


@asynccontextmanager
async def opened(
    address: str, *, create: bool = False, exclusive: bool = False
) -> AsyncIterator[Store]:
    """Open the store. Raises StoreError.

    ``exclusive``: refuse if a server uses the store. ``create``: create a missing store, and say
    so, because the address may be mistyped.
    """
    from pychat.server.store import StoreMissing, open_store

    if address.startswith("memory:"):
        raise click.UsageError("memory: exists only in its server: there is nothing to manage.")
    store = open_store(address, exclusive=exclusive, create=False)
    try:
        await store.open()
    except StoreMissing:
        if not create:
            raise
        store = open_store(address, exclusive=exclusive)
        await store.open()
        tell(f"Created the store {store.location}.")
    try:
        yield store
    finally:
        await store.close()


async def existing(store: Store, id: str) -> Account:
    account = await store.account(id)
    if account is None:
        raise click.ClickException(f"there is no account {id} in {store.location}")
    return account


def hashed(password: str) -> str:
    from pychat.server.chat.accounts.passwords import hash_password

    return hash_password(password)


def tell(message: str) -> None:
    """Print what was done on standard error. Standard output is for data."""
    click.echo(message, err=True)


async def _set_disabled(address: str, id: str, disabled: bool) -> list[str]:
    """Return the ids of the rooms that the account owns."""
    async with opened(address) as store:
        account = await existing(store, id)
        await store.update_account(account.key, disabled=disabled)
        return [room.id for room in await store.rooms() if room.owner == account.key]


def _new_password(id: str, file: str | None, command: str | None) -> str:
    from pychat.protocol import MAX_PASSWORD_CHARACTERS

    password = given_password(file, command)
    if password is None:
        if not can_ask():
            raise click.UsageError(f"Cannot ask for the password without a terminal: {WAYS}.")
        password = ask_password(f"New password of {id}", twice=True)
    if not 1 <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise click.ClickException(
            f"a password must have 1 to {MAX_PASSWORD_CHARACTERS} characters"
        )
    return password


def require_valid_id(id: str, name: str) -> None:
    """Raise UsageError unless an account may have this id. ``name``: of the argument or option."""
    from pychat.protocol import ProtocolError, check_new_id

    try:
        check_new_id(id, name)
    except ProtocolError as error:
        raise click.UsageError(f"{error}.") from None


def _check_alias(alias: str) -> None:
    from pychat.protocol import MAX_ALIAS_CHARACTERS

    if len(alias) > MAX_ALIAS_CHARACTERS:
        raise click.UsageError(f"--alias must have at most {MAX_ALIAS_CHARACTERS} characters.")
