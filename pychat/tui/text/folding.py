"""Long pastes, folded to a mark in the composer: a text area redraws a long line at every key."""

from __future__ import annotations

from typing import Final

FOLDED_FROM: Final = 4_000
"""Characters. What is shorter is edited as it is."""


class PasteFolds:
    """Marks and what they stand for."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def fold(self, text: str) -> str:
        """The text itself, or a mark for it where it is long."""
        if len(text) < FOLDED_FROM:
            return text
        mark = f"[paste {len(self._texts) + 1}: {len(text):,} characters]"
        self._texts[mark] = text
        return mark

    def expand(self, text: str) -> str:
        """The text with every whole mark replaced by what it stands for."""
        for mark, folded in self._texts.items():
            text = text.replace(mark, folded, 1)
        return text

    def mark_before(self, text: str) -> str:
        """The mark that a text ends with; empty if there is none."""
        return next((mark for mark in self._texts if text.endswith(mark)), "")

    def clear(self) -> None:
        """Another text begins."""
        self._texts.clear()
