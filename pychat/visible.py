"""Visible text of names. Invisible characters could make one name look like another."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Final

# Default_Ignorable_Code_Point of Unicode 16 (UAX #44, DerivedCoreProperties.txt): characters that a
# program without support for them shows as nothing. unicodedata does not have this property. The
# ranges include reserved code points, so a later Unicode version does not add others.
IGNORABLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
# Unicode classifies these as visible, but they look blank: Braille pattern blank, Khitan filler,
# musical null notehead.
BLANK: Final = "\u2800\U00016fe4\U0001d159"

_INVISIBLE: Final = re.compile(
    f"[{IGNORABLE}{BLANK}\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufff9-\ufffb]"
)
_VARIATION_SELECTORS: Final = "\ufe0e\ufe0f"
"""Select the text or emoji form of the symbol before them, as in ❤️."""


def visible(text: str) -> str:
    """Return the visible part of a text, stripped, with consecutive whitespace as one space."""
    return " ".join(_INVISIBLE.sub("", text).split())


def shown_name(name: str, id: str) -> str:
    """Return the name, or the id if nothing of the name is visible."""
    return name if visible(name) else id


def shows_only(text: str) -> bool:
    """Whether a name consists of visible characters and single spaces only.

    A variation selector after a symbol is allowed.
    """
    without_selectors = "".join(
        character
        for before, character in pairwise(f" {text}")
        if not (character in _VARIATION_SELECTORS and unicodedata.category(before)[0] in "SP")
    )
    return visible(without_selectors) == without_selectors


MAX_FILE_NAME_BYTES: Final = 200
"""File systems allow 255 bytes, and programs add something for a temporary name."""
_NOT_IN_FILE_NAMES: Final = re.compile('[<>:"|?*\ud800-\udfff]')
_RESERVED: Final = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL
)
"""Names of devices on Windows."""


def file_name(name: str, most: int = 100) -> str:
    """Return a name that is safe to show and to use for a file on every system: visible characters
    without folders, not hidden, at most ``most`` characters. A long name keeps its extension."""
    name = name[-4096:].replace("\\", "/").rpartition("/")[2]
    name = _NOT_IN_FILE_NAMES.sub("_", visible(name)).lstrip(". ").rstrip(". ")
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > 20:
        stem, dot, extension = name, "", ""
    stem = stem[: most - len(dot + extension)]
    while len(f"{stem}{dot}{extension}".encode()) > MAX_FILE_NAME_BYTES:
        stem = stem[:-1]
    return f"{stem}{dot}{extension}".rstrip(". ") or "file"


def file_size(size: int) -> str:
    """Return a number of bytes as people read it: ``1.5 MB``."""
    if size < 1000:
        return f"{size} B"
    amount, unit = size / 1000, "kB"
    for larger in ("MB", "GB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"


def with_file(text: str, name: str, size: int, link: str = "") -> str:
    """Return a text with a line below it for its file: ``cat.png (48 kB)``, and the link if there
    is one. Without a text, it is the line."""
    line = f"{name} ({file_size(size)})"
    if link:
        line += f" {link}"
    return f"{text}\n{line}" if text else line
