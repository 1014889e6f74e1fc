"""One spelling for the emoji of reactions, which can be encoded in several ways that look alike."""

from __future__ import annotations

import unicodedata
from typing import Final

_JOINER: Final = "\u200d"
_SELECTORS: Final = "\ufe0e\ufe0f"
"""They ask for the black and white or the coloured form of the character before them."""
_COLOURED: Final = "\ufe0f"
_KEYCAP: Final = "\u20e3"
_BLACK_FLAG: Final = "\U0001f3f4"
_TAGS: Final = range(0xE0020, 0xE0080)
"""After a black flag they name a region. Elsewhere they are invisible."""
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_LETTERS_OF_FLAGS: Final = range(0x1F1E6, 0x1F200)
_COLOURED_SIGNS: Final = frozenset("‼⁉ℹ↔⤴⤵◻◼")
"""Emoji that Unicode classifies as punctuation, letters or mathematical symbols."""


def normal_emoji(emoji: str) -> str:
    """Return the emoji without invisible characters that do not change it.

    Of joiners and tags only those remain that are part of a sequence. A character that is black and
    white by default is followed by the selector of its coloured form (``❤`` becomes ``❤️``), all
    others by none. Words remain as they are.
    """
    bare = "".join(each for each in emoji if each not in _SELECTORS).strip(_JOINER)
    kept: list[str] = []
    in_flag = False
    for each, following in zip(bare, (*bare[1:], ""), strict=True):
        is_tag = ord(each) in _TAGS
        in_flag = each == _BLACK_FLAG or (in_flag and is_tag)
        if (each == following == _JOINER) or (is_tag and not in_flag):
            continue
        kept.append(each)
        if _takes_selector(each, following):
            kept.append(_COLOURED)
    return "".join(kept)


def _takes_selector(each: str, following: str) -> bool:
    if each.isascii():
        return following == _KEYCAP
    if following and ord(following) in _SKIN_TONES:
        return False
    if each in _COLOURED_SIGNS:
        return True
    symbol = unicodedata.category(each) == "So" and ord(each) not in _LETTERS_OF_FLAGS
    # Emoji that are coloured by default are wide.
    return symbol and unicodedata.east_asian_width(each) != "W"
