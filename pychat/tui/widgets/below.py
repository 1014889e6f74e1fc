"""Below: one quiet row while one reads further up: how many messages are unread."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from pychat.tui.commands.keys import shortest


class Below(Widget):
    """A blank row while the log is at its end."""

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
