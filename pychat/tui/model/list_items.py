"""ConversationItem: what the conversation list shows, and the order of the list."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from pychat.client.models import ConnectionState, ConversationInfo
from pychat.tui.clock import Clock
from pychat.tui.model.conversations import is_pair
from pychat.tui.text.names import Name, conversation_name, last_line, line, typing_line

if TYPE_CHECKING:
    from pychat.client import ChatClient


class ConversationItem(Struct, frozen=True):
    """What the list shows of one conversation. All text is safe and in one line."""

    name: str
    title: Name
    line: str
    time: str = ""
    unread: int = 0
    online: bool | None = None
    """None for conversations without presence: rooms and Everyone."""
    typing: bool = False
    draft: bool = False
    muted: bool = False


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
    muted: Collection[str],
    current: str,
    name_of: Callable[[str], Name],
) -> ConversationItem:
    """Return what the list shows of a conversation.

    ``muted``: names of the muted conversations; ``current``: the open one; ``name_of``: returns
    the display name of a person.
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
        online=conversation.online if pair and connected else None,
        typing=bool(typing),
        draft=bool(draft) and not typing,
        muted=conversation.name in muted,
    )
