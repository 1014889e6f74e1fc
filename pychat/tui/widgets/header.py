"""ConversationHeader: with whom one talks, and whether they are there, typing or gone."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget


class ConversationHeader(Widget):
    """One row; all text comes safe from above."""

    title = reactive("", layout=False)
    detail = reactive("")
    online: reactive[bool | None] = reactive(None)
    typing = reactive("")

    def render(self) -> Content:
        if not self.title:
            return Content("")
        parts: list[Content | tuple[str, str]] = []
        if self.online is not None:
            parts.append(("● ", "$success") if self.online else ("○ ", "$foreground 50%"))
        parts.append((self.title, "bold"))
        if self.typing:
            parts.append((f"  {self.typing}", "italic $accent"))
        elif self.detail:
            parts.append((f"  {self.detail}", "$foreground 55%"))
        return Content.assemble(*parts)
