"""ScriptedClient: ChatClient's public face over records in memory, for pictures and pure widgets.

Tests of behaviour use the real server and the real client (see conftest).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from msgspec import structs

from pychat.client.errors import RequestRefused
from pychat.client.events import (
    ClientEvent,
    ConversationChanged,
    ConversationsLoaded,
    MessageAdded,
    MessageChanged,
    ProfileChanged,
    StatusChanged,
)
from pychat.client.models import (
    ConnectionState,
    ConversationInfo,
    DeliveryStatus,
    FileInfo,
    HistoryPage,
    MemberInfo,
    MessageInfo,
    ProfileInfo,
    RoomInfo,
    SearchPage,
    Status,
    UserInfo,
)
from pychat.client.wire import quote_of, with_reaction
from pychat.protocol import Availability, NotifyLevel
from pychat.tui.clock import Clock

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC).timestamp()


def stopped_clock() -> Clock:
    """It is 14:30 UTC on Monday, 23 November 2026, and stays so."""
    return Clock(now=lambda: NOW, timezone=UTC)


class ScriptedClient:
    """Holds what a test gives it and remembers what it was asked."""

    def __init__(self, user: str = "alice", server: str = "http://chat.example:3000") -> None:
        self.user = user
        self.alias = user.title()
        self.server = server
        self.token: str | None = "token"
        self.cache_locked = False
        self.status = Status(ConnectionState.ONLINE, NOW)
        self.known: list[ConversationInfo] = []
        self.log: dict[str, list[MessageInfo]] = {}
        self.drafts: dict[str, str] = {}
        self.read: list[tuple[str, int]] = []
        self.typed: list[tuple[str, bool]] = []
        self.people: list[UserInfo] = []
        self.all_rooms: list[RoomInfo] = []
        self.in_rooms: dict[str, list[MemberInfo]] = {}
        self.chosen = (Availability.ONLINE, "")
        self.password = "old"
        self.closed = False
        self.unreachable = ""
        self._queues: list[asyncio.Queue[ClientEvent | None]] = []

    @property
    def profile(self) -> ProfileInfo:
        return ProfileInfo(self.user, self.alias, *self.chosen)

    async def set_status(self, status: Availability, text: str = "") -> None:
        self.chosen = (status, text)
        self.tell(ProfileChanged(self.profile))

    async def set_alias(self, alias: str) -> None:
        self.alias = alias
        self.tell(ProfileChanged(self.profile))

    async def change_password(self, password: str, new_password: str) -> None:
        if password != self.password:
            raise RequestRefused("403", "the password is wrong")
        self.password = new_password

    # --- for the test -------------------------------------------------------------------

    def say(
        self,
        conversation: str,
        text: str,
        *,
        sender: str = "",
        at: float = NOW,
        own: bool = False,
        tell: bool = False,
    ) -> MessageInfo:
        """A stored message. ``tell``: it arrives now."""
        log = self.log.setdefault(conversation, [])
        seq = sum(1 for message in log if message.seq) + 1
        message = MessageInfo(
            conversation,
            self.user if own else sender or conversation,
            text,
            client_id=f"{conversation}-{seq}",
            id=f"{conversation}-{seq}",
            seq=seq,
            sent_at=at,
            own=own,
            delivery=DeliveryStatus.SENT if own else None,
        )
        log.append(message)
        known = self.conversation(conversation)
        if known is None:
            known = ConversationInfo(conversation, "")
            self.known.append(known)
        known.last_seq, known.last = seq, message
        if not own:
            known.unread += 1
        else:
            known.read_seq = seq
        if tell:
            self.tell(MessageAdded(message))
            self.tell(ConversationChanged(known))
        return message

    def tell(self, event: ClientEvent) -> None:
        for queue in self._queues:
            queue.put_nowait(event)

    def set_connection(self, status: Status) -> None:
        self.status = status
        self.tell(StatusChanged(status))

    # --- ChatClient's face --------------------------------------------------------------

    @property
    def conversations(self) -> list[ConversationInfo]:
        return sorted(self.known, key=lambda c: -(c.last.sent_at if c.last else 0))

    def start(self, *, connect: bool = True) -> None:
        self.tell(ConversationsLoaded(self.conversations))

    async def close(self) -> None:
        self.closed = True
        for queue in self._queues:
            queue.put_nowait(None)

    def events(self) -> AsyncIterator[ClientEvent]:
        queue: asyncio.Queue[ClientEvent | None] = asyncio.Queue()
        self._queues.append(queue)

        async def iterate() -> AsyncIterator[ClientEvent]:
            while (event := await queue.get()) is not None:
                yield event

        return iterate()

    def conversation(self, name: str) -> ConversationInfo | None:
        return next((c for c in self.known if c.name == name), None)

    def cached_messages(self, name: str, limit: int = 500) -> list[MessageInfo]:
        return self.log.get(name, [])[-limit:]

    async def history(
        self, name: str, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> HistoryPage:
        log = [message for message in self.log.get(name, []) if message.seq]
        if after is not None:
            newer = [message for message in log if message.seq > after]
            return HistoryPage(newer[:limit], len(newer) > limit)
        older = [message for message in log if before is None or message.seq < before]
        return HistoryPage(older[-limit:], len(older) > limit)

    async def search(
        self, text: str, *, conversation: str | None = None, cursor: str = "", limit: int = 50
    ) -> SearchPage:
        found = [
            message
            for name, log in self.log.items()
            for message in reversed(log)
            if conversation in (None, name) and text.casefold() in message.text.casefold()
        ]
        return SearchPage(found[:limit])

    async def users(self, query: str = "", limit: int = 50) -> list[UserInfo]:
        return [user for user in self.people if query.casefold() in user.id.casefold()][:limit]

    async def rooms(self) -> list[RoomInfo]:
        return self.all_rooms

    async def members(self, id: str) -> list[MemberInfo]:
        return self.in_rooms.get(id, [])

    async def join_room(self, id: str) -> None:
        self.known.append(ConversationInfo(f"#{id}", ""))
        self.tell(ConversationsLoaded(self.conversations))

    def post(
        self,
        to: str,
        text: str = "",
        *,
        reply_to: int | None = None,
        file: FileInfo | None = None,
    ) -> MessageInfo:
        number = len(self.log.setdefault(to, []))
        message = MessageInfo(
            to,
            self.user,
            text,
            client_id=f"new-{number}",
            sent_at=NOW,
            own=True,
            delivery=DeliveryStatus.SENDING,
            reply_to=None if reply_to is None else quote_of(self.log[to][reply_to - 1]),
            file=file,
        )
        self.log[to].append(message)
        self.tell(MessageAdded(message))
        return message

    def _change(self, message: MessageInfo, **changes: object) -> None:
        changed = structs.replace(message, **changes)
        log = self.log[message.conversation]
        log[log.index(message)] = changed
        self.tell(MessageChanged(changed))

    def post_edit(self, message: MessageInfo, text: str) -> None:
        self._change(message, text=text, edited=NOW)

    def post_removal(self, message: MessageInfo) -> None:
        self._change(message, text="", removed=True)

    def post_reaction(self, message: MessageInfo, emoji: str, on: bool = True) -> None:
        self._change(message, reactions=with_reaction(message, emoji, on, self.user).reactions)

    def retry(self, client_id: str) -> None:
        for log in self.log.values():
            for message in log:
                if message.client_id == client_id:
                    message.delivery = DeliveryStatus.SENDING
                    self.tell(MessageChanged(message))

    async def mark_read(self, name: str, seq: int) -> None:
        self.read.append((name, seq))
        known = self.conversation(name)
        if known is not None:
            known.read_seq, known.unread = seq, known.last_seq - seq
            self.tell(ConversationChanged(known))

    async def set_notify(self, name: str, level: NotifyLevel) -> None:
        known = self.conversation(name)
        assert known is not None
        known.notify = level
        self.tell(ConversationChanged(known))

    def typing(self, to: str, typing: bool) -> None:
        self.typed.append((to, typing))

    def draft(self, name: str) -> str:
        return self.drafts.get(name, "")

    def set_draft(self, name: str, text: str) -> None:
        self.drafts[name] = text

    async def probe_server(self, on_result: Callable[[str], None]) -> None:
        on_result(self.unreachable)

    async def login(self, password: str) -> str:
        self.set_connection(Status(ConnectionState.ONLINE, NOW))
        return "logged in"
