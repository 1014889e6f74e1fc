"""ConversationHeader: with whom one talks, and whether they are there, typing or gone."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from pychat.tui.names import Name


class ConversationHeader(Widget):
    """One row; all text comes safe from above."""

    title: reactive[Name | None] = reactive(None)
    detail = reactive("")
    online: reactive[bool | None] = reactive(None)
    typing = reactive("")

    def render(self) -> Content:
        if self.title is None:
            return Content("")
        parts: list[Content | tuple[str, str]] = []
        if self.online is not None:
            parts.append(("● ", "$success") if self.online else ("○ ", "$foreground 72%"))
        name = self.title.fitted(max(8, self.content_size.width - 2))
        parts.append((name.called, "bold"))
        if name.id:
            parts.append((f" {name.id}", "$foreground 72%"))
        if self.typing:
            parts.append((f"  {self.typing}", "italic $accent"))
        elif self.detail:
            parts.append((f"  {self.detail}", "$foreground 72%"))
        return Content.assemble(*parts)
