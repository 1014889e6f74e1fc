"""What a name shows: characters that show nothing make it look like another's."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise
from typing import Final

# Default_Ignorable_Code_Point of Unicode 16 (UAX #44, DerivedCoreProperties.txt): what a program
# shows as nothing where it does not support it. Assigned for good: new characters come from the
# ranges that are here already. unicodedata does not have the property.
IGNORABLE: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
# Blank, though Unicode counts them as something to see: a Braille pattern without dots, a filler
# of Khitan, a note without a head.
BLANK: Final = "\u2800\U00016fe4\U0001d159"

_NOTHING: Final = re.compile(
    f"[{IGNORABLE}{BLANK}\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufff9-\ufffb]"
)
_PRESENTATION: Final = "\ufe0e\ufe0f"
"""Says whether the symbol before it is an emoji: ❤️."""


def visible(text: str) -> str:
    """What of a text can be seen: spaces of any kind in a row are one, and none are at its ends."""
    return " ".join(_NOTHING.sub("", text).split())


def shown_name(name: str, id: str) -> str:
    """The name, or the id where the name shows nothing."""
    return name if visible(name) else id


def shows_only(text: str) -> bool:
    """Whether a name has nothing in it that does not show, but for the way a symbol is drawn."""
    drawn = "".join(
        character
        for before, character in pairwise(f" {text}")
        if not (character in _PRESENTATION and unicodedata.category(before)[0] in "SP")
    )
    return visible(drawn) == drawn
