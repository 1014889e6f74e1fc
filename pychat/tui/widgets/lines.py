"""Lines around the log: the header, hints, and the status line."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from pychat.client.models import ConnectionState, ConversationInfo, Status
from pychat.protocol import EVERYONE, MAX_TOPIC_CHARACTERS, Availability
from pychat.tui.clock import Clock
from pychat.tui.commands.keys import KEYS, WELCOME, shortest
from pychat.tui.model.conversations import is_pair
from pychat.tui.text.names import Name, fitted, line, status_line, typing_line


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
        status = status_line(conversation.status, conversation.status_text)
        if conversation.online:
            chosen = conversation.status is not Availability.ONLINE
            return status if chosen else " · ".join(filter(None, ("online", status)))
        seen = "offline"
        if conversation.last_seen is not None:
            seen = f"last seen {self._clock.since(conversation.last_seen)}"
        return " · ".join(filter(None, (seen, status)))

    def render(self) -> Content:
        if self.title is None:
            return Content("")
        parts: list[tuple[str, str]] = []
        if self.online is not None:
            parts.append(("● ", "$success") if self.online else ("○ ", "$foreground 72%"))
        name = self.title.fitted(max(8, self.content_size.width - 2))
        parts.append((name.called, "bold"))
        if name.id:
            parts.append((f" {name.id}", "$foreground 72%"))
        if self.typing:
            parts.append((f"  {self.typing}", "italic $accent"))
        elif self.detail:
            used = sum(cell_len(text) for text, _ in parts) + 2
            rest = fitted(self.detail, self.content_size.width - used)
            parts.append((f"  {rest}", "$foreground 72%"))
        return Content.assemble(*parts)


def _description(conversation: ConversationInfo) -> str:
    if conversation.name == EVERYONE:
        return "everyone on this server"
    if conversation.topic:
        return line(conversation.topic, MAX_TOPIC_CHARACTERS)
    alias = line(conversation.alias)
    return alias if alias != line(conversation.name[1:]) else ""


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
    """The row below the log: the keys of the selected message, or else the number of unread
    messages and the key that goes to the newest.

    It is blank, but keeps its row, while the log is at its end.
    """

    shown = reactive(False)
    unread = reactive("")
    actions: reactive[tuple[str, ...]] = reactive(())
    """Keys of the selected message and what they do, the most useful last."""

    def __init__(self, rebound: Mapping[str, str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key = shortest("scroll_end", rebound)

    def watch_shown(self, shown: bool) -> None:
        self.set_class(shown or bool(self.actions), "-shown")

    def watch_actions(self, actions: tuple[str, ...]) -> None:
        self.set_class(self.shown or bool(actions), "-shown")

    def render(self) -> Content:
        if self.actions:
            actions = list(self.actions)
            while len(actions) > 1 and sum(len(each) + 2 for each in actions) > self.size.width - 2:
                del actions[0]
            return Content.styled("  ".join(actions), "$foreground 72%")
        if self.unread:
            return Content.assemble(
                (f"↓ {self.unread} unread", "$accent"), (f"  {self._key}", "$foreground 72%")
            )
        return Content.styled(f"↓ {self._key}", "$foreground 72%")

    async def on_click(self) -> None:
        await self.run_action("screen.log_end")


class StatusLine(Widget):
    """The last row of the screen. It counts down to the next retry while offline."""

    status: reactive[Status | None] = reactive(None)
    user = reactive("")
    hints = reactive("")
    unread = reactive("")

    def __init__(self, clock: Clock, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._clock = clock

    def on_mount(self) -> None:
        self.set_interval(1, self._tick)

    def _tick(self) -> None:
        if self.status is not None and self.status.retry_at is not None:
            self.refresh()

    def render(self) -> Content:
        left = Content.assemble(*self._state())
        hints = Content.styled(self.hints, "$foreground 72%")
        gap = self.size.width - left.cell_length - hints.cell_length
        if gap < 2:
            # Keep the last hint, help, from which users find the other keys.
            hints = Content.styled(self.hints.rpartition("  ")[2], "$foreground 72%")
            gap = self.size.width - left.cell_length - hints.cell_length
        if gap < 1:
            return left
        return Content.assemble(left, " " * gap, hints)

    def _state(self) -> list[tuple[str, str]]:
        status, faint = self.status, "$foreground 72%"
        if status is None:
            return []
        parts: list[tuple[str, str]]
        if status.state is ConnectionState.ONLINE:
            parts = [("● ", "$success"), (self.user, faint)]
        elif status.state is ConnectionState.CONNECTING:
            parts = [("◌ ", "$warning"), ("connecting…", faint)]
        elif status.state is ConnectionState.REFUSED:
            parts = [("○ ", "$warning"), (line(status.reason, 200) or "login refused", faint)]
        elif status.state is ConnectionState.OFFLINE:
            parts = [
                ("○ ", "$warning"),
                (f"offline since {self._clock.since(status.since)}", faint),
                *self._retry(status),
            ]
        else:
            parts = [("○ ", faint), ("closed", faint)]
        if status.waiting:
            parts.append((f" · {status.waiting} unsent", "$warning"))
        if self.unread:
            parts.append((f" · {self.unread} unread", "$accent"))
        return parts

    def _retry(self, status: Status) -> list[tuple[str, str]]:
        if status.retry_at is None:
            return []
        seconds = ceil(status.retry_at - self._clock.now())
        when = "now" if seconds <= 0 else f"in {seconds} s"
        return [(f" · retrying {when}", "$foreground 72%")]
