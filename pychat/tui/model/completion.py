"""What the composer can complete: commands at the start, emoji by ``:name:``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pychat.tui.commands.slash import COMMANDS
from pychat.tui.text.fuzzy import fuzzy

SHOWN: Final = 8
_COMMAND: Final = re.compile(r"^/([a-z]*)$")
_EMOJI: Final = re.compile(r"(?:^|(?<=[\s(])):([a-z0-9_+-]{2,})$")
_CLOSED_EMOJI: Final = re.compile(r"(?:^|(?<=[\s(])):([a-z0-9_+-]{2,}):$")


@dataclass(frozen=True, slots=True)
class Candidate:
    """``insert`` replaces the line from ``start`` to the cursor."""

    start: int
    insert: str
    shown: str
    detail: str


def candidates(line: str, *, first_line: bool) -> list[Candidate]:
    """What the line, up to the cursor, may be meant to become; best first."""
    command = _COMMAND.match(line) if first_line else None
    if command is not None:
        return [
            Candidate(0, f"/{item.name} ", f"/{item.name} {item.arguments}".rstrip(), item.does)
            for item in COMMANDS
            if item.name.startswith(command[1])
        ]
    emoji = _EMOJI.search(line)
    return _emoji_candidates(emoji[1], emoji.start()) if emoji is not None else []


def _emoji_candidates(name: str, start: int) -> list[Candidate]:
    scored = []
    for known in emoji_names():
        match = fuzzy(name, known)
        if match is not None and match[0] >= 2:
            scored.append((-match[0], known))
    return [
        Candidate(start, emoji_names()[known], emoji_names()[known], f":{known}:")
        for _, known in sorted(scored)[:SHOWN]
    ]


def closed_emoji(line: str) -> tuple[int, str] | None:
    """Where a ``:name:`` that has just been closed begins, and its emoji."""
    match = _CLOSED_EMOJI.search(line)
    if match is None or match[1] not in emoji_names():
        return None
    return match.start(), emoji_names()[match[1]]


@lru_cache(maxsize=1)
def emoji_names() -> dict[str, str]:
    """Names as other chats know them. Rich has the table, under a private name."""
    from rich._emoji_codes import EMOJI

    return {
        name.replace(" ", "_").replace("-", "_"): emoji
        for name, emoji in EMOJI.items()
        if "skin_tone" not in name and ":" not in name
    }
