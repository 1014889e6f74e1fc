"""The one function that makes other people's text safe to show in a terminal."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_COMBINING_MARKS: Final = 8
MAX_LINE: Final = 1000
"""Characters of a line that may quote a server."""
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

# C0 but tab and newline, DEL, C1 (ECMA-48: 8-bit terminals take U+009B for ESC [), the line and
# paragraph separators, and every bidi control (UAX #9: embeddings, overrides, isolates, marks).
_REMOVED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\u206a-\u206f\ufeff]"
)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
# Marks begin at U+0300: nearly all text is below it or has none, and is done after one search. The
# class written the other way round, as a range up to U+10FFFF, takes 5 ms to compile.
_MAYBE_MARKS: Final = re.compile("[^\x00-\u02ff]")
_LINE_ENDS: Final = re.compile("\r\n?|[\x85\u2028\u2029]")


def safe_text(text: str, *, multiline: bool = True) -> str:
    """The text without what a terminal would obey or what would reorder or overflow a line.

    Removed: C0 controls but newline and tab, DEL, C1 controls, bidi controls. Lone surrogates
    become U+FFFD; of combining marks in a row, the first eight stay. With ``multiline`` false, line
    ends and tabs become spaces. Applying it again changes nothing.
    """
    text = _LINE_ENDS.sub("\n", text)
    if not multiline:
        text = text.replace("\n", " ").replace("\t", " ")
    text = _SURROGATES.sub(REPLACEMENT, _REMOVED.sub("", text))
    return _cap_marks(text) if _MAYBE_MARKS.search(text) else text


def safe_line(text: str) -> str:
    """What a program says that may quote a server, as one line: what is not to be seen is escaped,
    and the end of a long one left out."""
    # Spaces in a row are one: no more than so many characters can be needed.
    line = " ".join(text[: MAX_LINE * 2].split())
    if len(line) > MAX_LINE or len(text) > MAX_LINE * 2:
        line = f"{line[:MAX_LINE]}…"
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return _cap_marks(shown) if _MAYBE_MARKS.search(shown) else shown


def _cap_marks(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character) if character >= "\u0300" else ""
        if category in ("Mn", "Me"):
            marks += 1
            if marks > MAX_COMBINING_MARKS:
                continue
        elif category != "Cf":  # an invisible joiner between marks starts no new run of them
            marks = 0
        kept.append(character)
    return "".join(kept)
