"""HelpScreen: all keys and commands, made from their tables."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from pychat.tui.commands.keys import KEYS, keys_of, show
from pychat.tui.commands.slash import COMMANDS
from pychat.tui.screens.dialog import Dialog

WIDE: Final = 56
"""Width in cells from which two keys of an action fit."""


class HelpScreen(Dialog[None]):
    """Close on Esc or on the key that opens the help, and on no key that types text."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", show=False, priority=True),
    ]

    def __init__(self, rebound: Mapping[str, str]) -> None:
        super().__init__()
        self._rebound = rebound

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(markup=False)

    def on_resize(self) -> None:
        self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        text = self.query_one(Static)
        text.update(help_text(self._rebound, text.size.width))


def help_text(rebound: Mapping[str, str], width: int) -> Content:
    """Lay out the keys by group, then the commands, in two columns.

    ``rebound``: keys changed in the settings; ``width``: cells of both columns together.
    """
    column = 22 if width >= WIDE else 12
    shown = 2 if width >= WIDE else 1

    def entry(name: str, does: str) -> list[tuple[str, str]]:
        lines = wrap(does, max(10, width - column - 2))
        indent = f"\n{'':{column + 2}}"
        head = f"  {name:<{column}}" + (indent if len(name) >= column else "")
        return [(head, "$foreground"), (f"{indent.join(lines)}\n", "$foreground 72%")]

    parts: list[str | tuple[str, str]] = []
    for group in dict.fromkeys(key.group for key in KEYS):
        parts.append((f"{group}\n", "bold $primary"))
        for key in KEYS:
            if key.group == group:
                names = "  ".join(show(name) for name in keys_of(key, rebound)[:shown])
                parts += entry(names, key.does)
        parts.append("\n")
    parts.append(("Commands\n", "bold $primary"))
    for command in COMMANDS:
        written = f"/{command.name} {command.arguments}".rstrip()
        parts += entry(written, command.does)
    return Content.assemble(*parts)
