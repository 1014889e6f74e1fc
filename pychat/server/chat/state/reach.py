"""Reaches the connections of the users who are logged in; one implementation, in this process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pychat.server.chat.state.entities import OnlineUser
from pychat.server.chat.state.session import ChatSession


class LocalDelivery:
    """Who is online, on which connections. A user's blocks are at hand while online."""

    def __init__(self) -> None:
        self.users: dict[int, OnlineUser] = {}
        """Those who are online, by key."""
        self.sessions: dict[ChatSession, None] = {}
        """Every logged-in connection, oldest first."""
        self.newcomers: dict[int, int] = {}
        """What new accounts may read of ALL: the first seq of each, until it has been sent."""
        self._blockers: dict[int, set[int]] = {}

    def join(self, session: ChatSession, user: OnlineUser) -> bool:
        """True if the user has come online by it."""
        first = not user.sessions
        user.sessions.append(session)
        self.sessions[session] = None
        if first:
            self.users[user.key] = user
            for blocked in user.blocked:
                self._blockers.setdefault(blocked, set()).add(user.key)
        return first

    def leave(self, session: ChatSession) -> bool:
        """True if its user has gone offline by it."""
        user = session.user
        if user is None or session not in self.sessions:
            return False
        del self.sessions[session]
        user.sessions.remove(session)
        if user.sessions:
            return False
        del self.users[user.key]
        for blocked in user.blocked:
            self._unindex(blocked, user.key)
        return True

    def set_blocked(self, user: OnlineUser, blocked: frozenset[int]) -> None:
        """The user is online."""
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

    def blockers(self, account: int) -> frozenset[int] | set[int]:
        """Those online who have blocked the account."""
        return self._blockers.get(account) or frozenset()

    def sees_online(self, viewer: OnlineUser, other: int) -> bool:
        """Whether the viewer may know that the other one is online now, and wants to."""
        user = self.users.get(other)
        return user is not None and viewer.key not in user.blocked and other not in viewer.blocked

    def tell(self, user: OnlineUser | None, packet: Any, *, but: ChatSession | None = None) -> None:
        """What only clients of protocol 1 understand."""
        if user is not None:
            for session in user.sessions:
                if session.modern and session is not but:
                    session.connection.send(packet)

    def tell_accounts(
        self,
        accounts: Iterable[int],
        packet: Any,
        *,
        hidden_from: frozenset[int] | set[int],
        but: ChatSession,
    ) -> None:
        """The same, to those of the accounts who are online and not left out."""
        for key in accounts:
            user = self.users.get(key)
            if user is not None and key not in hidden_from:
                self.tell(user, packet, but=but)
