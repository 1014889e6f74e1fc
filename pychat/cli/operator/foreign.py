"""What 'pychat import --from' reads: the files of other chat programs, as lines of an export."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pychat.cli.operator.user import require_valid_id

if TYPE_CHECKING:
    from pychat.server.store.transfer.foreign.collecting import Collector
    from pychat.server.store.transfer.foreign.files import Files

SOURCES: Final = ("slack", "weechat", "irssi", "textbook")
DEFAULT_OWNER: Final = "operator"


@contextmanager
def converted(source: str, file: Path, owner: str, encoding: str) -> Iterator[Collector]:
    """Read everything into a temporary file. Raises StoreError, which names the file and line."""
    from pychat.cli.output.progress import bar
    from pychat.server.store.transfer.foreign.collecting import Collector
    from pychat.server.store.transfer.foreign.files import Files

    _check_encoding(encoding)
    require_valid_id(owner, "--owner")
    files = Files(file)
    try:
        with tempfile.TemporaryFile(prefix="pychat-import-") as spool:
            collector = Collector(spool, owner)
            with bar("Reading", sum(files.sizes.values())) as files.advance:
                _collect(source, files, collector, encoding)
            yield collector
    finally:
        files.close()


def report(collector: Collector) -> None:
    """Print what was left out, on standard error."""
    from pychat.client.safetext import safe_line

    if collector.unmapped:
        click.echo("Left out:", err=True)
    for kind, (number, place) in sorted(collector.unmapped.items()):
        click.echo(f"  {number:,} {safe_line(f'{kind}, first in {place}')}", err=True)


def _collect(source: str, files: Files, collector: Collector, encoding: str) -> None:
    match source:
        case "slack":
            from rich.emoji import Emoji

            from pychat.server.store.transfer.foreign.slack import collect_slack

            collect_slack(files, collector, Emoji.replace)
        case "textbook":
            from pychat.server.chat.accounts.passwords import hash_password
            from pychat.server.store.transfer.foreign.textbook import collect_users

            collect_users(files, collector, hash_password)
        case "weechat" | "irssi" as format:
            from pychat.server.store.transfer.foreign.irc import collect_logs

            collect_logs(files, collector, format, encoding)


def _check_encoding(encoding: str) -> None:
    """Lines end with the byte 10, which an encoding like UTF-16 also uses in characters."""
    try:
        is_like_ascii = b"a\n".decode(encoding) == "a\n"
    except (LookupError, ValueError):
        is_like_ascii = False
    if not is_like_ascii:
        raise click.UsageError(
            f"--encoding: {encoding!r} must be an encoding that contains ASCII, like utf-8, latin-1"
            " or euc-kr."
        )
