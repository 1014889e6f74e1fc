"""Roles: who may do what in rooms."""

from __future__ import annotations

from collections.abc import Iterable

from pychat.protocol import canonical_id
from pychat.server.chat.state.entities import Conversation, OnlineUser, Room
from pychat.server.store.records import Standing


class Roles:
    """The one place that decides who may change a room, its members and their messages."""

    def __init__(self, admins: Iterable[str]) -> None:
        """``admins``: the ids of those who may do what owners may, in all rooms."""
        self._admins = {canonical_id(id) for id in admins}

    def is_admin(self, user: OnlineUser) -> bool:
        return canonical_id(user.id) in self._admins

    def owns(self, user: OnlineUser, conversation: Conversation) -> bool:
        """Whether the user may do what the owner of a room may."""
        if not isinstance(conversation, Room):
            return False
        return conversation.owner == user.key or self.is_admin(user)

    def moderates(self, user: OnlineUser, conversation: Conversation) -> bool:
        """Whether the user may do what a moderator of a room may."""
        return self.owns(user, conversation) or (
            isinstance(conversation, Room)
            and conversation.standings.get(user.key) is Standing.MODERATOR
        )


def role_of(room: Room, account: int) -> str:
    """Return what the account is in the room: owner, moderator, member, invited or none."""
    standing = room.standings.get(account)
    if account in room.members:
        if account == room.owner:
            return "owner"
        return "moderator" if standing is Standing.MODERATOR else "member"
    return "invited" if standing is Standing.INVITED else "none"
