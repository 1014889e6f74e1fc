"""Print a list: a table on a terminal, lines with tabs in a pipe, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click

from pychat.cli.output.streams import check_output


def print_listing(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    objects: Iterable[object],
    as_json: bool,
) -> None:
    """Print ``objects`` if ``as_json``, otherwise the rows, made safe, with ``names`` as heads."""
    check_output()
    if as_json:
        print_json(objects)
    elif sys.stdout.isatty():
        print_table(names, rows)
    else:
        print_lines(rows)


def print_json(objects: Iterable[object]) -> None:
    """One JSON object per line."""
    from pychat.cli.output.messages import json_line

    for each in objects:
        click.echo(json_line(each))


def print_lines(rows: Iterable[Sequence[str]]) -> None:
    """Cells separated by tabs. A tab inside a cell becomes a space."""
    from pychat.client.safetext import safe_text

    for row in rows:
        click.echo("\t".join(safe_text(cell, multiline=False).expandtabs(1) for cell in row))


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns of text without borders."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from pychat.client.safetext import safe_text

    table = Table(*names, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(safe_text(cell, multiline=False)) for cell in row))
    Console().print(table)
