"""Reach: who is online, on which connections, and delivery of events to them.

Every module of the chat delivers to users, and asks whether they are online, through ``Reach``.
``LocalReach`` serves the connections of this process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Set
from typing import NamedTuple

from pychat.server.chat.state.entities import NO_ACCOUNTS, OnlineUser, Pair, Room
from pychat.server.chat.state.session import ChatSession, EncodeEvent, Packet


class Reduced(NamedTuple):
    """What some accounts receive instead of a message: it quotes another one that they may not
    read."""

    accounts: Set[int]
    payload: bytes


Original = Callable[[int], bytes]
"""What the original clients of an account receive instead of a message with a file."""


class Reach(ABC):
    """The port. Accounts are named by key.

    *Deliver* and *echo* send messages to all clients; ``original`` is given for those with a file.
    *Notify* sends events that only clients of protocol 1 understand. ``payload`` is the event's
    JSON argument.
    """

    # --- connections of this process ---
    @abstractmethod
    def join(self, session: ChatSession, user: OnlineUser) -> bool:
        """Add a connection of the user, whose blocks must be loaded. Return whether the user came
        online by it."""

    @abstractmethod
    def leave(self, session: ChatSession) -> bool:
        """Remove a connection, if it had joined. Return whether its user went offline by it."""

    @abstractmethod
    def connections(self) -> Collection[ChatSession]:
        """All connections that have joined, oldest first."""

    @abstractmethod
    def connections_of(self, account: int) -> tuple[ChatSession, ...]:
        """The account's connections, oldest first."""

    # --- users who are online ---
    @abstractmethod
    def accounts(self) -> Set[int]:
        """All accounts that are online."""

    @abstractmethod
    def user(self, account: int) -> OnlineUser | None:
        """The account's user; None if it is offline."""

    @abstractmethod
    def is_online(self, account: int) -> bool:
        """Whether the account has a connection."""

    @abstractmethod
    def blockers(self, account: int) -> Set[int]:
        """The accounts that are online and have blocked this one."""

    @abstractmethod
    def set_blocked(self, user: OnlineUser, blocked: frozenset[int]) -> None:
        """Replace the blocks of a user who is online."""

    @abstractmethod
    def add_newcomer(self, account: int, first_seq: int) -> None:
        """Note that a new account may read ALL from ``first_seq`` on."""

    @abstractmethod
    def accepts(self, account: int, sender: int) -> bool:
        """Whether the account is online and has not blocked the sender."""

    def sees_online(self, viewer: OnlineUser, other: int) -> bool:
        """Whether the other account is online, and neither of the two has blocked the other."""
        return other not in viewer.blocked and self.accepts(other, viewer.key)

    # --- events ---
    @abstractmethod
    def deliver(
        self,
        account: int,
        pair: Pair,
        seq: int,
        event: str,
        payload: bytes,
        original: Original | None = None,
    ) -> None:
        """Send a one-to-one message to its recipient."""

    @abstractmethod
    def echo(
        self,
        account: int,
        pair: Pair,
        seq: int,
        event: str,
        payload: bytes,
        original: Original | None = None,
        *,
        but: ChatSession,
    ) -> None:
        """Send a one-to-one message to its sender's connections, except the one it came from."""

    @abstractmethod
    def deliver_to_room(
        self,
        room: Room,
        sender: int,
        seq: int,
        event: str,
        payload: bytes,
        reduced: Reduced | None = None,
        original: Original | None = None,
    ) -> None:
        """Send a message to the members who may read it and have not blocked the sender."""

    @abstractmethod
    def deliver_to_everyone(
        self,
        sender: int,
        seq: int,
        event: str,
        payload: bytes,
        reduced: Reduced | None = None,
        original: Original | None = None,
    ) -> None:
        """Send a message to everybody who may read it and has not blocked the sender."""

    @abstractmethod
    def broadcast(self, event: str, payload: bytes, *, hidden_from: Set[int] = NO_ACCOUNTS) -> None:
        """Send an event to all connections, except those of some accounts."""

    @abstractmethod
    def send(self, account: int, event: str, payload: bytes) -> None:
        """Send an event to all connections of an account."""

    @abstractmethod
    def notify(
        self,
        accounts: Iterable[int],
        event: str,
        payload: bytes,
        *,
        hidden_from: Set[int] = NO_ACCOUNTS,
        but: ChatSession | None = None,
    ) -> None:
        """Send an event to clients of protocol 1, except one connection and some accounts."""


class LocalReach(Reach):
    """All connections are in this process.

    Sending may end a connection whose client is too slow, which removes it. Each method therefore
    iterates over a copy.
    """

    def __init__(self, encode_event: EncodeEvent) -> None:
        self._encode_event = encode_event
        self._users: dict[int, OnlineUser] = {}
        self._connections_of: dict[int, list[ChatSession]] = {}
        self._connections: dict[ChatSession, None] = {}
        self._blockers: dict[int, set[int]] = {}
        self._newcomers: dict[int, int] = {}
        """The first seq of ALL that a new account may read, until that message was delivered."""

    def join(self, session: ChatSession, user: OnlineUser) -> bool:
        self._connections[session] = None
        connections = self._connections_of.get(user.key)
        if connections is not None:
            connections.append(session)
            return False
        self._connections_of[user.key] = [session]
        self._users[user.key] = user
        for blocked in user.blocked:
            self._blockers.setdefault(blocked, set()).add(user.key)
        return True

    def leave(self, session: ChatSession) -> bool:
        user = session.user
        if user is None or session not in self._connections:
            return False
        del self._connections[session]
        connections = self._connections_of[user.key]
        connections.remove(session)
        if connections:
            return False
        del self._connections_of[user.key]
        del self._users[user.key]
        for blocked in user.blocked:
            self._unindex(blocked, user.key)
        return True

    def connections(self) -> Collection[ChatSession]:
        return self._connections.keys()

    def connections_of(self, account: int) -> tuple[ChatSession, ...]:
        return tuple(self._connections_of.get(account, ()))

    def accounts(self) -> Set[int]:
        return self._users.keys()

    def user(self, account: int) -> OnlineUser | None:
        return self._users.get(account)

    def is_online(self, account: int) -> bool:
        return account in self._users

    def accepts(self, account: int, sender: int) -> bool:
        user = self._users.get(account)
        return user is not None and sender not in user.blocked

    def blockers(self, account: int) -> Set[int]:
        return self._blockers.get(account) or NO_ACCOUNTS

    def set_blocked(self, user: OnlineUser, blocked: frozenset[int]) -> None:
        for key in user.blocked - blocked:
            self._unindex(key, user.key)
        for key in blocked - user.blocked:
            self._blockers.setdefault(key, set()).add(user.key)
        user.blocked = blocked

    def _unindex(self, blocked: int, by: int) -> None:
        blockers = self._blockers.get(blocked)
        if blockers is not None:
            blockers.discard(by)
            if not blockers:
                del self._blockers[blocked]

    def add_newcomer(self, account: int, first_seq: int) -> None:
        self._newcomers[account] = first_seq

    def deliver(
        self,
        account: int,
        pair: Pair,
        seq: int,
        event: str,
        payload: bytes,
        original: Original | None = None,
    ) -> None:
        connections = self._connections_of.get(account)
        if connections is None:
            return
        packet = self._encode_event(event, payload)
        other = packet if original is None else self._encode_event(event, original(account))
        for session in tuple(connections):
            if session.original is None:
                session.connection.send(packet)
            else:
                session.original.receive(pair, seq, other)

    def echo(
        self,
        account: int,
        pair: Pair,
        seq: int,
        event: str,
        payload: bytes,
        original: Original | None = None,
        *,
        but: ChatSession,
    ) -> None:
        connections = self._connections_of.get(account)
        if connections is None or (len(connections) == 1 and connections[0] is but):
            return
        packet = self._encode_event(event, payload)
        other = packet if original is None else self._encode_event(event, original(account))
        for session in tuple(connections):
            if session is but:
                continue
            if session.original is None:
                session.connection.send(packet)
            else:
                session.original.echo(pair, seq, other)

    def deliver_to_room(
        self,
        room: Room,
        sender: int,
        seq: int,
        event: str,
        payload: bytes,
        reduced: Reduced | None = None,
        original: Original | None = None,
    ) -> None:
        hidden_from = self.blockers(sender)
        if reduced is not None:
            instead = self._encode_event(event, reduced.payload)
            for account in reduced.accounts - hidden_from:
                if seq >= room.members.get(account, seq + 1):
                    self._send(account, instead, event, original)
            hidden_from = hidden_from | reduced.accounts
        packet = self._encode_event(event, payload)
        online = self._connections_of
        for account, first_seq in room.members.items():
            connections = online.get(account)
            # Who joined after the message was stored may not read it.
            if connections is not None and seq >= first_seq and account not in hidden_from:
                if original is not None:
                    self._send(account, packet, event, original)
                    continue
                for session in tuple(connections):
                    session.connection.send(packet)

    def _send(self, account: int, packet: Packet, event: str, original: Original | None) -> None:
        for session in self.connections_of(account):
            if original is None or session.modern:
                session.connection.send(packet)
            else:
                session.connection.send(self._encode_event(event, original(account)))

    def deliver_to_everyone(
        self,
        sender: int,
        seq: int,
        event: str,
        payload: bytes,
        reduced: Reduced | None = None,
        original: Original | None = None,
    ) -> None:
        hidden_from = self.blockers(sender)
        if self._newcomers:
            # Accounts that were created after the message was stored may not read it.
            newcomers = {key for key, first in self._newcomers.items() if seq < first}
            hidden_from = hidden_from | newcomers
            self._newcomers = {k: first for k, first in self._newcomers.items() if seq + 1 < first}
        if reduced is not None:
            instead = self._encode_event(event, reduced.payload)
            for account in reduced.accounts - hidden_from:
                self._send(account, instead, event, original)
            hidden_from = hidden_from | reduced.accounts
        if original is not None:
            packet = self._encode_event(event, payload)
            for account in self.accounts() - hidden_from:
                self._send(account, packet, event, original)
            return
        self.broadcast(event, payload, hidden_from=hidden_from)

    def send(self, account: int, event: str, payload: bytes) -> None:
        if account in self._users:
            self._send(account, self._encode_event(event, payload), event, None)

    def broadcast(self, event: str, payload: bytes, *, hidden_from: Set[int] = NO_ACCOUNTS) -> None:
        packet = self._encode_event(event, payload)
        if not hidden_from:
            for session in tuple(self._connections):
                session.connection.send(packet)
            return
        for session in tuple(self._connections):
            if session.user is not None and session.user.key not in hidden_from:
                session.connection.send(packet)

    def notify(
        self,
        accounts: Iterable[int],
        event: str,
        payload: bytes,
        *,
        hidden_from: Set[int] = NO_ACCOUNTS,
        but: ChatSession | None = None,
    ) -> None:
        packet: Packet | None = None
        for account in tuple(accounts):
            connections = self._connections_of.get(account)
            if connections is None or account in hidden_from:
                continue
            for session in tuple(connections):
                if session.modern and session is not but:
                    if packet is None:
                        packet = self._encode_event(event, payload)
                    session.connection.send(packet)
