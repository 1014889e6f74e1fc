"""The conversations that are known, and what changes their counters, presence and typing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import structs

from pychat import protocol
from pychat.client.events import ClientEvent, ConversationChanged, ConversationsLoaded, RoomsChanged
from pychat.client.models import ConversationInfo, DeliveryStatus, MessageInfo
from pychat.client.state.cursors import merged, unread_after
from pychat.client.state.typing import Typists
from pychat.client.storage.cache import Cache
from pychat.client.wire import conversation_record, room_record, seconds

MAX_EARLY: Final = 1_000
"""Receipts that are kept for the list of conversations."""


class Roster:
    """Records are replaced, never changed: what was given out stays as it was.

    ``on_guess`` is called when a count of unread messages could only be guessed: the server's list
    says it.
    """

    def __init__(
        self,
        cache: Cache,
        publish: Callable[[ClientEvent], None],
        on_guess: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._publish = publish
        self._on_guess = on_guess
        self._known: dict[str, ConversationInfo] = {}
        # Who was last: not by the time of the last message, for a clock may be set back.
        self._ranks: dict[str, int] = {}
        self._top_rank = 0
        self._early: dict[tuple[str, str, str], protocol.Receipt] = {}
        """Receipts in conversations that are not known yet: the list may be older than they are."""
        self._holes: dict[str, set[int]] = {}
        """Messages that later ones were heard before: not counted as unread yet."""
        self._typists = Typists(lambda name, people: self._change(name, typing=people))
        self.user = ""

    def load(self, user: str, outbox: Iterable[MessageInfo]) -> None:
        """What the cache kept from before."""
        self.user = user
        self._known = {each.name: each for each in self._cache.conversations()}
        for each in sorted(
            self._known.values(), key=lambda each: each.last.sent_at if each.last else 0
        ):
            self._raise(each.name)
        for message in outbox:
            self.posted(message)

    def close(self) -> None:
        self._typists.close()

    def get(self, name: str) -> ConversationInfo | None:
        return self._known.get(name)

    def known_name(self, typed: str) -> str:
        """How the server writes the name of this conversation, if that is known."""
        if typed in self._known:
            return typed
        wanted = protocol.canonical_id(typed)
        return next((name for name in self._known if protocol.canonical_id(name) == wanted), typed)

    def newest_first(self) -> list[ConversationInfo]:
        return sorted(
            self._known.values(),
            key=lambda each: self._ranks.get(each.name, 0) if each.last else 0,
            reverse=True,
        )

    def _raise(self, name: str) -> None:
        """Something was said there: it is the newest now."""
        self._top_rank += 1
        self._ranks[name] = self._top_rank

    def _set(self, conversation: ConversationInfo) -> bool:
        if self._known.get(conversation.name) == conversation:
            return False
        self._known[conversation.name] = conversation
        self._cache.save_conversation(conversation)
        return True

    def _change(self, name: str, **changes: Any) -> None:
        conversation = self._known.get(name)
        if conversation is not None:
            conversation = structs.replace(conversation, **changes)
            if self._set(conversation):
                self._publish(ConversationChanged(conversation))

    # --- what the server lists ---

    def listed(
        self,
        conversations: Iterable[protocol.ConversationPayload],
        *,
        renewed: set[str],
        kept: set[str],
        gone: set[str],
        outbox: list[MessageInfo],
    ) -> None:
        """The whole list anew. ``renewed``: another conversation than the one known by that name.
        ``kept``: not to be dropped though the list does not have them. ``gone``: the server has
        none of their messages any more; only those stay in which something is not sent."""
        unsent = {message.conversation: message for message in outbox}
        now: set[str] = set()
        later: set[str] = set()
        # The list is newest first.
        for each in reversed(list(conversations)):
            known = None if each.with_ in renewed else self._known.get(each.with_)
            record = conversation_record(each, self.user, known)
            if known is not None:
                if known.last_seq <= record.last_seq:
                    self._holes.pop(record.name, None)  # the list has counted them
                record, certain = merged(self._cache, record, known)
                if not certain:
                    self._on_guess()
            if record.name in unsent:
                record.last = unsent[record.name]
            if record.name in unsent or record.last_seq > each.last_seq:
                later.add(record.name)
            else:
                self._raise(record.name)
            self._set(record)
            now.add(record.name)
        for name in sorted(later | kept, key=lambda name: self._ranks.get(name, 0)):
            self._raise(name)
        for name in self._known.keys() - now - unsent.keys() - kept:
            self._drop(name)
        for name in gone & self._known.keys():
            alias = self._known[name].alias
            self._set(ConversationInfo(name=name, alias=alias, last=unsent.get(name)))
        self._publish(ConversationsLoaded(self.newest_first()))
        early, self._early = self._early, {}
        for receipt in early.values():
            known = self._known.get(receipt.with_)
            if known is not None and receipt.seq <= known.last_seq:
                self.receipt(receipt)

    def _drop(self, name: str) -> None:
        del self._known[name]
        self._ranks.pop(name, None)
        self._holes.pop(name, None)
        self._cache.drop_conversation(name)

    def left(self, name: str) -> None:
        """One is no longer in it, or it is no more."""
        if name in self._known:
            self._drop(name)
            self._publish(ConversationsLoaded(self.newest_first()))

    def rooms(self, rooms: list[protocol.RoomPayload]) -> None:
        """The server's rooms, whenever they have changed."""
        here = {protocol.ROOM_PREFIX + room.id: room for room in rooms}
        for name in [each for each in self._known if each.startswith(protocol.ROOM_PREFIX)]:
            if name in here:
                self._change(name, alias=here[name].name)
            else:
                self.left(name)
        records = [
            room_record(room, member=protocol.ROOM_PREFIX + room.id in self._known)
            for room in rooms
        ]
        self._publish(RoomsChanged(records))

    # --- messages ---

    def posted(self, message: MessageInfo) -> None:
        """One's own, not yet stored; the conversation may be a new one."""
        self.met(message.conversation)
        self._raise(message.conversation)
        self._change(message.conversation, last=message)

    def met(self, name: str) -> None:
        """A conversation that the server has not listed yet, if it is that."""
        if name not in self._known:
            self._set(ConversationInfo(name=name, alias=name.removeprefix(protocol.ROOM_PREFIX)))

    def failed(self, message: MessageInfo) -> None:
        """The server refused it."""
        known = self._known.get(message.conversation)
        if known and known.last and known.last.client_id == message.client_id:
            self._change(known.name, last=message)

    def unposted(self, message: MessageInfo, last: MessageInfo | None) -> None:
        """It will not be sent; ``last`` is the one that is the last now."""
        known = self._known.get(message.conversation)
        if known is None or known.last is None or known.last.client_id != message.client_id:
            return
        if last is None and known.last_seq == 0 and known.name != protocol.EVERYONE:
            self.left(known.name)  # it was never more than this message
        else:
            self._change(known.name, last=last)

    def heard(self, message: MessageInfo) -> None:
        """A stored message, as soon as it arrives, even if earlier ones are still missing."""
        known = self._known.get(message.conversation)
        if known is None:
            return
        self._typists.stopped(known.name, message.sender)
        changes: dict[str, Any] = {}
        if known.last is not None and known.last.client_id == message.client_id != "":
            changes["last"] = message
        holes = self._holes.setdefault(known.name, set())
        new = message.seq > known.last_seq or message.seq in holes
        holes.discard(message.seq)
        if message.seq > known.last_seq:
            oldest = max(known.last_seq + 1, message.seq - protocol.MAX_UNREAD)
            holes.update(range(oldest, message.seq))
            changes["last_seq"] = message.seq
            self._raise(known.name)
            if known.last is None or known.last.seq > 0:
                changes["last"] = message
        if new and not message.own and not message.removed and message.seq > known.read_seq:
            changes["unread"] = min(known.unread + 1, protocol.MAX_UNREAD)
        if changes:
            self._change(known.name, **changes)

    def removed(self, message: MessageInfo) -> None:
        """The text of a stored message is gone, in the cache too."""
        known = self._known.get(message.conversation)
        if known is None:
            return
        changes: dict[str, Any] = {}
        if known.last is not None and known.last.seq == message.seq:
            changes["last"] = message
        if known.unread and not message.own and message.seq > known.read_seq:
            changes["unread"], certain = unread_after(self._cache, known, known.read_seq)
            if not certain:
                self._on_guess()
        if changes:
            self._change(known.name, **changes)

    def removed_elsewhere(self, name: str, seq: int) -> None:
        """The same of a message that is not in the cache: it may have been counted as unread."""
        known = self._known.get(name)
        if known is not None and known.unread and seq > known.read_seq:
            self._on_guess()

    def decorated(self, message: MessageInfo) -> MessageInfo:
        """One's own message as delivered or read, if the other one's cursors say so."""
        known = self._known.get(message.conversation)
        if known is None or message.delivery is not DeliveryStatus.SENT:
            return message
        if message.seq <= known.peer_read_seq:
            return structs.replace(message, delivery=DeliveryStatus.READ)
        if message.seq <= known.peer_delivered_seq:
            return structs.replace(message, delivery=DeliveryStatus.DELIVERED)
        return message

    # --- cursors ---

    def own_cursor(self, name: str, kind: str, seq: int) -> bool:
        """False if it is there or beyond already."""
        known = self._known.get(name)
        if known is None:
            return False
        if kind == "delivered":
            moved = seq > known.delivered_seq
            if moved:
                self._change(name, delivered_seq=seq)
            return moved
        if seq <= known.read_seq:
            return False
        unread, certain = unread_after(self._cache, known, seq)
        delivered_seq = max(seq, known.delivered_seq)
        self._change(name, read_seq=seq, delivered_seq=delivered_seq, unread=unread)
        if not certain:
            self._on_guess()
        return True

    def receipt(self, receipt: protocol.Receipt) -> None:
        """Of the other one, or of oneself on another device."""
        name, kind, seq = receipt.with_, receipt.kind, receipt.seq
        if name not in self._known and len(self._early) < MAX_EARLY:
            self._early[name, receipt.by, kind] = receipt
        if receipt.by == self.user:
            self.own_cursor(name, kind, seq)
            return
        known = self._known.get(name)
        if known is None:
            return
        delivered = max(seq, known.peer_delivered_seq)
        read = max(seq, known.peer_read_seq) if kind == "read" else known.peer_read_seq
        self._change(name, peer_delivered_seq=delivered, peer_read_seq=read)

    # --- people ---

    def presence(self, presence: protocol.PresencePayload) -> None:
        last_seen = seconds(presence.last_seen) if presence.last_seen else None
        self._change(presence.id, alias=presence.alias, online=presence.online, last_seen=last_seen)
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

    def offline(self) -> None:
        """Nothing is known of the others' presence until the next list."""
        self._typists.all_stopped()
        self._early.clear()
