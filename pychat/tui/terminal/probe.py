"""Query the terminal before the app starts: background colour and width of emoji."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pychat.tui.text.graphemes import SAMPLES

TIMEOUT: Final = 0.3
"""Seconds. Every terminal answers the last query, nearly all of them at once."""
_QUESTION: Final = (
    b"\x1b]11;?\x07"
    # Each sample is written at the start of the row: the cursor position then is its width.
    + b"".join(b"\r" + sample.encode() + b"\x1b[6n" for sample in SAMPLES.values())
    + b"\r\x1b[K\x1b[c"
)
_COLOUR: Final = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]+)/([0-9a-fA-F]+)/([0-9a-fA-F]+)")
_COLUMN: Final = re.compile(rb"\x1b\[[0-9]+;([0-9]{1,4})R")
_DEVICE: Final = re.compile(rb"\x1b\[\?[0-9;]*c")
_ANSWERS: Final = re.compile(
    rb"\x1b\]11;[^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9]+;[0-9]+R|\x1b\[\?[0-9;]*c"
)


@dataclass(frozen=True, slots=True)
class TerminalAnswers:
    """What the terminal has answered.

    ``is_light``: whether the background is light, None if unknown. ``widths``: cells of each of
    ``emoji.SAMPLES``, all or none. ``typed``: bytes that the user typed meanwhile.
    """

    is_light: bool | None = None
    widths: Mapping[str, int] = field(default_factory=dict)
    typed: bytes = b""


def ask_terminal() -> TerminalAnswers:
    """Query the terminal; blocks for at most ``TIMEOUT``. Call this before the app starts."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or sys.platform == "win32":
        return TerminalAnswers()
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    try:
        before = termios.tcgetattr(descriptor)
        # Not TCSAFLUSH, the default: it would discard what was typed until now.
        tty.setcbreak(descriptor, termios.TCSANOW)
    except termios.error:
        return TerminalAnswers()
    try:
        os.write(sys.stderr.fileno(), _QUESTION)
        return read_answers(_answer(descriptor))
    except OSError:
        return TerminalAnswers()
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)


def read_answers(given: bytes) -> TerminalAnswers:
    """Split what was read into answers and typed bytes."""
    columns = _COLUMN.findall(given)
    widths = {}
    if len(columns) == len(SAMPLES):
        widths = {kind: int(column) - 1 for kind, column in zip(SAMPLES, columns, strict=True)}
    return TerminalAnswers(_is_light(given), widths, _ANSWERS.sub(b"", given))


def _is_light(given: bytes) -> bool | None:
    match = _COLOUR.search(given)
    if match is None:
        return None
    red, green, blue = (int(part, 16) / float(16 ** len(part) - 1) for part in match.groups())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5  # ITU-R BT.709


def _answer(descriptor: int) -> bytes:
    answer = b""
    end = time.monotonic() + TIMEOUT
    while not _DEVICE.search(answer):
        left = end - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            break
        received = os.read(descriptor, 4096)
        if not received:
            break
        answer += received
    return answer
