"""ConversationList: its items in their order, painted line by line in two rows each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from msgspec import Struct
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message as TextualMessage
from textual.scroll_view import ScrollView
from textual.strip import Strip

from pychat.client.models import ConnectionState, ConversationInfo
from pychat.protocol import Availability, NotifyLevel
from pychat.tui.clock import Clock
from pychat.tui.model.conversations import is_pair
from pychat.tui.text.names import (
    Name,
    conversation_name,
    fitted,
    last_line,
    line,
    typing_line,
    unread_count,
)
from pychat.tui.themes import component_style

if TYPE_CHECKING:
    from pychat.client import ChatClient


class ConversationItem(Struct, frozen=True):
    """What the list shows of one conversation. All text is safe and in one line."""

    name: str
    title: Name
    line: str
    time: str = ""
    unread: int = 0
    mentions: int = 0
    """How many of the unread messages mention the user."""
    online: bool | None = None
    """None for conversations without presence: rooms and Everyone."""
    typing: bool = False
    draft: bool = False
    notify: NotifyLevel = NotifyLevel.ALL
    status: Availability = Availability.ONLINE


def in_order(
    conversations: Sequence[ConversationInfo], unread: Sequence[ConversationInfo], current: str
) -> list[str]:
    """Return the names: unread ones first, otherwise as given (newest first).

    The ``current`` one stays where it is, so that it does not jump while the user reads it.
    """
    first = {each.name: None for each in unread if each.name != current}
    rest = [each.name for each in conversations if each.name not in first]
    return [*first, *rest]


def item_of(
    conversation: ConversationInfo,
    client: ChatClient,
    clock: Clock,
    notify: NotifyLevel,
    current: str,
    name_of: Callable[[str], Name],
) -> ConversationItem:
    """Return what the list shows of a conversation.

    ``notify``: which of its messages notify; ``current``: the open one; ``name_of``: returns the
    display name of a person.
    """
    pair = is_pair(conversation.name)
    draft = line(client.draft(conversation.name), 160) if conversation.name != current else ""
    last = conversation.last
    typing = typing_line(tuple(map(name_of, conversation.typing)), in_pair=pair)
    sender = None if pair or last is None or not last.sender else name_of(last.sender)
    shown = "" if last is None else last_line(last, sender, in_pair=pair)
    connected = client.status.state is ConnectionState.ONLINE
    return ConversationItem(
        name=conversation.name,
        title=conversation_name(conversation),
        line=typing or draft or shown,
        time=clock.short(last.sent_at) if last is not None else "",
        unread=conversation.unread,
        mentions=conversation.unread_mentions,
        online=conversation.online if pair and connected else None,
        typing=bool(typing),
        draft=bool(draft) and not typing,
        notify=notify,
        status=conversation.status,
    )


ITEM_ROWS: Final = 2
_DOTS: Final = {Availability.ONLINE: "●", Availability.AWAY: "◐", Availability.DND: "⊘"}
_SIGNS: Final = {NotifyLevel.ALL: "", NotifyLevel.MENTIONS: "@ only", NotifyLevel.MUTED: "muted"}
_STYLES: Final = ("name", "unread-name", "faint", "online", "typing", "count", "draft", "mention")


class ConversationList(ScrollView, can_focus=True):
    """The list of conversations. It posts ``Opened``, and the text typed while it has the focus.

    ``item_of`` returns what to show of a conversation, None if it is gone. It is called only for
    conversations in view, so the cost does not depend on the length of the list.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"conversation-list--{name}" for name in _STYLES),
        "conversation-list--current",
        "conversation-list--hover",
        "conversation-list--cursor",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
        Binding("enter", "open", show=False),
    ]

    class Opened(TextualMessage):
        """The user opened a conversation."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class Typed(TextualMessage):
        """Text was typed or pasted here; it belongs to a message. Empty: Enter without a choice."""

        def __init__(self, text: str = "") -> None:
            super().__init__()
            self.text = text

    class Erased(TextualMessage):
        """Backspace: the last character typed here is deleted."""

    def __init__(
        self, item_of: Callable[[str], ConversationItem | None], *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._item_of = item_of
        self.names: list[str] = []
        """Names of the conversations in the order shown."""
        self._items: dict[str, ConversationItem | None] = {}
        """Items painted since the last ``show``."""
        self._in_view: list[ConversationItem | None] = []
        self._current = ""
        self._cursor = ""
        self._hover: int | None = None
        self._styles: dict[str, Style] = {}

    def show(self, names: list[str], current: str) -> None:
        """Show these conversations in this order, with ``current`` marked."""
        moved = current != self._current
        if moved:
            self._cursor = current
        self.names, self._current, self._items = names, current, {}
        self.virtual_size = Size(self.size.width, len(names) * ITEM_ROWS)
        if moved:
            self._reveal(self._index(current))
        top = round(self.scroll_y) // ITEM_ROWS
        in_view = [*map(self._item, names[top : top + self.size.height // ITEM_ROWS + 2])]
        if moved or in_view != self._in_view:
            self._in_view = in_view
            self.refresh()

    def _item(self, name: str) -> ConversationItem | None:
        if name not in self._items:
            self._items[name] = self._item_of(name)
        return self._items[name]

    def _index(self, name: str) -> int:
        return self.names.index(name) if name in self.names else 0

    def _reveal(self, index: int) -> None:
        self.scroll_to_region(Region(0, index * ITEM_ROWS, 1, ITEM_ROWS), animate=False, force=True)

    # --- keys and mouse -------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        if self.names:
            chosen = self._cursor or self._current
            index = self._index(chosen) + by if chosen else 0
            index = max(0, min(index, len(self.names) - 1))
            self._cursor = self.names[index]
            self._reveal(index)
            self.refresh()

    def action_open(self) -> None:
        """Open the conversation under the cursor; without one, Enter ends a typed line."""
        if self._cursor in self.names:
            self.post_message(self.Opened(self._cursor))
        else:
            self.post_message(self.Typed())

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character:
            self.post_message(self.Typed(event.character))
        elif event.key == "backspace":
            self.post_message(self.Erased())

    def on_paste(self, event: events.Paste) -> None:
        self.post_message(self.Typed(event.text))

    def on_click(self, event: events.Click) -> None:
        index = (event.y + round(self.scroll_y)) // ITEM_ROWS
        if 0 <= index < len(self.names):
            self.post_message(self.Opened(self.names[index]))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._set_hover((event.y + round(self.scroll_y)) // ITEM_ROWS)

    def on_leave(self) -> None:
        self._set_hover(None)

    def _set_hover(self, index: int | None) -> None:
        if index != self._hover:
            self._hover = index
            self.refresh()

    def on_focus(self) -> None:
        self._cursor = self._cursor or self._current
        self.refresh()

    # --- painting -------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = {}

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.names) * ITEM_ROWS)
        self.refresh()

    def _style_map(self) -> dict[str, Style]:
        if not self._styles:
            self._styles = {
                name: component_style(self, f"conversation-list--{name}")
                for name in (*_STYLES, "current", "hover", "cursor")
            }
        return self._styles

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        index, row = divmod(y + round(self.scroll_y), ITEM_ROWS)
        base = self.rich_style
        item = self._item(self.names[index]) if 0 <= index < len(self.names) else None
        if width < 4 or item is None:
            return Strip.blank(self.size.width, base)
        styles = self._style_map()
        if item.name == self._current:
            base = base + styles["current"]
        elif self.has_focus and item.name == self._cursor:
            base = base + styles["cursor"]
        elif index == self._hover:
            base = base + styles["hover"]
        draw = _first_row if row == 0 else _second_row
        segments = draw(item, width, lambda name: base + styles[name])
        return Strip(segments).adjust_cell_length(width, base)


def _first_row(item: ConversationItem, width: int, style: Callable[[str], Style]) -> list[Segment]:
    """Paint presence, name, id and time."""
    dot, dot_style = ("○" if item.online is False else " "), "faint"
    if item.online:
        dot, dot_style = _DOTS[item.status], "online"
    room = max(1, width - 5 - cell_len(item.time))
    name = item.title.fitted(room)
    beside = f" {name.id}" if name.id else ""
    used = cell_len(name.called) + cell_len(beside)
    return [
        Segment(" ", style("name")),
        Segment(f"{dot} ", style(dot_style)),
        Segment(name.called, style("unread-name" if item.unread else "name")),
        Segment(beside, style("faint")),
        Segment(" " * max(1, room - used + 1), style("name")),
        Segment(item.time, style("faint")),
        Segment(" ", style("name")),
    ]


def _second_row(item: ConversationItem, width: int, style: Callable[[str], Style]) -> list[Segment]:
    """Paint the last message, and at the right the numbers of unread mentions and messages."""
    mentions = f"@{unread_count((item.mentions,))}" if item.mentions else ""
    count = unread_count((item.unread,)) if item.unread else _SIGNS[item.notify]
    room = max(1, width - 5 - cell_len(mentions) - bool(mentions) - cell_len(count))
    mark, mark_style = ("draft ", "draft") if item.draft else ("", "faint")
    text = fitted(item.line, max(0, room - cell_len(mark)))
    return [
        Segment("   ", style("name")),
        Segment(mark, style(mark_style)),
        Segment(text, style("typing" if item.typing else "faint")),
        Segment(" " * max(0, room - cell_len(mark) - cell_len(text) + 1), style("name")),
        *([Segment(mentions, style("mention")), Segment(" ", style("name"))] if mentions else ()),
        Segment(count, style("count" if item.notify is NotifyLevel.ALL else "faint")),
        Segment(" ", style("name")),
    ]
