"""``pychat store``: check, back up and restore a store."""

from __future__ import annotations

from pathlib import Path

import click

from pychat.cli.operator.auditing import Audit, audit_option
from pychat.cli.operator.user import opened, run, store_option, tell
from pychat.cli.settings.files import make_folder
from pychat.cli.settings.options import SettingsCommand

MAX_PROBLEMS = 50


@click.group()
def store() -> None:
    """Check, back up and restore a server's store."""


@store.command(cls=SettingsCommand)
@store_option
@audit_option
def check(store: str, audit_log: Path | None) -> None:
    """Read a whole store and report problems.

    The server may be running. The exit status is 1 if there is a problem.
    """
    audit = Audit(audit_log, store)
    run(_check(store))
    audit.note("store checked")


@store.command(cls=SettingsCommand)
@store_option
@audit_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(store: str, audit_log: Path | None, file: Path) -> None:
    """Copy a SQLite store into a new file.

    The server may be running: FILE is a snapshot from the start of the command. It is checked
    before it gets its name. It contains password hashes and login tokens: protect it like the
    store.
    """
    from pychat.cli.output.progress import bar
    from pychat.server.store import StoreError
    from pychat.server.store.sqlite.file.backup import back_up

    path = _sqlite_file(store)
    audit = Audit(audit_log, store)
    try:
        with bar("Copying", path.stat().st_size if path.exists() else 0) as advance:
            back_up(path, file, advance)
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    audit.note("store backed up", file=str(file))
    tell(f"Backed up {path.absolute()} to {file}; verified.")


@store.command(cls=SettingsCommand)
@store_option
@audit_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore(store: str, audit_log: Path | None, file: Path) -> None:
    """Replace a SQLite store with a backup.

    FILE was written by 'pychat store backup', or is another copy of a store. It is checked first.
    The server must not be running. The previous store is kept in a file beside it.
    """
    from pychat.cli.output.progress import bar
    from pychat.server.store import StoreError
    from pychat.server.store.sqlite.file.backup import restore as put_back

    path = _sqlite_file(store)
    make_folder(store)
    audit = Audit(audit_log, store)
    try:
        with bar("Copying", file.stat().st_size if file.exists() else 0) as advance:
            kept = put_back(file, path, advance)
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    audit.note("store restored", file=str(file), kept=None if kept is None else str(kept))
    tell(f"Restored {path.absolute()} from {file}.")
    if kept is not None:
        tell(f"The previous store is kept as {kept}: delete it when you no longer need it.")


def _sqlite_file(address: str) -> Path:
    from pychat.server.store import InvalidStoreAddress
    from pychat.server.store.address import sqlite_path

    try:
        if address.partition(":")[0].lower() == "sqlite":
            return sqlite_path(address)
    except InvalidStoreAddress as error:
        raise click.UsageError(f"--store: {error}.") from None
    raise click.UsageError(
        "--store must be the address of a SQLite file. For MongoDB use mongodump and "
        "mongorestore, or 'pychat export' and 'pychat import'."
    )


async def _check(address: str) -> None:
    from pychat.cli.output.progress import counting
    from pychat.server.store import StoreDamaged
    from pychat.server.store.transfer.exporting import check

    found: list[str] = []
    problems = messages = 0
    try:
        async with opened(address) as store:
            with counting("Checking") as advance:
                async for problem in check(store):
                    advance(1)
                    if not problem:
                        messages += 1
                        continue
                    problems += 1
                    if problems <= MAX_PROBLEMS:
                        found.append(problem)
            location = store.location
    except StoreDamaged as damaged:
        _report(damaged.path)
    for problem in found:
        click.echo(problem)
    if problems:
        raise click.ClickException(
            f"{location}: {problems:,} problems. All content is readable: save it with "
            "'pychat export', or restore a backup"
        )
    click.echo(f"{location}: {messages:,} messages, no problems.", err=True)


def _report(path: Path) -> None:
    """Print what SQLite reports and what can be read. Raises ClickException with advice."""
    from pychat.server.store.sqlite.file.check import survey

    damage = survey(path)
    click.echo("SQLite reports:")
    for problem in damage.problems:
        click.echo(f"  {problem}")
    click.echo("Readable:")
    for name, rows, whole in damage.readable:
        click.echo(f"  {name}: {rows:,}{', all' if whole else ', the rest is lost'}")
    if not damage.readable:
        click.echo("  nothing")
    raise click.ClickException(
        f"{path.absolute()} is damaged: stop the server, keep a copy of the file, and restore a "
        "backup; or 'pychat export' what can be read, and 'pychat import' it into a new store"
    )
