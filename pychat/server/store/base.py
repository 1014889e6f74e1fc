"""The interface that every store implements, its errors and its page cursors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from pychat.protocol import Availability, NotifyLevel
from pychat.server.store.files import FileStore
from pychat.server.store.records import (
    Account,
    Appended,
    Block,
    ChangeResult,
    ConversationRecord,
    ConversationSummary,
    CursorMove,
    HookRecord,
    LoginToken,
    Membership,
    MessageRecord,
    NewChange,
    NewMessage,
    RecordPage,
    RoomRecord,
    RoomStanding,
    Standing,
)

Durability = Literal["full", "normal"]
"""What a committed transaction survives: ``full`` a power failure, ``normal`` a killed process."""

UNREAD_LOOKED_AT = 10_000
"""Only the newest messages of a conversation are examined to count the unread ones."""

CHANGES_LOOKED_AT = 1_000
"""``changed`` examines at most this many changes at once, so a page may be empty."""

LAST_NUMBER = 1 << 62
"""Greater than the number of any message: where the first page of a list starts."""


class StoreError(Exception):
    """The store cannot be used. The text is one line: the reason, and what to do."""


class InvalidStoreAddress(StoreError):
    """The text is not the address of a store."""


class StoreMissing(StoreError):
    """There is no store at this address, and the caller did not ask to create one."""


class StoreUnavailable(StoreError):
    """The store is temporarily unavailable: the disk is full, or the database does not answer.
    Nothing that the call was to write is stored, with the exception that ``append`` names."""


class StoreFull(StoreUnavailable):
    """There is no room on the disk for the content of a file."""


class StoreLost(StoreUnavailable):
    """This process cannot use the store any more: the file was removed, another server has taken
    over the database, or the writer thread has ended. The process should exit."""


class StoreDamaged(StoreUnavailable):
    """The content of the file at ``path`` is corrupt."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class AlreadyExists(Exception):
    """The id of an account or a room is taken. Ids of rooms are unique in their canonical form;
    ids of accounts also in their look-alike form (``lookalikes.lookalike_form``)."""


class Store(FileStore, Protocol):
    """Persistent accounts, login tokens, conversations, messages and files.

    Every method is atomic: it does everything or raises. Every method may raise StoreUnavailable.
    The store assigns the keys of accounts and conversations: small integers, never reused. Methods
    compare ids in their canonical form (``protocol.canonical_id``). All times are milliseconds
    since the epoch, UTC.
    """

    # --- opening and closing ---
    location: str
    """Where the data is, for messages: a path, an address without its password, or "memory"."""

    async def open(self) -> None:
        """Open the store. Raises StoreError if it is not writable, is not a pychat store, has a
        newer schema, or is in use."""

    async def close(self) -> None:
        """Close the store after all pending writes."""

    async def check_ready(self) -> None:
        """Check that the store can be written. Raises StoreUnavailable."""

    async def epoch(self) -> str:
        """Return a random id of the content. It changes when an import or a restored backup
        replaces the content, so that clients drop what they have cached."""

    async def renew_epoch(self) -> None: ...

    async def index(self) -> None:
        """Index all messages for search now. A server does it in idle time."""

    async def check(self) -> list[str]:
        """Read everything and return the inconsistencies of the stored data, one line each."""

    # --- accounts ---
    async def create_account(
        self, id: str, alias: str, password_hash: str | None, created_at: int
    ) -> Account:
        """Create an account, which is a member of ALL. Raises AlreadyExists."""

    async def account(self, id: str) -> Account | None: ...

    async def accounts(self, keys: Sequence[int]) -> list[Account]:
        """Return the accounts with these keys in any order, without unknown keys."""

    async def find_accounts(self, query: str, limit: int) -> list[Account]:
        """Return enabled accounts whose id or alias matches every word of the query by prefix,
        ignoring case and accents, in the order of their ids. An empty query matches all."""

    def all_accounts(self) -> AsyncIterator[Account]:
        """Yield all accounts, disabled ones included, in the order of their ids."""

    async def update_account(
        self,
        key: int,
        *,
        alias: str | None = None,
        password_hash: str | None = None,
        disabled: bool | None = None,
        last_seen_at: int | None = None,
        status: Availability | None = None,
        status_text: str | None = None,
    ) -> None:
        """Update the given fields. A change of password_hash or disabled increments
        ``account_changes``."""

    async def rehash_password(self, key: int, old: str, new: str) -> bool:
        """Replace the hash of an unchanged password if it is still ``old``, and return whether it
        was. Does not increment ``account_changes``."""

    async def account_changes(self) -> int:
        """Return a counter. A server whose own changes do not explain its value knows that another
        process has changed an account or revoked a login token."""

    # --- login tokens ---
    async def add_login_token(self, token: LoginToken) -> None: ...

    async def login_token(self, token_hash: bytes) -> LoginToken | None: ...

    async def login_tokens_by_hash(self, token_hashes: Sequence[bytes]) -> list[LoginToken]:
        """Return the login tokens with these hashes in any order, without unknown hashes."""

    async def login_tokens(self, account: int) -> list[LoginToken]:
        """Return the account's login tokens, the last used first. Expired ones may be among
        them."""

    async def touch_login_token(
        self, token_hash: bytes, last_seen_at: int, expires_at: int
    ) -> None: ...

    async def revoke_login_tokens(self, account: int, ids: Sequence[str]) -> None:
        """Delete these login tokens of the account, and its expired ones. Increments
        ``account_changes``."""

    # --- webhooks ---
    async def add_hook(self, hook: HookRecord) -> None: ...

    async def hook(self, token_hash: bytes) -> HookRecord | None: ...

    async def hooks(self) -> list[HookRecord]:
        """Return all webhooks, the oldest first, those of deleted rooms included."""

    async def remove_hook(self, id: str) -> bool:
        """Delete a webhook. Returns False if there is none with this id."""

    # --- blocks ---
    async def block(self, account: int, other: int, since: int | None = None) -> None:
        """Let ``account`` block ``other``. The block records the account's alias and ``since``
        (default: when the account was last seen) for ``blockers``. An existing block stays
        unchanged."""

    async def unblock(self, account: int, other: int) -> None: ...

    async def blocked(self, account: int) -> frozenset[int]:
        """Return the accounts that this account has blocked."""

    async def blockers(self, account: int) -> list[Block]:
        """Return the blocks against this account in any order."""

    # --- conversations ---
    async def everyone(self) -> ConversationRecord:
        """Return the conversation ALL. It always exists."""

    async def pair(self, a: int, b: int) -> ConversationRecord | None:
        """Return the conversation of two accounts, given in either order."""

    async def open_pair(self, a: int, b: int) -> ConversationRecord:
        """Return the conversation of two accounts. Create it with both as members if there is
        none."""

    async def open_pairs(self, pairs: Sequence[tuple[int, int]]) -> list[ConversationRecord]:
        """Do the same for many pairs at once. The result has the order of ``pairs``."""

    async def pairs(self, account: int) -> list[ConversationRecord]:
        """Return the account's one-to-one conversations in any order, including the one with
        itself."""

    async def conversations_by_key(self, keys: Sequence[int]) -> list[ConversationRecord]:
        """Return these conversations in any order, without unknown keys and deleted rooms."""

    async def membership(self, conversation: int, account: int) -> Membership | None: ...

    async def memberships(self, conversations: Sequence[int]) -> list[Membership]:
        """Return all memberships of these conversations in any order."""

    async def set_notify(self, conversation: int, account: int, level: NotifyLevel) -> bool:
        """Set what the account's clients announce. Return False if it is not a member."""

    async def last_seq(self, conversation: int) -> int:
        """Return the seq of the last message, 0 if there is none."""

    async def last_seqs(self, conversations: Sequence[int]) -> list[int]:
        """Do the same for many conversations. The result has the order of ``conversations``."""

    async def conversations(
        self, account: int, *, cursor: str | None, limit: int
    ) -> tuple[list[ConversationSummary], str | None]:
        """Return a page of the account's conversations, newest last message first (then by key),
        and the cursor of the next page, None at the end. Pairs without a message are left out.
        Raises ValueError for an invalid cursor."""

    async def move_cursors(self, moves: Sequence[CursorMove]) -> list[Membership]:
        """Move cursors and return the new membership for each move, in that order. If a membership
        has several moves, the result of each may be the state after it or after the last one."""

    async def put_memberships(self, memberships: Sequence[Membership]) -> None:
        """Create or replace memberships. An import uses it."""

    # --- messages ---
    async def append(self, batch: Sequence[NewMessage]) -> list[Appended]:
        """Store the batch, each message at the next seq of its conversation, and return their
        places in the order of the batch once they are on disk. A message whose (sender, client_id)
        exists, in the store or earlier in the batch, is not stored again: its result is a
        duplicate. The MongoDB store may have stored some messages although it raises
        StoreUnavailable."""

    async def commit(
        self, batch: Sequence[NewMessage | NewChange]
    ) -> list[Appended | ChangeResult]:
        """Do the same as ``append`` for messages and changes of messages, in the order of the
        batch. A change with the outcome DONE has the next rev of its conversation: 1, 2, 3 …
        without gaps. ``changes.decide`` is the rule for outcomes. Messages with a file must be
        stored here. If there is no such file, the answer is a change that is MISSING."""

    async def history(
        self,
        conversation: int,
        *,
        first_seq: int,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> RecordPage:
        """Return a page of messages, oldest first, and whether there are more: older ones if
        ``before`` or neither is given, newer ones if ``after`` is. ``before`` and ``after`` are
        exclusive and never both given. Messages below ``first_seq`` are left out."""

    async def changed(
        self, conversation: int, *, first_seq: int, after: int, limit: int
    ) -> RecordPage:
        """Return the messages whose newest change is later than the rev ``after``, in the order of
        their revs, those below ``first_seq`` left out. ``rev``: there are no others up to it."""

    async def messages(self, places: Sequence[tuple[int, int]]) -> list[MessageRecord]:
        """Return the messages with these conversations and seqs in any order, without unknown
        ones."""

    async def put_changes(self, messages: Sequence[MessageRecord]) -> None:
        """Give stored messages the revs, edit times and reactions of these records, and remove the
        text of removed ones. An import uses it."""

    async def undelivered(
        self, account: int, limit: int, sent: Mapping[int, int]
    ) -> list[MessageRecord]:
        """Return messages of the account's one-to-one conversations beyond its delivered cursor,
        conversation by conversation, oldest first. Its own messages are left out, except those to
        itself. ``sent`` maps conversations to the seq up to which the caller has the messages."""

    async def search(
        self,
        account: int,
        text: str,
        *,
        conversation: int | None,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[MessageRecord], str | None]:
        """Return a page of the messages that match the text and that the account may read, newest
        first, and the cursor of the next page. A message must contain every word of the text, by
        prefix; Korean, Japanese and Chinese match anywhere. Case and accents are ignored. Raises
        ValueError for an invalid cursor."""

    # --- rooms ---
    async def create_room(
        self, id: str, name: str, owner: int, *, private: bool = False
    ) -> RoomRecord:
        """Create a room with its owner as a member. Raises AlreadyExists."""

    async def room(self, id: str) -> RoomRecord | None: ...

    async def rooms(self) -> list[RoomRecord]:
        """Return all rooms in the order of their ids."""

    async def update_room(
        self,
        conversation: int,
        *,
        name: str | None = None,
        topic: str | None = None,
        owner: int | None = None,
    ) -> None:
        """Update the given fields."""

    async def delete_room(self, conversation: int) -> None:
        """Delete a room with its messages. Its id can be used again."""

    async def join_room(self, conversation: int, account: int) -> Membership:
        """Add a member, who can read from the next message on. An existing membership stays
        unchanged. An invitation or a bar ends."""

    async def leave_room(self, conversation: int, account: int, *, barred: bool = False) -> None:
        """End a membership and its standing, which becomes BARRED if ``barred``."""

    async def set_standing(
        self, conversation: int, account: int, standing: Standing | None
    ) -> None: ...

    async def standings(self) -> list[RoomStanding]:
        """Return the standings in all rooms, in any order."""

    async def members(self, conversation: int) -> list[int]:
        """Return the keys of a room's members."""


def encode_cursor(*numbers: int) -> str:
    """Encode where the next page of a list starts. Clients treat the result as opaque."""
    return ".".join(map(str, numbers))


def decode_cursor(cursor: str | None, *first: int) -> list[int]:
    """Return the numbers of a cursor, or ``first`` without a cursor. Raises ValueError if
    ``encode_cursor`` with as many numbers did not make it."""
    if cursor is None:
        return list(first)
    parts = cursor.split(".")
    if len(parts) != len(first) or not all(
        part.isascii() and part.isdigit() and len(part) <= 18 for part in parts
    ):
        raise ValueError("not a cursor of this list")
    return [int(part) for part in parts]
