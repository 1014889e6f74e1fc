"""Progress of long operations, on standard error if that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """Progress of unknown length. Call the result with the amount done."""
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with _progress(what, None, *columns) as advance:
        yield advance


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Progress of known length."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with _progress(what, total, *columns) as advance:
        yield advance


@contextmanager
def _progress(
    what: str, total: int | None, *columns: ProgressColumn
) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():
        yield lambda amount: None
        return
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    with progress:
        task = progress.add_task(what, total=total)
        yield lambda amount: progress.advance(task, amount)
