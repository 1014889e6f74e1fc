"""Roster of known conversations: counters, cursors, presence and typing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import UNSET, structs

from pychat import protocol
from pychat.client.events import (
    ClientEvent,
    ConversationChanged,
    ConversationsLoaded,
    MembershipChanged,
    RoomsChanged,
)
from pychat.client.models import ConversationInfo, DeliveryStatus, MessageInfo, QuoteInfo
from pychat.client.state.typing import Typists
from pychat.client.storage.cache import Cache
from pychat.client.wire import (
    after_change,
    conversation_info,
    is_shared,
    parse_time,
    room_info,
    status_of,
    with_quote,
)

MAX_EARLY: Final = 1_000
"""Receipts and presences to keep until the next list."""


class Roster:
    """The known conversations. Records are replaced, never modified: callers may keep them.

    ``publish`` is called with an event for every change. ``on_uncertain_unread`` is called when an
    unread count could only be estimated, so that the caller can ask the server for it; with True if
    the server's list has just been applied.
    """

    user: str
    """The login id of this user, from ``load`` on."""

    def __init__(
        self,
        cache: Cache,
        publish: Callable[[ClientEvent], None],
        on_uncertain_unread: Callable[[bool], None],
    ) -> None:
        self._cache = cache
        self._publish = publish
        self._on_uncertain_unread = on_uncertain_unread
        self._known: dict[str, ConversationInfo] = {}
        """By last activity, newest last. Not by time: a clock may be set back."""
        self._early_receipts: dict[tuple[str, str, str], protocol.Receipt] = {}
        """Receipts during a list, and those in unknown conversations, by name, user and kind. The
        server may have made the list before them, so they are applied after it."""
        self._listing = False
        """Whether a list was requested and has not been applied."""
        self._rooms_told: set[str] | None = None
        """The rooms that the server has named since the list was requested."""
        self._presence: dict[str, protocol.PresencePayload] = {}
        """The last presence of each user since the list was requested, for the same reason."""
        self._missing: dict[str, set[int]] = {}
        """Seqs below ``last_seq`` that have not arrived, so they are not counted as unread yet."""
        self._typists = Typists(lambda name, users: self._change(name, typing=users))

    def load(self, user: str, outbox: Iterable[MessageInfo]) -> None:
        """Load the conversations from the cache, then apply the messages of the outbox."""
        self.user = user
        conversations = self._cache.conversations()
        conversations.sort(key=lambda each: each.last.sent_at if each.last else 0)
        self._known = {each.name: each for each in conversations}
        for message in outbox:
            self.posted(message)

    def get(self, name: str) -> ConversationInfo | None:
        return self._known.get(name)

    def known_name(self, typed: str) -> str:
        """Return the name as the server spells it, or unchanged if it is unknown."""
        if typed in self._known:
            return typed
        wanted = protocol.canonical_id(typed)
        return next((name for name in self._known if protocol.canonical_id(name) == wanted), typed)

    def newest_first(self) -> list[ConversationInfo]:
        """Conversations without a message come last. Does not sort: screens call this after
        every event."""
        newest_first = list(reversed(self._known.values()))
        without = [each for each in newest_first if not each.last]
        return [each for each in newest_first if each.last] + without

    def _move_to_top(self, name: str) -> None:
        self._known[name] = self._known.pop(name)

    def _set(self, conversation: ConversationInfo) -> None:
        if self._known.get(conversation.name) != conversation:
            self._known[conversation.name] = conversation
            self._cache.save_conversation(conversation)

    def _change(self, name: str, **changes: object) -> None:
        conversation = self._known.get(name)
        if conversation is None:
            return
        changed = structs.replace(conversation, **changes)
        if changed != conversation:
            self._set(changed)
            self._publish(ConversationChanged(changed))

    # --- the server's list ---

    def list_requested(self) -> None:
        """Note that the next list contains all presence so far."""
        self._presence.clear()
        self._rooms_told = None
        self._listing = True

    def listed(
        self,
        conversations: Iterable[protocol.ConversationPayload],
        *,
        replaced: set[str],
        kept: set[str],
        gone: set[str],
        outbox: list[MessageInfo],
    ) -> bool:
        """Apply the complete list of conversations, newest first. Return whether it has a room that
        may have been deleted since the server made the list.

        ``replaced``: names under which the server now has another conversation.
        ``kept``: conversations to keep although the list does not contain them.
        ``gone``: conversations that the server no longer has. They are dropped unless the outbox
        has messages for them.
        """
        unsent = {message.conversation: message for message in outbox}
        listed: set[str] = set()
        newer_here = kept | unsent.keys()
        for each in reversed(list(conversations)):
            known = None if each.with_ in replaced else self._known.get(each.with_)
            record = conversation_info(each, self.user, known)
            if known is not None:
                if known.last_seq <= record.last_seq:
                    self._missing.pop(record.name, None)  # the list counts them as unread
                record, certain = _merge(self._cache, record, known)
                if not certain:
                    self._on_uncertain_unread(True)
            if record.name in unsent:
                record.last = unsent[record.name]
            self._set(record)
            if record.last_seq > each.last_seq:
                newer_here.add(record.name)
            if record.name not in newer_here:
                self._move_to_top(record.name)
            listed.add(record.name)
        for name in [name for name in self._known if name in newer_here]:
            self._move_to_top(name)
        for name in self._known.keys() - listed - unsent.keys() - kept:
            self._drop(name)
        for name in gone & self._known.keys():
            alias = self._known[name].alias
            self._set(ConversationInfo(name=name, alias=alias, last=unsent.get(name)))
        self._publish(ConversationsLoaded(self.newest_first()))
        for presence in self._presence.values():
            self.presence(presence)
        self._listing = False
        early_receipts, self._early_receipts = self._early_receipts, {}
        for receipt in early_receipts.values():
            known_now = self._known.get(receipt.with_)
            if known_now is not None and receipt.seq <= known_now.last_seq:
                self.receipt(receipt)
        told = self._rooms_told
        return told is not None and any(
            name.startswith(protocol.ROOM_PREFIX) and name not in told for name in listed
        )

    def _drop(self, name: str) -> None:
        del self._known[name]
        self._missing.pop(name, None)
        self._cache.drop_conversation(name)

    def left(self, name: str) -> None:
        """Remove a conversation: the user has left the room, or it was deleted."""
        for key in [key for key in self._early_receipts if key[0] == name]:
            del self._early_receipts[key]  # a new room by this name has other messages
        if name in self._known:
            self._drop(name)
            self._publish(ConversationsLoaded(self.newest_first()))

    def rooms(self, rooms: list[protocol.RoomPayload]) -> bool:
        """Apply the server's list of rooms, which it sends whenever a room has changed.

        Returns whether a known conversation has changed.
        """
        changed = False
        by_name = {protocol.ROOM_PREFIX + room.id: room for room in rooms}
        self._rooms_told = set(by_name)
        for name in [each for each in self._known if each.startswith(protocol.ROOM_PREFIX)]:
            if name not in by_name:
                self.left(name)
                changed = True
            else:
                known, room = self._known[name], by_name[name]
                if (known.alias, known.topic) != (room.name, room.topic):
                    self._change(name, alias=room.name, topic=room.topic)
                    changed = True
        records = [
            room_info(room, member=protocol.ROOM_PREFIX + room.id in self._known) for room in rooms
        ]
        self._publish(RoomsChanged(records))
        return changed

    def membership(self, changed: protocol.MembershipPayload) -> None:
        """Apply a change of what the user is in a room."""
        if changed.role in ("none", "invited"):
            self.left(changed.with_)
        else:
            role = changed.role if changed.role in ("owner", "moderator") else ""
            self._change(changed.with_, role=role)
        self._publish(MembershipChanged(changed.with_, changed.role, changed.by))

    # --- messages ---

    def posted(self, message: MessageInfo) -> None:
        """Record a message that the user has posted. It may begin a new conversation."""
        self.add(message.conversation)
        self._move_to_top(message.conversation)
        self._change(message.conversation, last=message)

    def add(self, name: str) -> None:
        """Add a conversation that the server has not listed, unless it is known."""
        if name not in self._known:
            self._set(ConversationInfo(name=name, alias=name.removeprefix(protocol.ROOM_PREFIX)))

    def unsent_changed(self, message: MessageInfo) -> None:
        """Record that a posted message was refused or edited."""
        known = self._known.get(message.conversation)
        if known and known.last and known.last.client_id == message.client_id:
            self._change(known.name, last=message)

    def discarded(self, message: MessageInfo, last: MessageInfo | None) -> None:
        """Record that a posted message was discarded. ``last``: the last message without it."""
        known = self._known.get(message.conversation)
        if known is None or known.last is None or known.last.client_id != message.client_id:
            return
        if last is None and known.last_seq == 0 and known.name != protocol.EVERYONE:
            self.left(known.name)  # the discarded message was its only one
        else:
            self._change(known.name, last=last)

    def arrived(self, message: MessageInfo) -> None:
        """Record a stored message as soon as it arrives, even if earlier ones are missing."""
        known = self._known.get(message.conversation)
        if known is None:
            return
        self._typists.stopped(known.name, message.sender)
        changes: dict[str, object] = {}
        if known.last is not None and known.last.client_id == message.client_id != "":
            changes["last"] = message
        missing = self._missing.setdefault(known.name, set())
        new = message.seq > known.last_seq or message.seq in missing
        missing.discard(message.seq)
        if message.seq > known.last_seq:
            oldest = max(known.last_seq + 1, message.seq - protocol.MAX_UNREAD)
            missing.update(range(oldest, message.seq))
            changes["last_seq"] = message.seq
            changes["last_stored"] = message
            self._move_to_top(known.name)
            if known.last is None or known.last.seq > 0:
                changes["last"] = message
        if new and not message.own and not message.removed and message.seq > known.read_seq:
            changes["unread"] = min(known.unread + 1, protocol.MAX_UNREAD)
            if message.mentioned:
                mentions = known.unread_mentions + 1
                changes["unread_mentions"] = min(mentions, protocol.MAX_UNREAD)
        if changes:
            self._change(known.name, **changes)

    def changed(self, message: MessageInfo) -> None:
        """Record a change of a stored message. The cache has been updated already."""
        known = self._known.get(message.conversation)
        if known is None:
            return
        changes: dict[str, object] = {}
        if known.last is not None and known.last.seq == message.seq:
            changes["last"] = message
        if known.last_stored is not None and known.last_stored.seq == message.seq:
            changes["last_stored"] = message
        # An edit may change the mentions, which pairs do not have.
        recount = message.removed or (message.edited is not None and is_shared(known.name))
        if known.unread and recount and not message.own and message.seq > known.read_seq:
            changes |= self._counts_after(known, known.read_seq)
        if changes:
            self._change(known.name, **changes)

    def changed_uncached(self, change: protocol.Changed, seq: int) -> None:
        """Record a change of a message that is not in the cache."""
        name = change.with_
        known = self._known.get(name)
        if known is None:
            return
        if known.last is not None and known.last.seq == seq:
            self._change(name, last=after_change(known.last, change, self.user))
        recount = change.removed or (change.data is not UNSET and is_shared(name))
        if recount and known.unread and seq > known.read_seq:
            self._on_uncertain_unread(False)

    def requoted(self, name: str, origin: int, update: Callable[[QuoteInfo], QuoteInfo]) -> None:
        """Update the quotes of a message in the last messages."""
        known = self._known.get(name)
        if known is not None:
            last, stored = known.last, known.last_stored
            self._change(
                name,
                last=last and with_quote(last, origin, update),
                last_stored=stored and with_quote(stored, origin, update),
            )

    def with_delivery(self, message: MessageInfo) -> MessageInfo:
        """Return the message with the delivery status that the other user's cursors give it."""
        known = self._known.get(message.conversation)
        if known is None or message.delivery is not DeliveryStatus.SENT:
            return message
        if message.seq <= known.peer_read_seq:
            return structs.replace(message, delivery=DeliveryStatus.READ)
        if message.seq <= known.peer_delivered_seq:
            return structs.replace(message, delivery=DeliveryStatus.DELIVERED)
        return message

    # --- cursors ---

    def move_own_cursor(self, name: str, kind: str, seq: int) -> bool:
        """Move the user's cursor forward. ``kind``: "delivered" or "read".

        Returns False if the cursor is already at ``seq`` or beyond.
        """
        known = self._known.get(name)
        if known is None:
            return False
        if kind == "delivered":
            self._change(name, delivered_seq=max(seq, known.delivered_seq))
            return seq > known.delivered_seq
        if seq <= known.read_seq:
            return False
        counts = self._counts_after(known, seq)
        delivered_seq = max(seq, known.delivered_seq)
        self._change(name, read_seq=seq, delivered_seq=delivered_seq, **counts)
        return True

    def _counts_after(self, known: ConversationInfo, seq: int) -> dict[str, object]:
        """Return the unread counts if everything up to ``seq`` is read. If they are not exact, the
        caller asks the server."""
        unread, mentions, certain = _unread_after(self._cache, known, seq)
        if not certain:
            self._on_uncertain_unread(False)
        return {"unread": unread, "unread_mentions": mentions}

    def receipt(self, receipt: protocol.Receipt) -> None:
        """Apply a receipt: of the other user, or of this user from another device."""
        name, kind, seq = receipt.with_, receipt.kind, receipt.seq
        key = name, receipt.by, kind
        early = self._listing or name not in self._known
        if early and (len(self._early_receipts) < MAX_EARLY or key in self._early_receipts):
            self._early_receipts[key] = receipt
        if receipt.by == self.user:
            self.move_own_cursor(name, kind, seq)
            return
        known = self._known.get(name)
        if known is None:
            return
        delivered = max(seq, known.peer_delivered_seq)
        read = max(seq, known.peer_read_seq) if kind == "read" else known.peer_read_seq
        self._change(name, peer_delivered_seq=delivered, peer_read_seq=read)

    def notify_chosen(self, name: str, level: protocol.NotifyLevel) -> None:
        """Record what the user's clients announce, which the user chose here or elsewhere."""
        self._change(name, notify=level)

    # --- presence and typing ---

    def presence(self, presence: protocol.PresencePayload) -> None:
        last_seen = parse_time(presence.last_seen) if presence.last_seen else None
        if len(self._presence) < MAX_EARLY or presence.id in self._presence:
            self._presence[presence.id] = presence
        status, text = status_of(presence)
        self._change(
            presence.id,
            alias=presence.alias,
            online=presence.online,
            last_seen=last_seen,
            status=status,
            status_text=text,
        )
        if not presence.online:
            self._typists.stopped(presence.id, presence.id)

    def typing(self, typing: protocol.Typing) -> None:
        if typing.sender == self.user:
            return
        name = typing.sender if typing.recepient == self.user else typing.recepient
        if name not in self._known:
            return
        if typing.typing:
            self._typists.started(name, typing.sender)
        else:
            self._typists.stopped(name, typing.sender)

    def disconnected(self) -> None:
        """Clear the typing indicators and early receipts. Presence stays until the next list."""
        self._typists.all_stopped()
        self._early_receipts.clear()
        self._listing = False


def _unread_after(cache: Cache, known: ConversationInfo, seq: int) -> tuple[int, int, bool]:
    """Return how many messages and mentions are unread if everything up to ``seq`` is read, and
    whether this is exact.

    Without the messages in the cache the counts are estimates: only the server knows which messages
    in between this user has sent. They are at most MAX_UNREAD.
    """
    left = known.last_seq - seq
    if left <= 0 or not known.unread:
        return 0, 0, True
    rest = cache.messages_after(known.name, seq)
    if rest and rest[-1].seq >= known.last_seq:
        others = sum(not each.own and not each.removed for each in rest)
        mentions = sum(each.mentioned for each in rest)
        return min(others, protocol.MAX_UNREAD), min(mentions, protocol.MAX_UNREAD), True
    if known.unread >= protocol.MAX_UNREAD:
        unread = min(left, protocol.MAX_UNREAD)
    else:
        # An estimate of 0 would make unread messages look read, so it is at least 1.
        unread = max(1, min(left, known.unread - (seq - known.read_seq)))
    return unread, min(known.unread_mentions, unread), False


def _merge(
    cache: Cache, listed: ConversationInfo, known: ConversationInfo
) -> tuple[ConversationInfo, bool]:
    """Return the listed record with newer local changes, and whether its unread count is exact.

    Messages may have arrived or been read or sent after the server made the list, and receipts.
    """
    certain = True
    read_seq = max(listed.read_seq, known.read_seq)
    if known.last_seq > listed.last_seq:
        listed.last_seq, listed.last = known.last_seq, known.last
        listed.last_stored = known.last_stored
        listed.read_seq, listed.unread = known.read_seq, known.unread
        listed.unread_mentions = known.unread_mentions
    if read_seq > listed.read_seq:
        counts = _unread_after(cache, listed, read_seq)
        listed.unread, listed.unread_mentions, certain = counts
        listed.read_seq = read_seq
    listed.delivered_seq = max(listed.delivered_seq, known.delivered_seq)
    listed.peer_delivered_seq = max(listed.peer_delivered_seq, known.peer_delivered_seq)
    listed.peer_read_seq = max(listed.peer_read_seq, known.peer_read_seq)
    return listed, certain
