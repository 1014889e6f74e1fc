"""``pychat`` run in this process, errors and exit status as the command has them."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from pychat.cli.main import main
from pychat.cli.settings import files as settings


class Result(NamedTuple):
    """What the command left."""

    status: int
    stdout: str
    stderr: str


def invoke(*arguments: str | Path, input: str | bytes = "") -> Result:
    """Neither input nor output is a terminal."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    status = 0
    with _process(arguments, input), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Result(status, _text(out), _text(err))


def refusal(*arguments: str | Path, status: int = 1, input: str | bytes = "") -> str:
    """What a command that fails says: one line, and nothing on standard output."""
    result = invoke(*arguments, input=input)
    assert result.status == status, result
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    return lines[0].removeprefix("Error: ")


@contextmanager
def _process(arguments: tuple[str | Path, ...], input: str | bytes) -> Iterator[None]:
    argv, stdin = sys.argv, sys.stdin
    data = input.encode() if isinstance(input, str) else input
    sys.argv = ["pychat", *map(str, arguments)]
    sys.stdin = io.TextIOWrapper(io.BytesIO(data), "utf-8")
    # A process reads pychat.toml once; this one plays many.
    settings._found.cache_clear()
    settings._read.cache_clear()
    try:
        yield
    finally:
        sys.argv, sys.stdin = argv, stdin


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()
