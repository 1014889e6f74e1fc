"""The interface that every store implements, and the errors it may raise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pychat.server.store.records import (
    Account,
    Appended,
    Block,
    ConversationRecord,
    ConversationSummary,
    CursorMove,
    LoginToken,
    Membership,
    MessageRecord,
    NewMessage,
    RoomRecord,
)

UNREAD_LOOKED_AT = 10_000
"""How many of a conversation's newest messages are looked at to count those that are unread."""


class StoreError(Exception):
    """The store cannot be used: one clear line that says why and what would help."""


class InvalidStoreAddress(StoreError):
    """What was given as a store's address is none."""


class StoreMissing(StoreError):
    """There is none at this address, and none was to be made."""


class StoreUnavailable(StoreError):
    """For now: the disk is full, the database is away. Nothing of the call was kept."""


class StoreLost(StoreUnavailable):
    """For this process for good: the file was removed, another server has taken the database over,
    the thread that writes has ended. What opened the store should end, too."""


class StoreDamaged(StoreUnavailable):
    """The file at ``path`` is not what was written to it."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class AlreadyExists(Exception):
    """The id of an account or a room is taken: ids of rooms are unique by their canonical form,
    those of accounts by ``lookalikes.lookalike_form``, too."""


class Store(Protocol):
    """Everything is async; a call either happened whole or raised.

    Any method may raise StoreUnavailable. Keys are given by the store, small and never reused.
    Ids are looked up by their canonical form (``protocol.canonical_id``).
    """

    # --- life ---
    location: str
    """Where the data lies, for people: a path, an address without its password, or "memory"."""

    async def open(self) -> None:
        """Raises StoreError: not writable, not a pychat store, a newer schema, in use."""

    async def close(self) -> None:
        """Waits for what is being written."""

    async def check_ready(self) -> None:
        """Returns if the store answers, else raises StoreUnavailable."""

    async def index(self) -> None:
        """Makes all messages quick to find; a server does it by and by."""

    async def check(self) -> list[str]:
        """What is wrong with the stored data themselves, a line each. Reads everything."""

    # --- accounts ---
    async def create_account(
        self, id: str, alias: str, password_hash: str | None, created_at: int
    ) -> Account:
        """A member of ALL from here on. Raises AlreadyExists."""

    async def account(self, id: str) -> Account | None: ...

    async def accounts(self, keys: Sequence[int]) -> list[Account]:
        """In any order; unknown keys are left out."""

    async def find_accounts(self, query: str, limit: int) -> list[Account]:
        """Those whose id or alias has a word that begins with the query, case and accents
        ignored, by id. An empty query matches all. Disabled accounts are left out."""

    def all_accounts(self) -> AsyncIterator[Account]:
        """By id, the disabled ones too."""

    async def update_account(
        self,
        key: int,
        *,
        alias: str | None = None,
        password_hash: str | None = None,
        disabled: bool | None = None,
        last_seen_at: int | None = None,
    ) -> None:
        """What is None stays as it is. A change of password_hash or disabled moves
        ``account_changes``."""

    async def rehash_password(self, key: int, old: str, new: str) -> bool:
        """Replaces the hash of a password that stays the same, if it still is ``old``; False if
        not. Does not move ``account_changes``."""

    async def account_changes(self) -> int:
        """A counter: when it has moved, another process has changed an account or revoked a
        session."""

    # --- login sessions ---
    async def add_login_token(self, session: LoginToken) -> None: ...

    async def login_token(self, token_hash: bytes) -> LoginToken | None: ...

    async def login_tokens_by_hash(self, token_hashes: Sequence[bytes]) -> list[LoginToken]:
        """In any order; unknown ones are left out."""

    async def login_tokens(self, account: int) -> list[LoginToken]:
        """Newest ``last_seen_at`` first, the expired ones left out by the caller."""

    async def touch_login_token(
        self, token_hash: bytes, last_seen_at: int, expires_at: int
    ) -> None: ...

    async def revoke_login_tokens(self, account: int, ids: Sequence[str]) -> None:
        """Also forgets that account's expired ones. Moves ``account_changes``."""

    # --- blocks ---
    async def block(self, account: int, other: int, since: int | None = None) -> None:
        """Keeps the account's alias and ``since`` with it (None: when it was last seen), for
        ``blockers``. What is blocked already stays as it is."""

    async def unblock(self, account: int, other: int) -> None: ...

    async def blocked(self, account: int) -> frozenset[int]:
        """Whom the account has blocked."""

    async def blockers(self, account: int) -> list[Block]:
        """Who has blocked the account. In any order."""

    # --- conversations ---
    async def everyone(self) -> ConversationRecord:
        """The conversation ALL; it is always there."""

    async def pair(self, a: int, b: int) -> ConversationRecord | None:
        """The conversation of two accounts, in either order, if there is one."""

    async def open_pair(self, a: int, b: int) -> ConversationRecord:
        """The same, made if need be, both accounts being members."""

    async def open_pairs(self, pairs: Sequence[tuple[int, int]]) -> list[ConversationRecord]:
        """The same for many, in that order: what an import makes at once."""

    async def pairs(self, account: int) -> list[ConversationRecord]:
        """The account's one-to-one conversations, that with itself too. In any order."""

    async def conversations_by_key(self, keys: Sequence[int]) -> list[ConversationRecord]:
        """In any order; unknown keys and deleted rooms are left out."""

    async def membership(self, conversation: int, account: int) -> Membership | None: ...

    async def memberships(self, conversations: Sequence[int]) -> list[Membership]:
        """Of all their members, in any order."""

    async def last_seq(self, conversation: int) -> int:
        """0 while it is empty."""

    async def last_seqs(self, conversations: Sequence[int]) -> list[int]:
        """The same for many, in that order."""

    async def conversations(
        self, account: int, *, cursor: str | None, limit: int
    ) -> tuple[list[ConversationSummary], str | None]:
        """Newest first (by the last message, then by key), and the cursor of the next page, None
        at the end. A pair without a message is left out. Raises ValueError for a cursor that is
        not one."""

    async def move_cursors(self, moves: Sequence[CursorMove]) -> list[Membership]:
        """The memberships after all the moves, one a move, in that order. One that is named twice
        may be answered as after the first of its moves, or after the last."""

    async def put_memberships(self, memberships: Sequence[Membership]) -> None:
        """Exactly these, made or changed: what an import restores."""

    # --- messages ---
    async def append(self, batch: Sequence[NewMessage]) -> list[Appended]:
        """Keeps the batch in one transaction, each message at the next seq of its conversation.
        Answers in the batch's order, once it is on disk. A message whose (sender, client_id) is
        there already, in the batch or before, is not kept again but answered as a duplicate."""

    async def history(
        self,
        conversation: int,
        *,
        first_seq: int,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> tuple[list[MessageRecord], bool]:
        """Oldest first, and whether there are more: older ones (``before``, or neither), newer
        ones (``after``). ``before`` and ``after`` are exclusive, never both. Nothing below
        ``first_seq`` is given."""

    async def undelivered(
        self, account: int, limit: int, sent: Mapping[int, int]
    ) -> list[MessageRecord]:
        """From the account's one-to-one conversations, what is after its delivered cursor and was
        not sent by itself, unless to itself: conversation by conversation, oldest first. ``sent``
        names the seqs, by conversation, up to which messages are not asked for again."""

    async def search(
        self,
        account: int,
        text: str,
        *,
        conversation: int | None,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[MessageRecord], str | None]:
        """Newest first. Every word of the text must be in the message, by prefix, case and
        accents ignored; in Korean, Japanese and Chinese, anywhere in it. Only what the account
        may read. Raises ValueError for a cursor that is not one."""

    async def remove_message(self, conversation: int, seq: int) -> bool:
        """Its text is gone, its seq stays. False if there is no such message."""

    # --- rooms ---
    async def create_room(self, id: str, name: str, owner: int) -> RoomRecord:
        """The owner is a member. Raises AlreadyExists."""

    async def room(self, id: str) -> RoomRecord | None: ...

    async def rooms(self) -> list[RoomRecord]:
        """By id."""

    async def rename_room(self, conversation: int, name: str) -> None: ...

    async def delete_room(self, conversation: int) -> None:
        """The id is free again; nobody can read what was said in it."""

    async def join_room(self, conversation: int, account: int) -> Membership:
        """Reads from the next message on. Who is a member already stays one, unchanged."""

    async def leave_room(self, conversation: int, account: int) -> None: ...

    async def members(self, conversation: int) -> list[int]:
        """The accounts in a room."""
