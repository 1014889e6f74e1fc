"""Asks the terminal for its background colour, to choose between light and dark."""

from __future__ import annotations

import os
import re
import select
import sys
import time
from typing import Final

TIMEOUT: Final = 0.15
"""Seconds; every terminal answers the second question, nearly all at once."""
_LONGEST: Final = 4096
"""Bytes: more is no answer."""
_QUESTION: Final = b"\x1b]11;?\x07\x1b[c"
_COLOR: Final = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]+)/([0-9a-fA-F]+)/([0-9a-fA-F]+)")
_DEVICE: Final = re.compile(rb"\x1b\[\?[0-9;]*c")


def is_light(answer: bytes) -> bool | None:
    """Whether the colour in an answer to OSC 11 is a light one; None without one."""
    match = _COLOR.search(answer)
    if match is None:
        return None
    red, green, blue = (int(part, 16) / float(16 ** len(part) - 1) for part in match.groups())
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5  # ITU-R BT.709


def terminal_is_light() -> bool | None:
    """Asks; None where there is no terminal or it does not tell. Blocks up to ``TIMEOUT``.

    To be called before the app takes the terminal over.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or sys.platform == "win32":
        return None
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    try:
        before = termios.tcgetattr(descriptor)
    except termios.error:
        return None
    try:
        tty.setcbreak(descriptor)
        os.write(sys.stderr.fileno(), _QUESTION)
        return is_light(_answer(descriptor))
    except OSError:
        return None
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)


def _answer(descriptor: int) -> bytes:
    answer = b""
    end = time.monotonic() + TIMEOUT
    while not _DEVICE.search(answer) and len(answer) < _LONGEST:
        left = end - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            break
        answer += os.read(descriptor, 256)
    return answer
