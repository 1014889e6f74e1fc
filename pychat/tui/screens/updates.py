"""Updates: shows on the chat screen what the client tells, at most once in a frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from pychat.client.events import (
    ClientEvent,
    ConversationChanged,
    ConversationsLoaded,
    MessageAdded,
    MessageChanged,
    MessagesReset,
    StatusChanged,
)
from pychat.client.models import ConnectionState, ConversationInfo
from pychat.tui.clock import Clock
from pychat.tui.model.list_items import in_order, item_of
from pychat.tui.text.names import unread_count
from pychat.tui.widgets.conversation_list import ConversationItem, ConversationList
from pychat.tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from pychat.tui.screens.chat import ChatScreen

FLUSH_SECONDS: Final = 1 / 30
"""What arrives within a frame is shown together."""
CROWD: Final = 20
CROWDED_SECONDS: Final = 1 / 8
"""When more than a crowd comes in one go nobody reads it: keys are more urgent than painting it."""


class Updates:
    """Of one chat screen, whichever account it shows."""

    def __init__(self, screen: ChatScreen, clock: Clock) -> None:
        self._screen = screen
        self._clock = clock
        self._dirty = False
        self._flush_scheduled = False
        self._crowded = False
        self._was_away = False
        """Whether the list that comes next is the first one of this connection."""

    def take(self, event: ClientEvent) -> None:
        """Takes in one event; what it changes on the screen is shown within a frame."""
        screen = self._screen
        if not screen.is_mounted or not screen.stands:
            return  # mounting shows what the client knows by then; at the end nobody looks
        view = screen.view
        if isinstance(event, MessageAdded):
            view.added(event.message)
        elif isinstance(event, MessageChanged):
            view.changed(event.message)
        elif isinstance(event, MessagesReset):
            view.reset(event.conversation)
        elif isinstance(event, ConversationChanged):
            view.cursors_changed(event.conversation)
        elif isinstance(event, StatusChanged):
            screen.query_one(StatusLine).status = event.status
            if event.status.state is ConnectionState.ONLINE:
                self._was_away = True
                view.want_older()
        elif isinstance(event, ConversationsLoaded):
            view.list_loaded()
            if self._was_away:
                self._was_away = False
                view.came_back()
            view.want_older()
            view.learn_names()
        self._dirty = True
        if not self._flush_scheduled:
            self._flush_scheduled = True
            screen.set_timer(CROWDED_SECONDS if self._crowded else FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if not self._screen.stands:
            return
        self._crowded = self._screen.view.flush() > CROWD
        if self._dirty:
            self._dirty = False
            self.show_list()
            self._screen.view.show_header()

    def show_list(self) -> None:
        """The list, and how much is unread in it, as it is now."""
        screen = self._screen
        if not screen.stands:
            return
        conversations = screen.view.conversations.all()
        unread = self.unread(conversations)
        names = in_order(conversations, unread, screen.current)
        screen.query_one(ConversationList).show(names, screen.current)
        count = unread_count(each.unread for each in unread)
        screen.query_one(StatusLine).unread = count
        screen.app.title = f"({count}) pychat" if count else "pychat"

    def unread(self, conversations: Iterable[ConversationInfo]) -> list[ConversationInfo]:
        """Those of them with unread messages that are not muted."""
        muted = self._screen.remembered.muted
        return [each for each in conversations if each.unread and each.name not in muted]

    def item(self, name: str) -> ConversationItem | None:
        """What the list shows of a conversation now; None if it is gone."""
        screen = self._screen
        conversations = screen.view.conversations
        conversation = conversations.get(name)
        if conversation is None:
            return None
        return item_of(
            conversation,
            screen.client,
            self._clock,
            screen.remembered.muted,
            screen.current,
            conversations.sender_name,
        )
