"""Purpose: what the text in the composer is for: a reply or an edit; and the line that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from pychat.client.models import MessageInfo
from pychat.tui.text.names import fitted


@dataclass(slots=True)
class Purpose:
    """A reply to a message, or an edit of it. ``text``: of an edit, as far as it is written."""

    kind: Literal["reply", "edit"]
    message: MessageInfo
    text: str = ""

    def is_for(self, message: MessageInfo) -> bool:
        """Whether this is the message, perhaps as it is now."""
        if self.message.seq:
            return message.seq == self.message.seq
        return bool(message.client_id) and message.client_id == self.message.client_id


class PurposeLine(Widget):
    """One row above the composer, hidden without a text. A click cancels like Esc.

    ``text`` must be safe.
    """

    text = reactive("")

    def watch_text(self, text: str) -> None:
        self.set_class(bool(text), "-shown")

    def render(self) -> Content:
        hint = "  Esc cancels"
        text = fitted(self.text, self.content_size.width - len(hint))
        return Content.assemble((text, "$accent"), (hint, "$foreground 72%"))

    async def on_click(self) -> None:
        await self.run_action("screen.cancel_purpose")
