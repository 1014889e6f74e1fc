"""Search terms of a text: the one rule for the indexes of all stores and for scanning.

Case and accents are ignored. In scripts with spaces between words, a word is one term, and search
matches its beginning. Text in Chinese, Japanese, Korean and the scripts of South-East Asia is cut
into overlapping pairs of characters, so that search matches anywhere. So are emoji and symbols:

- colour and text presentation are equal: ❤ and ❤️;
- an emoji without a skin tone matches it with any skin tone, one with a skin tone only that;
- a joined emoji matches itself, and each part matches it: 👩‍🚀 is found by 👩‍🚀, 👩 and 🚀;
- a flag matches only itself, not two letters of adjacent flags; a keycap is not found by its digit.

A change of this module changes the index of existing stores. They must index their messages again:
see ``sqlite/schema.py`` and ``mongodb/schema.py``.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from typing import Literal, NamedTuple

MAX_TERM_CHARACTERS = 40
_PIECE = 256
"""Number of characters to normalize at once."""

# Accents of Latin, Greek and Cyrillic, vowel points of Hebrew and Arabic, variation selectors.
# Not marks that form another letter, such as Japanese voicing marks and Indic vowels.
_IGNORED = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f"
    "\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
)

_SYMBOLS = (
    "\u00a9\u00ae\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d"
    "\U0001f000-\U0001faff"
)
"""Emoji, and the blocks that contain some: technical signs, shapes, dingbats, arrows."""
_TONES = "\U0001f3fb-\U0001f3ff"
_LETTERS_OF_FLAGS = "\U0001f1e6-\U0001f1ff"
_TAGS = "\U000e0020-\U000e007f"
"""The part after the black flag in flags of regions: 🏴󠁧󠁢󠁥󠁮󠁧󠁿."""

# Private-use characters replace what must match as a whole: keycaps, the second letters of flags,
# and emoji whose compatibility forms are letters or "!!".
_WHOLE = "\U000f0000-\U000f01ff"
_LETTERLIKE = {ord(emoji): 0xF0000 + number for number, emoji in enumerate("‼⁉™ℹⓂ")}
_KEYCAP = re.compile("([0-9#*])\ufe0f?\u20e3")
_KEYCAPS = 0xF0100
_FLAG = re.compile(f"([{_LETTERS_OF_FLAGS}])([{_LETTERS_OF_FLAGS}])")
_SECOND_LETTERS = 0xF0180 - 0x1F1E6
_TONE = re.compile(f"[{_TONES}]")
# The zero width joiner joins emoji. Between letters it only affects their shape.
_JOINER = re.compile(f"(?<![{_SYMBOLS}])\u200d|\u200d(?![{_SYMBOLS}])")

# Thai to Myanmar, Hangul jamo, Khmer, kana, Han, Hangul, symbols.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u200d\u3005-\u3007\u3031-\u3035"
    "\u3041-\u30fa\u30fc-\u318f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f"
    f"\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff{_SYMBOLS}{_TAGS}{_WHOLE}"
)
# Indic vowels and viramas are marks, which \w does not match.
_SPACED_MARKS = "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0980-\u0983\u09bc-\u0dff"
_RUN = re.compile(
    f"(?P<unspaced>[{_UNSPACED}]+)|(?:(?![{_UNSPACED}])(?:[^\\W_]|[{_SPACED_MARKS}]))++"
)
_ASCII_WORD = re.compile("[a-z0-9]+")


class Term(NamedTuple):
    """A term that a message must contain, or (``prefix``) the beginning of one."""

    text: str
    prefix: bool


def fold(text: str) -> str:
    """Return the text without case, accents and compatibility forms."""
    if text.isascii():
        return text.lower()
    text = _KEYCAP.sub(lambda match: chr(_KEYCAPS + ord(match[1])), text.translate(_LETTERLIKE))
    text = _FLAG.sub(lambda match: match[1] + chr(_SECOND_LETTERS + ord(match[2])), text)
    decomposed = _IGNORED.sub("", _normalized("NFKD", text).casefold())
    return _JOINER.sub("", _normalized("NFC", decomposed))


def _toneless(folded: str) -> str:
    return folded if folded.isascii() else _TONE.sub("", folded)


def _normalized(form: Literal["NFC", "NFKD"], text: str) -> str:
    """Do the same as ``unicodedata.normalize`` in linear time: it takes quadratic time for a long
    sequence of combining marks, so this cuts the text into pieces."""
    if len(text) <= _PIECE:
        return unicodedata.normalize(form, text)
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = start + _PIECE
        # Cut before a character that does not combine with what precedes it. A longer sequence of
        # marks is no language: cut anywhere.
        while end > start + _PIECE // 2 and end < len(text) and not _starts(text[end]):
            end -= 1
        pieces.append(unicodedata.normalize(form, text[start:end]))
        start = end
    return "".join(pieces)


def _starts(character: str) -> bool:
    """Return whether normalization never combines or reorders the character with preceding
    ones."""
    if character.isascii():
        return True
    # Half-width Japanese voicing marks and Korean vowels and finals are not of category M.
    return not (
        unicodedata.category(character).startswith("M") or character in "\uff9e\uff9f"
    ) and not ("\u1160" <= character <= "\u11ff")


def terms(text: str) -> set[str]:
    """Return the terms by which a text is found."""
    folded = fold(text)
    if folded.isascii():
        return {word[:MAX_TERM_CHARACTERS] for word in _ASCII_WORD.findall(folded)}
    found: set[str] = set()
    # Also index emoji without their skin tones.
    for form in {folded, _toneless(folded)}:
        for match in _RUN.finditer(form):
            run = match[0]
            if match["unspaced"]:
                found.update(run[i : i + 2] for i in range(len(run)))
            else:
                found.add(run[:MAX_TERM_CHARACTERS])
    return found


def query_terms(text: str) -> list[Term]:
    """Return the terms that a message must all contain to match this text. If there are none,
    nothing matches."""
    wanted: dict[Term, None] = {}
    for match in _RUN.finditer(fold(text)):
        run = match[0]
        if match["unspaced"] and len(run) > 1:
            wanted.update((Term(run[i : i + 2], False), None) for i in range(len(run) - 1))
        else:
            wanted[Term(run[:MAX_TERM_CHARACTERS], True)] = None
    return list(wanted)


def conversation_term(conversation: int) -> str:
    """Return the term of all messages of a conversation. No word starts with an underscore."""
    return f"_c{conversation}"


def account_term(account: int) -> str:
    """Return the term of all messages of an account's one-to-one conversations."""
    return f"_a{account}"


class Query:
    """A search text, prepared for matching many messages.

    It is stricter than its ``terms``: characters of an unspaced script must be adjacent.
    """

    def __init__(self, text: str) -> None:
        self.terms = query_terms(text)
        self.is_blank = not text.strip()
        self._words: list[str] = []
        self._runs: list[str] = []
        for match in _RUN.finditer(fold(text)):
            (self._runs if match["unspaced"] else self._words).append(match[0])

    @property
    def rarest(self) -> Term:
        """The longest term: an index probably has the fewest entries for it."""
        return max(self.terms, key=lambda term: len(term.text))

    def matches(self, text: str) -> bool:
        """Return whether the text contains every word of the query. Without terms, it does not."""
        if not self.terms:
            return False
        folded = fold(text)
        plain = _toneless(folded)
        # First rule out texts cheaply that do not contain the words at all.
        if not all(run in (folded if _TONE.search(run) else plain) for run in self._runs):
            return False
        if not all(word in folded for word in self._words):
            return False
        if not self._words:
            return True
        words = sorted({m[0] for m in _RUN.finditer(folded) if not m["unspaced"]})
        # If a word has the prefix, the first word that is not less than the prefix has it.
        return all(
            (at := bisect_left(words, wanted)) < len(words) and words[at].startswith(wanted)
            for wanted in self._words
        )
