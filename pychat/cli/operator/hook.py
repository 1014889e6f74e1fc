"""``pychat hook``: incoming webhooks, with which programs post to rooms."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pychat.cli.operator.auditing import Audit, audit_option
from pychat.cli.operator.user import opened, require_valid_id, run, store_option, tell
from pychat.cli.settings.options import SettingsCommand, option

if TYPE_CHECKING:
    from pychat.server.store import Store
    from pychat.server.store.records import Account

DEFAULT_ACCOUNT: Final = "webhook"


@click.group()
def hook() -> None:
    """Manage incoming webhooks, with which programs post to rooms.

    The server may be running. Changes take effect at once.
    """


@hook.command(cls=SettingsCommand)
@store_option
@option(
    "--as",
    "id",
    key="hook-as",
    default=DEFAULT_ACCOUNT,
    metavar="ID",
    help="The sender of the messages: an account without a password, created if it is missing.",
)
@audit_option
@click.argument("room")
def add(store: str, id: str, audit_log: Path | None, room: str) -> None:
    """Create a webhook for a room and print its path.

    The path contains a secret token that is not shown again: whoever has it can post to the room.
    """
    audit = Audit(audit_log, store)

    async def make() -> None:
        import secrets

        from pychat.server.chat.accounts.authentication import token_hash
        from pychat.server.store.records import HookRecord

        async with opened(store) as opened_store:
            record = await opened_store.room(room.removeprefix("#"))
            if record is None:
                raise click.ClickException(f"there is no room {room} in {opened_store.location}")
            account = await _account(opened_store, id)
            token = secrets.token_urlsafe(32)
            made = HookRecord(
                id=secrets.token_hex(4),
                token_hash=token_hash(token),
                conversation=record.conversation,
                account=account.key,
                created_at=int(time.time() * 1000),
            )
            await opened_store.add_hook(made)
        audit.note("hook made", hook=made.id, room=record.id, id=account.id)
        tell(f"Created the hook {made.id}: it posts to #{record.id} as {account.id}.")
        tell("Append this path to the address of the server, and keep it secret:")
        click.echo(f"/hooks/{token}")

    run(make())


@hook.command("list", cls=SettingsCommand)
@store_option
def list_(store: str) -> None:
    """List the webhooks: id, room and sender, separated by tabs."""

    async def collect() -> None:
        async with opened(store) as opened_store:
            hooks = await opened_store.hooks()
            rooms = {room.conversation: f"#{room.id}" for room in await opened_store.rooms()}
            found = await opened_store.accounts(sorted({hook.account for hook in hooks}))
        names = {account.key: account.id for account in found}
        for each in hooks:
            where = rooms.get(each.conversation, "(deleted room)")
            click.echo(f"{each.id}\t{where}\t{names.get(each.account, '')}")

    run(collect())


@hook.command(cls=SettingsCommand)
@store_option
@audit_option
@click.argument("hook")
def remove(store: str, audit_log: Path | None, hook: str) -> None:
    """Remove a webhook. HOOK is its id in 'pychat hook list'."""
    audit = Audit(audit_log, store)

    async def forget() -> None:
        async with opened(store) as opened_store:
            if not await opened_store.remove_hook(hook):
                raise click.ClickException(f"there is no hook {hook} in {opened_store.location}")

    run(forget())
    audit.note("hook removed", hook=hook)
    tell(f"Removed the hook {hook}.")


async def _account(store: Store, id: str) -> Account:
    """Return the account of a hook. An account with a password is somebody's, so it is refused."""
    from pychat.server.store import AlreadyExists

    account = await store.account(id)
    if account is None:
        require_valid_id(id, "--as")
        try:
            return await store.create_account(id, id, None, int(time.time() * 1000))
        except AlreadyExists:
            raise click.ClickException(
                f"the id {id} looks like another one: choose another"
            ) from None
    if account.password_hash is not None:
        raise click.ClickException(
            f"{account.id} is the account of a person: choose another id with --as"
        )
    return account
