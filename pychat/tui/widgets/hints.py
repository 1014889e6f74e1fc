"""Hints that name keys: the welcome text, and the row below the log while it is scrolled up."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from pychat.tui.commands.keys import KEYS, WELCOME, shortest


class Welcome(Static):
    """Shown while no conversation is open.

    ``user`` must be safe text; ``rebound``: keys changed in the settings.
    """

    def __init__(self, user: str, rebound: Mapping[str, str], *, id: str | None = None) -> None:
        super().__init__(_welcome(user, rebound), id=id, markup=False)


def _welcome(user: str, rebound: Mapping[str, str]) -> Content:
    table = {key.id: key for key in KEYS}
    rows: list[Content | str | tuple[str, str]] = [
        ("Welcome, ", "bold"),
        (user, "bold $primary"),
        "\n\n",
        ("To start a chat, press ", "$foreground 72%"),
        (shortest("switch", rebound), "$primary"),
        (" and type a name", "$foreground 72%"),
        "\n",
    ]
    for id in WELCOME:
        rows += [
            "\n",
            (f"{shortest(id, rebound):>8}", "$primary"),
            (f"   {table[id].does}", "$foreground 72%"),
        ]
    return Content.assemble(*rows)


class NewestHint(Widget):
    """The row below the log: number of unread messages and the key that goes to the newest.

    It is blank, but keeps its row, while the log is at its end.
    """

    shown = reactive(False)
    unread = reactive("")

    def __init__(self, rebound: Mapping[str, str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key = shortest("scroll_end", rebound)

    def watch_shown(self, shown: bool) -> None:
        self.set_class(shown, "-shown")

    def render(self) -> Content:
        if self.unread:
            return Content.assemble(
                (f"↓ {self.unread} unread", "$accent"), (f"  {self._key}", "$foreground 72%")
            )
        return Content.styled(f"↓ {self._key}", "$foreground 72%")

    async def on_click(self) -> None:
        await self.run_action("screen.log_end")
