"""Completions: what the composer offers while one types, in a small list above it."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from pychat.tui.model.completion import Candidate


class Completions(OptionList, can_focus=False):
    """Never has the focus: the composer passes the keys on."""

    class Chosen(TextualMessage):
        """Clicked."""

        def __init__(self, candidate: Candidate) -> None:
            super().__init__()
            self.candidate = candidate

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._candidates: list[Candidate] = []

    @property
    def chosen(self) -> Candidate | None:
        """The one that is highlighted, while any are shown."""
        index = self.highlighted
        return self._candidates[index] if self._candidates and index is not None else None

    def offer(self, candidates: list[Candidate]) -> None:
        """Shows these; none hides the list."""
        if candidates == self._candidates:
            return
        self._candidates = candidates
        self.set_class(bool(candidates), "-shown")
        width = max((cell_len(candidate.shown) for candidate in candidates), default=0)
        self.set_options(
            Option(
                Content.assemble(
                    (set_cell_size(candidate.shown, width), "$foreground"),
                    (f"  {candidate.detail}", "$foreground 72%"),
                )
            )
            for candidate in candidates
        )
        self.highlighted = 0 if candidates else None

    def move(self, by: int) -> None:
        """Highlights the next or the previous one, around the ends."""
        if self._candidates:
            self.highlighted = ((self.highlighted or 0) + by) % len(self._candidates)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Chosen(self._candidates[event.option_index]))
