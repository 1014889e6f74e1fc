"""Words of a text as search sees them: one rule for every store's index and for scanning.

Case and accents are ignored. Where a script puts spaces between words, a word is one term and is
found by its beginning. Chinese, Japanese, Korean and the scripts of South-East Asia are cut into
overlapping pairs of characters, and so found from anywhere in the text. So are emoji and symbols:

- drawn in colour or not is the same: ❤ and ❤️;
- an emoji without a skin tone finds it with every one, and one with a skin tone only that;
- a joined emoji finds itself, and each part finds it: 👩‍🚀 is found by 👩‍🚀, 👩 and 🚀;
- a flag finds itself only, and not where two others meet; so does a keycap, which no digit finds.

What is changed here changes the index of stores that are there: they are indexed anew, see
sqlite/schema.py and mongodb/upgrade.py.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from typing import Literal, NamedTuple

MAX_TERM_CHARACTERS = 40
_PIECE = 256
"""Characters that are normalized at once."""

# Accents of Latin, Greek and Cyrillic, vowel points of Hebrew and Arabic, variation selectors.
# Not the marks that make another letter (Japanese voicing, the vowels of Indic scripts).
_IGNORED = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f"
    "\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
)

_SYMBOLS = (
    "\u00a9\u00ae\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d"
    "\U0001f000-\U0001faff"
)
"""Emoji, and the blocks that have some: technical signs, geometric shapes, dingbats, arrows."""
_TONES = "\U0001f3fb-\U0001f3ff"
_LETTERS_OF_FLAGS = "\U0001f1e6-\U0001f1ff"
_TAGS = "\U000e0020-\U000e007f"
"""The rest of a flag that is no country's: 🏴󠁧󠁢󠁥󠁮󠁧󠁿."""

# Characters that no text has stand for what is found as a whole: keycaps, the second halves of
# flags, and emoji of which compatibility forms would make letters or "!!".
_WHOLE = "\U000f0000-\U000f01ff"
_LETTERLIKE = {ord(emoji): 0xF0000 + number for number, emoji in enumerate("‼⁉™ℹⓂ")}
_KEYCAP = re.compile("([0-9#*])\ufe0f?\u20e3")
_KEYCAPS = 0xF0100
_FLAG = re.compile(f"([{_LETTERS_OF_FLAGS}])([{_LETTERS_OF_FLAGS}])")
_SECOND_LETTERS = 0xF0180 - 0x1F1E6
_TONE = re.compile(f"[{_TONES}]")
# Joins emoji, and shapes letters of Indic scripts, which are the same without.
_JOINER = re.compile(f"(?<![{_SYMBOLS}])\u200d|\u200d(?![{_SYMBOLS}])")

# Thai to Myanmar, Hangul jamo, Khmer, kana, Han, Hangul, symbols.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u200d\u3005-\u3007\u3031-\u3035"
    "\u3041-\u30fa\u30fc-\u318f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f"
    f"\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff{_SYMBOLS}{_TAGS}{_WHOLE}"
)
# Indic vowels and viramas are marks, which \w leaves out.
_SPACED_MARKS = "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0980-\u0983\u09bc-\u0dff"
_RUN = re.compile(
    f"(?P<unspaced>[{_UNSPACED}]+)|(?:(?![{_UNSPACED}])(?:[^\\W_]|[{_SPACED_MARKS}]))++"
)
_ASCII_WORD = re.compile("[a-z0-9]+")


class Term(NamedTuple):
    """What must be in a message: a whole term, or the beginning of one."""

    text: str
    prefix: bool


def fold(text: str) -> str:
    """The text without case, accents and compatibility forms."""
    if text.isascii():
        return text.lower()
    text = _KEYCAP.sub(lambda match: chr(_KEYCAPS + ord(match[1])), text.translate(_LETTERLIKE))
    text = _FLAG.sub(lambda match: match[1] + chr(_SECOND_LETTERS + ord(match[2])), text)
    decomposed = _IGNORED.sub("", _normalized("NFKD", text).casefold())
    return _JOINER.sub("", _normalized("NFC", decomposed))


def _toneless(folded: str) -> str:
    return folded if folded.isascii() else _TONE.sub("", folded)


def _normalized(form: Literal["NFC", "NFKD"], text: str) -> str:
    """The same as unicodedata's, in pieces: that sorts the marks in a row one by one, and takes
    the square of the time for a text of nothing but marks."""
    if len(text) <= _PIECE:
        return unicodedata.normalize(form, text)
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = start + _PIECE
        # Where a character begins that no mark belongs to; marks without one are no language.
        while end > start + _PIECE // 2 and end < len(text) and not _starts(text[end]):
            end -= 1
        pieces.append(unicodedata.normalize(form, text[start:end]))
        start = end
    return "".join(pieces)


def _starts(character: str) -> bool:
    """Whether nothing before the character is ever composed with it, or sorted behind it."""
    if character.isascii():
        return True
    # Half-width voicing marks of Japanese, vowels and ends of Korean syllables are no marks.
    return not (
        unicodedata.category(character).startswith("M") or character in "\uff9e\uff9f"
    ) and not ("\u1160" <= character <= "\u11ff")


def terms(text: str) -> set[str]:
    """The terms a text is found by."""
    folded = fold(text)
    if folded.isascii():
        return {word[:MAX_TERM_CHARACTERS] for word in _ASCII_WORD.findall(folded)}
    found: set[str] = set()
    # Those of an emoji without its skin tone, too.
    for form in {folded, _toneless(folded)}:
        for match in _RUN.finditer(form):
            run = match[0]
            if match["unspaced"]:
                found.update(run[i : i + 2] for i in range(len(run)))
            else:
                found.add(run[:MAX_TERM_CHARACTERS])
    return found


def query_terms(text: str) -> list[Term]:
    """The terms that a message must all have to be found by this text; none: it finds nothing."""
    wanted: dict[Term, None] = {}
    for match in _RUN.finditer(fold(text)):
        run = match[0]
        if match["unspaced"] and len(run) > 1:
            wanted.update((Term(run[i : i + 2], False), None) for i in range(len(run) - 1))
        else:
            wanted[Term(run[:MAX_TERM_CHARACTERS], True)] = None
    return list(wanted)


class Query:
    """A text that is looked for, prepared for matching many messages.

    Stricter than the terms: characters of an unspaced script must stand side by side.
    """

    def __init__(self, text: str) -> None:
        self.terms = query_terms(text)
        self._words: list[str] = []
        self._runs: list[str] = []
        for match in _RUN.finditer(fold(text)):
            (self._runs if match["unspaced"] else self._words).append(match[0])

    def matches(self, text: str) -> bool:
        """Whether every word of the query is in the text. An empty query matches nothing."""
        if not self.terms:
            return False
        folded = fold(text)
        plain = _toneless(folded)
        # Words can only be at the start of a word if they are in it at all: cheap to rule out.
        if not all(run in (folded if _TONE.search(run) else plain) for run in self._runs):
            return False
        if not all(word in folded for word in self._words):
            return False
        if not self._words:
            return True
        words = sorted({m[0] for m in _RUN.finditer(folded) if not m["unspaced"]})
        # The first word that is not before the wanted one begins with it, if any does.
        return all(
            (at := bisect_left(words, wanted)) < len(words) and words[at].startswith(wanted)
            for wanted in self._words
        )
