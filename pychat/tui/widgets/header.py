"""ConversationHeader: with whom one talks, and whether they are there, typing or gone."""

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
    """One row; all text comes safe from above."""

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
        nobody: bool,
    ) -> None:
        """As it is now. ``typing``: who is. While not ``connected``, nobody knows who is there;
        ``nobody``: the server has said that there is nobody of this id."""
        self.title = title
        if conversation is None:
            self.online, self.typing, self.detail = None, "", ""
            return
        pair = is_pair(conversation.name)
        self.online = conversation.online if pair and connected else None
        self.typing = typing_line(typing, in_pair=pair)
        if not pair:
            self.detail = _about_many(conversation)
        elif conversation.blocked:
            self.detail = f"blocked: /unblock {line(conversation.name)} takes it back"
        elif not connected:
            self.detail = "not connected"
        elif nobody:
            self.detail = "nobody has this id"
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


def _about_many(conversation: ConversationInfo) -> str:
    if conversation.name == EVERYONE:
        return "all on this server"
    alias = line(conversation.alias)
    return alias if alias != line(conversation.name[1:]) else ""
