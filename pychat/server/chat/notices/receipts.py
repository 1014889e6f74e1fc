"""``receipt``: tells how far somebody has come in a conversation."""

from __future__ import annotations

from collections.abc import Set
from typing import Literal

from pychat.protocol import Event, Receipt
from pychat.server.chat.answers import encode
from pychat.server.chat.connection import EncodeEvent
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, OnlineUser, Pair
from pychat.server.chat.state.reach import LocalDelivery
from pychat.server.chat.state.session import ChatSession

Kind = Literal["delivered", "read"]


class Receipts:
    """To the other one in a pair, and to the user's own other devices."""

    def __init__(
        self, directory: Directory, reach: LocalDelivery, encode_event: EncodeEvent
    ) -> None:
        self._directory = directory
        self._reach = reach
        self._encode_event = encode_event

    def to_peer(self, pair: Pair, user: OnlineUser, kind: Kind, seq: int) -> None:
        """Not to somebody the user has blocked."""
        peer = pair.other(user.key)
        online = self._reach.users.get(peer)
        if online is None or online is user or peer in user.blocked:
            return
        receipt = Receipt(user.id, user.id, kind, seq)
        self._reach.tell(online, self._encode_event(Event.RECEIPT, encode(receipt)))

    def to_own_devices(
        self,
        conversation: Conversation,
        user: OnlineUser,
        kind: Kind,
        seq: int,
        origins: Set[ChatSession | None],
    ) -> None:
        """``origins``: where it came from; a single one knows already."""
        others = [s for s in user.sessions if s.modern and (len(origins) > 1 or s not in origins)]
        if others:
            receipt = Receipt(self._directory.name(conversation, user), user.id, kind, seq)
            packet = self._encode_event(Event.RECEIPT, encode(receipt))
            for session in others:
                session.connection.send(packet)
