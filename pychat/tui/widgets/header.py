"""ConversationHeader: the name of the open conversation, presence and typing."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from pychat.client.models import ConversationInfo
from pychat.protocol import EVERYONE
from pychat.tui.clock import Clock
from pychat.tui.model.conversations import is_pair
from pychat.tui.text.names import Name, line, typing_line


class ConversationHeader(Widget):
    """One row above the log."""

    title: reactive[Name | None] = reactive(None)
    detail = reactive("")
    online: reactive[bool | None] = reactive(None)
    typing = reactive("")

    def __init__(self, clock: Clock, *, id: str) -> None:
        super().__init__(id=id)
        self._clock = clock

    def show(
        self,
        title: Name | None,
        conversation: ConversationInfo | None,
        typing: tuple[Name, ...],
        *,
        connected: bool,
        unknown: bool,
    ) -> None:
        """Update the row. ``typing``: people who are typing. Presence is known only while
        ``connected``; ``unknown``: the server has no account with this id."""
        self.title = title
        if conversation is None:
            self.online, self.typing, self.detail = None, "", ""
            return
        pair = is_pair(conversation.name)
        self.online = conversation.online if pair and connected else None
        self.typing = typing_line(typing, in_pair=pair)
        if not pair:
            self.detail = _description(conversation)
        elif conversation.blocked:
            self.detail = f"blocked · undo with /unblock {line(conversation.name)}"
        elif not connected:
            self.detail = "not connected"
        elif unknown:
            self.detail = "no such account"
        else:
            self.detail = self._presence(conversation)

    def _presence(self, conversation: ConversationInfo) -> str:
        if conversation.online:
            return "online"
        if conversation.last_seen is not None:
            return f"last seen {self._clock.since(conversation.last_seen)}"
        return "offline"

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


def _description(conversation: ConversationInfo) -> str:
    if conversation.name == EVERYONE:
        return "everyone on this server"
    alias = line(conversation.alias)
    return alias if alias != line(conversation.name[1:]) else ""
