"""Which members of a room a text mentions."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from msgspec import UNSET, UnsetType

from pychat.protocol import (
    EVERYONE,
    MAX_ID_CHARACTERS,
    MAX_MENTION_MARKS,
    MAX_MENTIONS,
    canonical_id,
)
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import Conversation, OnlineUser, Room
from pychat.server.chat.state.roles import Roles
from pychat.server.store.records import ALL_MEMBERS

MARK = "@"
MAX_CANONICAL = 4 * MAX_ID_CHARACTERS
"""Canonicalizing makes some texts longer. Longer ids cannot be mentioned."""
_ALL = canonical_id(EVERYONE)


class Mentions:
    """Finds mentions in texts of rooms."""

    def __init__(self, directory: Directory, roles: Roles) -> None:
        self._directory = directory
        self._roles = roles

    def ready(self, conversation: Conversation, text: str) -> bool:
        """Whether ``find`` need not be preceded by ``prepare``."""
        return (
            MARK not in text
            or not isinstance(conversation, Room)
            or conversation.members.keys() <= conversation.ids.keys()
        )

    async def prepare(self, conversation: Conversation, text: str) -> None:
        """Read the ids that ``find`` needs. Raises StoreError."""
        if not self.ready(conversation, text):
            assert isinstance(conversation, Room)
            await self._directory.learn_ids(conversation)

    def find(
        self, user: OnlineUser, conversation: Conversation, text: str, seq: int | None = None
    ) -> tuple[int, ...]:
        """Return the accounts that a text of this user mentions, in ascending order: members whose
        ids follow an ``@`` that follows no word, the longest id where several fit.

        ``@ALL`` is for those who moderate the room. ``seq``: of a message that is edited; it
        mentions nobody who joined after it.
        """
        if MARK not in text or not isinstance(conversation, Room):
            return ()
        return _find(conversation, text, self._roles.moderates(user, conversation), seq)


def _find(room: Room, text: str, may_mention_all: bool, seq: int | None) -> tuple[int, ...]:
    found: set[int] = set()
    at = text.find(MARK)
    for _ in range(MAX_MENTION_MARKS):
        if at < 0 or len(found) == MAX_MENTIONS:
            break
        if at == 0 or not _is_word(text[at - 1]):
            account = _mentioned(room, text, at + 1, may_mention_all, seq)
            if account is not None:
                found.add(account)
        at = text.find(MARK, at + 1)
    return tuple(sorted(found))


def _mentioned(
    room: Room, text: str, start: int, may_mention_all: bool, seq: int | None
) -> int | None:
    """Return the member whose id begins at ``start``."""
    beginning = text[start : start + MAX_ID_CHARACTERS]
    # An ASCII text must not fill the cache of canonical ids.
    name = beginning.lower() if beginning.isascii() else canonical_id(beginning)
    following = text[start + MAX_ID_CHARACTERS : start + MAX_ID_CHARACTERS + 1]
    for end in range(min(len(name), MAX_CANONICAL), 0, -1):
        next_character = name[end : end + 1] or following
        if next_character and _is_word(next_character):
            continue
        id = name[:end]
        if id == _ALL:
            return ALL_MEMBERS if may_mention_all else None
        account = room.keys.get(id)
        first_seq = None if account is None else room.members.get(account)
        if first_seq is not None and (seq is None or first_seq <= seq):
            return account
    return None


def _is_word(character: str) -> bool:
    return (
        character.isalnum()
        or character == "_"
        or (not character.isascii() and unicodedata.category(character)[0] == "M")
    )


def mentioned_ids(conversation: Conversation, accounts: Iterable[int]) -> list[str] | UnsetType:
    """Return the ids of accounts that a message of a room mentions. Left out if there are none."""
    if not accounts or not isinstance(conversation, Room):
        return UNSET
    ids = conversation.ids
    known = (EVERYONE if key == ALL_MEMBERS else ids.get(key) for key in accounts)
    return [id for id in known if id is not None] or UNSET
