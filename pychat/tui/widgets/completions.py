"""Completions: commands, files, people and emoji, offered in a list above the composer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rich.cells import cell_len, set_cell_size
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from pychat.tui.commands.slash import COMMANDS
from pychat.tui.model.finder import fuzzy
from pychat.tui.model.paths import complete_path
from pychat.tui.text.names import Name

MAX_EMOJI: Final = 8
_COMMAND: Final = re.compile(r"^/([a-z]*)$")
_FILE: Final = re.compile(r"^/file ([^\s].*|)$")
_MENTION: Final = re.compile(r"(?:^|(?<=[\s(]))@([^\s@]{0,64})$")
_EMOJI: Final = re.compile(r"(?:^|(?<=[\s(])):([a-z0-9_+-]{2,})$")
_CLOSED_EMOJI: Final = re.compile(r"(?:^|(?<=[\s(])):([a-z0-9_+-]{2,}):$")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A completion: ``insert`` replaces the line from ``start`` to the cursor."""

    start: int
    insert: str
    shown: str
    detail: str


def candidates(
    line: str, *, first_line: bool, mentionable: Callable[[str], list[Name]]
) -> list[Candidate]:
    """Return the completions of a line up to the cursor, best first.

    Commands are offered in the first line only. ``mentionable``: returns the people whom the
    letters after an ``@`` may mean.
    """
    command = _COMMAND.match(line) if first_line else None
    if command is not None:
        return [
            Candidate(0, f"/{item.name} ", f"/{item.name} {item.arguments}".rstrip(), item.does)
            for item in COMMANDS
            if item.name.startswith(command[1])
        ]
    path = _FILE.match(line) if first_line else None
    if path is not None:
        return [
            Candidate(path.start(1), each.typed, each.name, "folder" if each.folder else "")
            for each in complete_path(path[1])
        ]
    mention = _MENTION.search(line)
    if mention is not None:
        return [
            Candidate(
                mention.start(),
                f"@{name.id} ",
                f"@{name.id}",
                name.called if name.called != name.id else "",
            )
            for name in mentionable(mention[1])
        ]
    emoji = _EMOJI.search(line)
    return _emoji_candidates(emoji[1], emoji.start()) if emoji is not None else []


def _emoji_candidates(name: str, start: int) -> list[Candidate]:
    return [
        Candidate(start, emoji_names()[known], emoji_names()[known], f":{known}:")
        for known in _found_names(name)[:MAX_EMOJI]
    ]


def found_emoji(name: str, limit: int) -> list[str]:
    """Return the emoji whose names match best, best first."""
    return [emoji_names()[known] for known in _found_names(name)[:limit]]


def _found_names(name: str) -> list[str]:
    scored = []
    for known in emoji_names():
        match = fuzzy(name, known)
        if match is not None and match[0] >= 2:
            scored.append((-match[0], known))
    return [known for _, known in sorted(scored)]


def closed_emoji(line: str) -> tuple[int, str] | None:
    """Return the start of a ``:name:`` at the end of the line, and its emoji; None without one."""
    match = _CLOSED_EMOJI.search(line)
    if match is None or match[1] not in emoji_names():
        return None
    return match.start(), emoji_names()[match[1]]


@lru_cache(maxsize=1)
def emoji_names() -> dict[str, str]:
    """Return emoji by the names that other chat programs use, from Rich's private table."""
    from rich._emoji_codes import EMOJI

    return {
        name.replace(" ", "_").replace("-", "_"): emoji
        for name, emoji in EMOJI.items()
        if "skin_tone" not in name and ":" not in name
    }


class Completions(OptionList, can_focus=False):
    """The list. It never has the focus: the composer passes on the keys."""

    class Chosen(TextualMessage):
        """A candidate was clicked."""

        def __init__(self, candidate: Candidate) -> None:
            super().__init__()
            self.candidate = candidate

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._candidates: list[Candidate] = []

    @property
    def chosen(self) -> Candidate | None:
        """The highlighted candidate; None while the list is hidden."""
        index = self.highlighted
        return self._candidates[index] if self._candidates and index is not None else None

    def offer(self, candidates: list[Candidate]) -> None:
        """Show these candidates. An empty list hides the widget."""
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
        """Highlight the next or the previous candidate; after the last comes the first."""
        if self._candidates:
            self.highlighted = ((self.highlighted or 0) + by) % len(self._candidates)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Chosen(self._candidates[event.option_index]))
