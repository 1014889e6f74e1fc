"""Fuzzy matching for the switcher: linear in the candidate, whatever a stranger is called.

(Textual's own tries all alignments, which a hostile name makes exponential, and highlights through
markup, which peer text must never reach.)
"""

from __future__ import annotations

from typing import Final

BEST: Final = 4.0
"""The score of what was asked for, letter by letter."""

Match = tuple[float, list[int]]
"""Score, higher is better, and the indices of the matched characters."""


def fuzzy(query: str, candidate: str) -> Match | None:
    """How well the candidate has the query's characters in order; None if it has not.

    A prefix is better than a word's beginning, that than a substring, that than scattered letters.
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
