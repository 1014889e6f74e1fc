"""StatusLine: connection, unsent and unread messages, next retry, and two key hints."""

from __future__ import annotations

from math import ceil

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from pychat.client.models import ConnectionState, Status
from pychat.tui.clock import Clock
from pychat.tui.text.names import line


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
            parts = [("○ ", "$warning"), (line(status.reason, 200) or "sign-in refused", faint)]
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
