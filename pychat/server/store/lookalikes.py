"""Look-alike forms of ids, from Unicode's table of confusable characters (UTS #39)."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

from pychat.protocol import canonical_id
from pychat.visible import visible


@lru_cache(maxsize=4096)
def lookalike_form(id: str) -> str:
    """Return a form that is equal for ids that look alike. The form of each account is unique.

    A character beyond ASCII is replaced by the one it looks like: ``аlice`` with a Cyrillic а
    becomes ``alice``. ASCII characters stay: bot1 and botl may both exist, although 1 looks like l.
    Invisible characters are removed, and consecutive spaces become one.
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
    """Map each character beyond ASCII to the representative of all characters that look like it."""
    # Imported here because the table takes a megabyte, and many servers only see ASCII ids.
    from confusable_homoglyphs.confusables import confusables_data

    parents: dict[str, str] = {}

    def find(character: str) -> str:
        while (parent := parents.get(character, character)) != character:
            character = parent
        return character

    for character, others in confusables_data.items():
        # The table has directional marks around right-to-left characters.
        pair = [character.strip("\u200e"), *(other["c"].strip("\u200e") for other in others)]
        singles = [c for c in pair if len(c) == 1]
        if singles and len(pair[0]) == 1:
            for other in singles[1:]:
                first, second = sorted((find(singles[0]), find(other)), key=_rank)
                parents[second] = first
    return {c: find(c) for c in parents if not c.isascii()}


def _rank(character: str) -> tuple[bool, bool, str]:
    """Sort key: the representative comes first, a lower-case ASCII letter if there is one."""
    return not character.isascii(), not character.islower(), character
