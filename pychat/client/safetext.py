"""Make text from other people and servers safe to show in a terminal."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_COMBINING_MARKS: Final = 8
MAX_LINE: Final = 1000
"""Characters that ``safe_line`` keeps."""
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

# C0 but tab and newline, DEL, C1 (ECMA-48: 8-bit terminals take U+009B for ESC [), the line and
# paragraph separators, and every bidi control (UAX #9: embeddings, overrides, isolates, marks).
_REMOVED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\u206a-\u206f\ufeff]"
)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
# Combining marks begin at U+0300. Most text has no character from there on and needs one search
# only. The negated class compiles quickly; a range up to U+10FFFF takes 5 ms.
_MAYBE_MARKS: Final = re.compile("[^\x00-\u02ff]")
_LINE_ENDS: Final = re.compile("\r\n?|[\x85\u2028\u2029]")


def safe_text(text: str, *, multiline: bool = True) -> str:
    """Return the text without characters that control a terminal or reorder or overflow a line.

    Removes C0 controls except newline and tab, DEL, C1 controls and bidi controls. Replaces lone
    surrogates with U+FFFD. Keeps the first eight of consecutive combining marks. With
    ``multiline=False``, replaces line ends and tabs with spaces. The function is idempotent.
    """
    text = _LINE_ENDS.sub("\n", text)
    if not multiline:
        text = text.replace("\n", " ").replace("\t", " ")
    text = _SURROGATES.sub(REPLACEMENT, _REMOVED.sub("", text))
    return _cap_marks(text) if _MAYBE_MARKS.search(text) else text


def safe_line(text: str) -> str:
    """Return a message that may quote a server as one line of at most MAX_LINE characters.

    Escapes characters that are not printable, and joins consecutive whitespace.
    """
    # Bounds the work for a very long text.
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
        elif category != "Cf":  # a format character between marks does not start a new run
            marks = 0
        kept.append(character)
    return "".join(kept)
