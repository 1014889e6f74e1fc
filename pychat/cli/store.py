"""``pychat store``: a server's store as a whole."""

from __future__ import annotations

import click

from pychat.cli.options import Command
from pychat.cli.user import opened, run, store_option

MAX_PROBLEMS = 50


@click.group()
def store() -> None:
    """Check a server's store."""


@store.command(cls=Command)
@store_option
def check(store: str) -> None:
    """Read a whole store and say what is wrong with it.

    The server may be running. Exit status 1 if anything is wrong.
    """
    run(_check(store))


async def _check(address: str) -> None:
    from pychat.cli.progress import counting
    from pychat.server.store.transfer.checking import check

    problems: list[str] = []
    messages = 0
    async with opened(address) as store:
        with counting("Checking") as advance:
            async for problem in check(store):
                advance(1)
                if problem:
                    problems.append(problem)
                else:
                    messages += 1
        location = store.location
    for problem in problems[:MAX_PROBLEMS]:
        click.echo(problem)
    if problems:
        raise click.ClickException(f"{location}: {len(problems)} problems")
    click.echo(f"{location}: {messages:,} messages, all right.", err=True)
