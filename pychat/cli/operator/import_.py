"""``pychat import``: read the file of ``pychat export`` into a store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from pychat.cli.operator.auditing import Audit, audit_option
from pychat.cli.operator.user import opened, run, store_option
from pychat.cli.output.streams import reason
from pychat.cli.settings.options import SettingsCommand


@click.command("import", cls=SettingsCommand)
@store_option
@audit_option
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
def import_(store: str, audit_log: Path | None, file: Path) -> None:
    """Import an exported file into a store.

    FILE was written by 'pychat export'; - is standard input. The store must be empty and not used
    by a server. Run the command again to continue an interrupted import. At the end the store is
    compared with FILE.
    """
    audit = Audit(audit_log, store)
    run(_import(store, file))
    audit.note("store imported", file=str(file))


async def _import(address: str, file: Path) -> None:
    from pychat.cli.operator.export import describe, total_of
    from pychat.cli.output.progress import bar, counting
    from pychat.server.store.transfer.exporting import export_lines
    from pychat.server.store.transfer.importing import Importer
    from pychat.server.store.transfer.lines import Total, decode_lines

    if address.startswith("memory:"):
        raise click.UsageError("memory: is lost when this command ends: choose another store.")
    with _input(file) as source:
        lines = decode_lines(source.lines())
        line = next(lines)  # check that it is an export before creating a store
        async with opened(address, create=True, exclusive=True) as store:
            importer = Importer(store)
            await importer.put(line)
            with bar("Importing", source.size) as source.advance:
                for line in lines:
                    await importer.put(line)
            assert isinstance(line, Total)  # decode_lines checks this
            with counting("Indexing for search"):
                await store.index()
            with counting("Comparing") as advance:
                last = b""
                async for written in export_lines(store):
                    advance(1)
                    last = written
            if total_of(last) != line:
                raise click.ClickException(
                    f"{store.location} has {describe(total_of(last))}, the file"
                    f" {describe(line)}: the store was not empty, or was changed during the import"
                )
    click.echo(f"Imported {describe(line)} into {store.location}; verified.", err=True)


class _Source:
    """The lines of the file. ``advance`` is called with the size of each line, in bytes."""

    def __init__(self, name: str, file: IO[bytes], size: int) -> None:
        self._name = name
        self._file = file
        self.size = size
        self.advance: Callable[[int], None] = lambda _bytes: None

    def lines(self) -> Iterator[bytes]:
        """Open the input. Raises ClickException if it cannot be read."""
        try:
            for line in self._file:
                self.advance(len(line))
                yield line
        except OSError as error:
            raise _unreadable(self._name, error) from None


@contextmanager
def _input(file: Path) -> Iterator[_Source]:
    if str(file) == "-":
        yield _Source("standard input", sys.stdin.buffer, 0)
        return
    try:
        source = file.open("rb")
    except OSError as error:
        raise _unreadable(str(file), error) from None
    with source:
        yield _Source(str(file), source, file.stat().st_size)


def _unreadable(name: str, error: OSError) -> click.ClickException:
    return click.ClickException(f"cannot read {name}: {reason(error)}")
