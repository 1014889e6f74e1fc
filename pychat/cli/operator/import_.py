"""``pychat import``: read the file of ``pychat export``, or of another program, into a store."""

from __future__ import annotations

import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from pychat.cli.operator.auditing import Audit, audit_option
from pychat.cli.operator.foreign import DEFAULT_OWNER, SOURCES, converted, report
from pychat.cli.operator.user import opened, run, store_option
from pychat.cli.output.streams import reason
from pychat.cli.settings.options import SettingsCommand, option

if TYPE_CHECKING:
    from pychat.server.store.transfer.archive import Archive


@click.command("import", cls=SettingsCommand)
@store_option
@option(
    "--from",
    "source",
    key="import-from",
    type=click.Choice(SOURCES),
    help="What FILE is: Slack's export (a zip file or folder), IRC logs of WeeChat or irssi (a file"
    " or folder), or the textbook's MongoDB collection 'users' (the file of mongoexport).",
)
@option(
    "--owner",
    key="import-owner",
    default=DEFAULT_OWNER,
    metavar="ID",
    help="With --from: owner of the rooms whose owner is not known.",
)
@option(
    "--encoding",
    key="import-encoding",
    default="utf-8",
    metavar="NAME",
    help="With --from weechat or irssi: the encoding of the logs.",
)
@option(
    "--dry-run",
    key="import-dry-run",
    is_flag=True,
    help="With --from: read FILE and report, but write nothing.",
)
@audit_option
@click.argument("file", type=click.Path(exists=True, allow_dash=True, path_type=Path))
def import_(
    store: str,
    source: str | None,
    owner: str,
    encoding: str,
    dry_run: bool,
    audit_log: Path | None,
    file: Path,
) -> None:
    """Import an exported file, or what another chat left.

    FILE was written by 'pychat export', or by another program: see --from. - is standard input.
    The store must be empty and not used by a server. Run the command again to continue an
    interrupted import. At the end the store is compared with FILE.
    """
    if source is None and file.is_dir():
        raise click.UsageError(f"FILE: {file} is a folder: say what it is with --from.")
    if source is not None and str(file) == "-":
        raise click.UsageError("FILE: --from needs a file or folder, not standard input.")
    if source is None and dry_run:
        raise click.UsageError("--dry-run needs --from.")
    if store.startswith("memory:"):
        raise click.UsageError("memory: is lost when this command ends: choose another store.")
    audit = Audit(None if dry_run else audit_log, store)
    if source is None:
        run(_import(store, file))
    else:
        run(_import_foreign(store, source, file, owner, encoding, dry_run))
    if not dry_run:
        audit.note("store imported", file=str(file))


async def _import(address: str, file: Path) -> None:
    with _input(file) as source:
        await _put(address, source)


async def _import_foreign(
    address: str, kind: str, file: Path, owner: str, encoding: str, dry_run: bool
) -> None:
    from pychat.cli.operator.export import describe, total_of

    with converted(kind, file, owner, encoding) as collector:
        if dry_run:
            total = total_of(deque(collector.lines(), maxlen=1).pop())
            click.echo(f"{file} has {describe(total)}.", err=True)
        else:
            await _put(address, _Source(collector.lines(), collector.size))
        report(collector)


async def _put(address: str, source: _Source) -> None:
    from pychat.cli.operator.export import describe, total_of
    from pychat.cli.output.progress import bar, counting
    from pychat.server.store.transfer.exporting import export_lines
    from pychat.server.store.transfer.importing import Importer
    from pychat.server.store.transfer.lines import Total, decode_lines

    lines = decode_lines(source.lines())
    line = next(lines)  # check that it is an export before creating a store
    async with opened(address, create=True, exclusive=True) as store:
        importer = Importer(store, source.archive)
        await importer.put(line)
        with bar("Importing", source.size) as source.advance:
            for line in lines:
                await importer.put(line)
        assert isinstance(line, Total)  # decode_lines checks this
        with counting("Indexing for search"):
            await store.index()
        with counting("Comparing") as advance:
            last = b""
            async for written in export_lines(store, files=None if source.archive is None else []):
                advance(1)
                last = written
        if total_of(last) != line:
            raise click.ClickException(
                f"{store.location} has {describe(total_of(last))}, the file"
                f" {describe(line)}: the store was not empty, or was changed during the import"
            )
    click.echo(f"Imported {describe(line)} into {store.location}; verified.", err=True)


class _Source:
    """The lines of an export, and the archive that has them. ``advance`` is called with the size of
    each line, in bytes."""

    def __init__(self, lines: Iterable[bytes], size: int, archive: Archive | None = None) -> None:
        self._lines = lines
        self.size = size
        self.archive = archive
        self.advance: Callable[[int], None] = lambda _bytes: None

    def lines(self) -> Iterator[bytes]:
        for line in self._lines:
            self.advance(len(line))
            yield line


@contextmanager
def _input(file: Path) -> Iterator[_Source]:
    """Open the input. Raises ClickException if it cannot be read, also while its lines are, and
    StoreError if it is a damaged archive."""
    from pychat.server.store.transfer.archive import BLOCK, is_archive, spool

    if str(file) == "-":
        name = "standard input"
        with _reading(name):
            first = sys.stdin.buffer.readline()
        if not is_archive(first[:BLOCK]):
            yield _Source(_lines(name, chain([first] if first else [], sys.stdin.buffer)), 0)
            return
        with tempfile.TemporaryFile() as copy:
            with _reading(name):
                spool(first, sys.stdin.buffer, copy)
            yield _archived(name, copy)
        return
    name = str(file)
    with _reading(name):
        source = file.open("rb")
    with source:
        with _reading(name):
            start = source.read(BLOCK)
            source.seek(0)
        if is_archive(start):
            yield _archived(name, source)
        else:
            yield _Source(_lines(name, source), file.stat().st_size)


def _archived(name: str, file: IO[bytes]) -> _Source:
    from pychat.server.store.transfer.archive import Archive

    archive = Archive(file)
    return _Source(_lines(name, archive.lines()), archive.size, archive)


def _lines(name: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    with _reading(name):
        yield from lines


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"cannot read {name}: {reason(error)}") from None
