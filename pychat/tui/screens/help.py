"""Help: every key and command, made from their tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from pychat.tui.commands import COMMANDS
from pychat.tui.keys import KEYS, keys_of, show


class Help(ModalScreen[None]):
    """Closed by escape, or the key that opens it: by nothing that somebody may type."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", show=False, priority=True),
    ]

    def __init__(self, rebound: Mapping[str, str]) -> None:
        super().__init__()
        self._rebound = rebound

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(help_text(self._rebound), markup=False)


def help_text(rebound: Mapping[str, str]) -> Content:
    """Groups of keys with what they do, then the commands."""
    parts: list[str | tuple[str, str]] = []
    for group in dict.fromkeys(key.group for key in KEYS):
        parts.append((f"{group}\n", "bold $primary"))
        for key in KEYS:
            if key.group == group:
                names = "  ".join(show(name) for name in keys_of(key, rebound)[:2])
                parts += [(f"  {names:<22}", "$foreground"), (f"{key.does}\n", "$foreground 65%")]
        parts.append("\n")
    parts.append(("Commands\n", "bold $primary"))
    for command in COMMANDS:
        written = f"/{command.name} {command.arguments}".rstrip()
        parts += [(f"  {written:<22}", "$foreground"), (f"{command.does}\n", "$foreground 65%")]
    return Content.assemble(*parts)
