"""``pychat export``: write a whole store as lines of JSON."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from pychat.cli.operator.auditing import Audit, audit_option
from pychat.cli.operator.user import opened, run, store_option
from pychat.cli.output.streams import check_output, flush_output, reason
from pychat.cli.settings.options import SettingsCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pychat.server.store.transfer.lines import FileLine, Total


@click.command(cls=SettingsCommand)
@store_option
@audit_option
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
def export(store: str, audit_log: Path | None, file: Path) -> None:
    """Export a whole store to a file.

    'pychat import' reads FILE; - is standard output. FILE has all accounts, conversations and
    messages as lines of JSON, including password hashes and login tokens: protect it like the
    store. If messages have files, it is a tar archive of the lines and the files. The server may be
    running. If the store is damaged, lost messages are exported as
    removed, and the exit status is 1.
    """
    audit = Audit(audit_log, store)
    run(_export(store, file))
    audit.note("store exported", file=str(file))


async def _export(address: str, file: Path) -> None:
    from pychat.cli.output.progress import counting
    from pychat.cli.output.results import harmless_json
    from pychat.server.store.transfer.archive import write_archive
    from pychat.server.store.transfer.exporting import export_lines

    lost: Counter[str] = Counter()
    seen = str(file) == "-" and sys.stdout.isatty()
    with new_file(file) as output, counting("Exporting") as advance:
        async with opened(address) as store:
            last = b""
            files: list[FileLine] | None = [] if await store.has_files() else None
            if files is not None and seen:
                raise click.ClickException("the export is a tar archive: write it to a file")
            with lines_first(output, files is not None) as lines:
                async for line in export_lines(store, lambda name, _: lost.update([name]), files):
                    lines.write(harmless_json(line.decode()).encode() if seen else line)
                    advance(1)
                    last = line
                if files is not None:
                    contents = ((file.id, file.size) for file in files)
                    await write_archive(output, lines, store, contents)
    with_files = "" if files is None else f", with {len(files):,} files (a tar archive)"
    click.echo(f"Exported {describe(total_of(last))}{with_files}.", err=True)
    if lost:
        where = ", ".join(f"{count:,} in {name}" for name, count in lost.items())
        raise click.ClickException(
            f"the store is damaged: unreadable messages ({where}) are exported as removed"
        )


def total_of(line: bytes) -> Total:
    """The total at the end of an export."""
    import msgspec

    from pychat.server.store.transfer.lines import Total

    return msgspec.json.decode(line, type=Total)


def describe(total: Total) -> str:
    """Describe the content of an export."""
    return (
        f"{total.accounts:,} accounts, {total.conversations:,} conversations and"
        f" {total.messages:,} messages"
    )


@contextmanager
def lines_first(output: IO[bytes], archived: bool) -> Iterator[IO[bytes]]:
    """Yield where to write the lines: an archive names their size first."""
    if not archived:
        yield output
        return
    with tempfile.TemporaryFile() as lines:
        yield lines


@contextmanager
def new_file(file: Path) -> Iterator[IO[bytes]]:
    """Write a temporary file beside it, mode 0600, and rename it when it is complete."""
    if str(file) == "-":
        try:
            check_output()
            yield sys.stdout.buffer
            flush_output()
        except OSError as error:
            with suppress(OSError):
                flush_output()
            raise click.ClickException(
                f"cannot write to standard output: {reason(error)}"
            ) from None
        return
    if os.path.lexists(file):
        raise click.ClickException(f"{file} already exists: choose another name")
    part = None
    try:
        # An unguessable name with mode 0600, so that no other user can have placed a file there.
        descriptor, part = tempfile.mkstemp(dir=file.parent, prefix="pychat-export-")
        with os.fdopen(descriptor, "wb") as output:
            yield output
            output.flush()
            os.fsync(output.fileno())
        os.replace(part, file)
        part = None
    except OSError as error:
        raise click.ClickException(f"cannot write {file}: {error.strerror}") from None
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)
