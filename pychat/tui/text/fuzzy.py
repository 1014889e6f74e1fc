"""Fuzzy matching of names, in time linear in the name.

Textual's matcher is exponential for hostile names, and highlights through markup, which text from
peers must never reach.
"""

from __future__ import annotations

from typing import Final

BEST: Final = 4.0
"""Score of an exact match."""

Match = tuple[float, list[int]]
"""Score, higher is better, and the indices of the matched characters."""


def fuzzy(query: str, candidate: str) -> Match | None:
    """Match the characters of a query in order; return None if the candidate lacks one.

    Scores descend in this order: prefix, beginning of a word, substring, scattered letters.
    """
    query, lowered = query.casefold(), candidate.casefold()
    if len(lowered) != len(candidate):
        lowered = candidate.lower() if len(candidate.lower()) == len(candidate) else candidate
    at = lowered.find(query)
    if at != -1:
        word_start = at == 0 or not lowered[at - 1].isalnum()
        score = BEST if lowered == query else 3.0 if at == 0 else 2.5 if word_start else 2.0
        return score - len(candidate) / 1000, list(range(at, at + len(query)))
    positions: list[int] = []
    for character in query:
        if character.isspace():
            continue
        at = lowered.find(character, positions[-1] + 1 if positions else 0)
        if at == -1:
            return None
        positions.append(at)
    if not positions:
        return None
    spread = positions[-1] - positions[0] + 1
    return len(positions) / spread - len(candidate) / 1000, positions
