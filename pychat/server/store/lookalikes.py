"""Ids that look alike, by Unicode's table of confusable characters (UTS #39)."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

from pychat.protocol import canonical_id
from pychat.visible import visible


@lru_cache(maxsize=4096)
def lookalike_form(id: str) -> str:
    """The same for all ids that a reader might take for one another; ids are unique by it.

    What is beyond ASCII is taken for what it looks like: ``аlice`` with a Cyrillic а is ``alice``.
    ASCII stands for itself, though 1 looks like l: bot1 and botl may both be. What shows nothing is
    left out, and spaces in a row are one.
    """
    canonical = visible(canonical_id(id))
    if canonical.isascii():
        return canonical
    looks = _looks()
    decomposed = unicodedata.normalize("NFD", canonical)
    shown = "".join(c if c.isascii() else _digit(c) or looks.get(c, c) for c in decomposed)
    return visible(canonical_id(unicodedata.normalize("NFC", shown)))


def _digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return "" if value is None else str(value)


@cache
def _looks() -> dict[str, str]:
    """From each character beyond ASCII to the one that stands for all those it looks like."""
    # Read here: it is a megabyte, and most servers see no id beyond ASCII for a while.
    from confusable_homoglyphs.confusables import confusables_data

    parents: dict[str, str] = {}

    def find(character: str) -> str:
        while (parent := parents.get(character, character)) != character:
            character = parent
        return character

    for character, others in confusables_data.items():
        # The table has marks of direction around what is written from right to left.
        pair = [character.strip("\u200e"), *(other["c"].strip("\u200e") for other in others)]
        singles = [c for c in pair if len(c) == 1]
        if singles and len(pair[0]) == 1:
            for other in singles[1:]:
                first, second = sorted((find(singles[0]), find(other)), key=_rank)
                parents[second] = first
    return {c: find(c) for c in parents if not c.isascii()}


def _rank(character: str) -> tuple[bool, bool, str]:
    """The one that stands for the others comes first: a small letter of ASCII, if there is one."""
    return not character.isascii(), not character.islower(), character
