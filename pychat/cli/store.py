"""``pychat store``: a server's store as a whole."""

from __future__ import annotations

from pathlib import Path

import click

from pychat.cli.auditing import Audit, audit_option
from pychat.cli.options import Command
from pychat.cli.user import opened, run, store_option

MAX_PROBLEMS = 50


@click.group()
def store() -> None:
    """Check a server's store."""


@store.command(cls=Command)
@store_option
@audit_option
def check(store: str, audit_log: Path | None) -> None:
    """Read a whole store and say what is wrong with it.

    The server may be running. Exit status 1 if anything is wrong.
    """
    audit = Audit(audit_log, store)
    run(_check(store))
    audit.note("store checked")


async def _check(address: str) -> None:
    from pychat.cli.progress import counting
    from pychat.server.store import StoreDamaged
    from pychat.server.store.transfer.checking import check

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
            f"{location}: {problems:,} problems. All of it could be read: save it with "
            "'pychat export', or restore a backup"
        )
    click.echo(f"{location}: {messages:,} messages, all right.", err=True)


def _report(path: Path) -> None:
    """What SQLite says, what can be read, what to do. Raises ClickException."""
    from pychat.server.store.sqlite.damage import survey

    damage = survey(path)
    click.echo("SQLite says:")
    for problem in damage.problems:
        click.echo(f"  {problem}")
    click.echo("Can be read:")
    for name, rows, whole in damage.readable:
        click.echo(f"  {name}: {rows:,}{', all' if whole else ', the others are lost'}")
    if not damage.readable:
        click.echo("  nothing")
    raise click.ClickException(
        f"{path.absolute()} is damaged: stop the server, keep a copy of the file, and restore a "
        "backup; or 'pychat export' what can be read, and 'pychat import' it into a new store"
    )
