"""The lines of an export: their JSON format, which is the same for all stores, and decoding.

The lines name accounts by id, never by key, and have a fixed order, so that importing and exporting
again gives the same file: ``pychat``, the accounts, each conversation with its messages and an
``end`` with their number and checksum, and the ``total``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from pychat.protocol import (
    EVERYONE,
    MAX_BLURHASH,
    MAX_FILE_NAME,
    MAX_PIXELS,
    MAX_STATUS_CHARACTERS,
    ROOM_PREFIX,
    SHOWN_TYPES,
    UNKNOWN_TYPE,
    Availability,
    NotifyLevel,
    ProtocolError,
    check_emoji,
    check_id,
)
from pychat.server.store.base import StoreError
from pychat.visible import file_name

VERSION = 1

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""An integer that every store supports."""
YEAR_10000: Final = 253_402_300_800_000
"""Milliseconds since the epoch. RFC 3339 has no such late time, so no client could read it."""
Moment = Annotated[int, Meta(ge=0, lt=YEAR_10000)]
"""Milliseconds since the epoch."""


class LoginTokenLine(Struct, rename="camel"):
    """A login token. ``token_hash`` is hexadecimal."""

    id: str
    token_hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    device: str
    since: Moment
    last_seen_at: Moment
    expires_at: Moment


class MemberLine(Struct, rename="camel"):
    """A member of a conversation: the first readable message, the cursors, and ``notify`` unless it
    is ``all``."""

    id: str
    first_seq: Number
    delivered_seq: Number
    read_seq: Number
    notify: NotifyLevel | UnsetType = UNSET


class Header(Struct, tag="pychat", tag_field="type"):
    """The first line."""

    version: int = VERSION


class AccountLine(Struct, tag="account", tag_field="type", rename="camel"):
    """An account with its private data and the hash of its password. The last two only where they
    say something."""

    id: str
    alias: str
    password_hash: str | None
    disabled: bool
    created_at: Moment
    last_seen_at: Moment | None
    sessions: list[LoginTokenLine]
    blocked: list[str]
    status: Availability | UnsetType = UNSET
    status_text: Annotated[str, Meta(max_length=MAX_STATUS_CHARACTERS)] | UnsetType = UNSET


class StandingLine(Struct):
    """What an account is in a room beside a member or its owner."""

    id: str
    standing: Literal["moderator", "barred", "invited"]


class HookLine(Struct, rename="camel"):
    """A webhook of a room, which posts as ``account``. ``token_hash`` is hexadecimal."""

    id: Annotated[str, Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]*$")]
    token_hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    account: str
    created_at: Moment


class ConversationLine(Struct, tag="conversation", tag_field="type", rename="camel"):
    """A conversation. ``between``: the two ids of a pair. ``room_*`` and what follows: only for
    rooms, the last four only where they say something."""

    kind: Literal["everyone", "room", "pair"]
    members: list[MemberLine]
    between: list[str] = []
    room_id: str = ""
    room_name: str = ""
    room_owner: str = ""
    topic: str | UnsetType = UNSET
    private: bool | UnsetType = UNSET
    standings: list[StandingLine] | UnsetType = UNSET
    hooks: list[HookLine] | UnsetType = UNSET

    @property
    def name(self) -> str:
        """Name of the conversation in messages."""
        match self.kind:
            case "everyone":
                return EVERYONE
            case "room":
                return ROOM_PREFIX + self.room_id
        return " and ".join(self.between)


class ReactionLine(Struct):
    """A reaction by the account ``id``, and the rev with which it was added."""

    rev: Number
    emoji: str
    id: str


class FileLine(Struct, rename="camel"):
    """The file of a message. Its content is beside the lines in an archive."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    name: str
    size: Annotated[int, Meta(ge=1, le=2**40)]
    mime: str
    created_at: Moment
    width: Annotated[int, Meta(ge=1, le=MAX_PIXELS)] | UnsetType = UNSET
    height: Annotated[int, Meta(ge=1, le=MAX_PIXELS)] | UnsetType = UNSET
    blurhash: Annotated[str, Meta(max_length=MAX_BLURHASH)] | UnsetType = UNSET


class MessageLine(Struct, tag="message", tag_field="type", rename="camel"):
    """A message of the preceding conversation. ``client_id`` is hexadecimal. The fields of changes
    are left out if there were none. ``mentions``: ids of accounts, ``ALL`` for all members."""

    seq: Number
    sender: str
    client_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None
    sent_at: Moment
    data: str
    removed: bool = False
    reply_to: Number | UnsetType = UNSET
    rev: Number | UnsetType = UNSET
    edited_at: Moment | UnsetType = UNSET
    reactions: list[ReactionLine] | UnsetType = UNSET
    mentions: list[str] | UnsetType = UNSET
    file: FileLine | UnsetType = UNSET


class End(Struct, tag="end", tag_field="type", rename="camel"):
    """The end of a conversation: number of messages, and the SHA-256 of their lines."""

    messages: int
    sha256: str


class Total(Struct, tag="total", tag_field="type", rename="camel"):
    """The last line: numbers of lines, and the SHA-256 of all lines before."""

    accounts: int
    conversations: int
    messages: int
    sha256: str


Line = Header | AccountLine | ConversationLine | MessageLine | End | Total

encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


def decode_lines(lines: Iterable[bytes]) -> Iterator[Line]:
    """Decode and check the lines of an export. The file is not trusted: this checks each line,
    the order of the lines, the numbers and the checksums.

    Raises StoreError, which names the line, if the file is not an export, is truncated or was
    changed.
    """
    digest, conversation = hashlib.sha256(), hashlib.sha256()
    total, end = Total(0, 0, 0, ""), End(0, "")
    inside = finished = False
    names = _Names()
    for number, encoded in enumerate(lines, 1):
        try:
            line = _decoder.decode(encoded)
        except msgspec.DecodeError as error:
            raise StoreError(f"line {number} is not a line of an export: {error}") from None
        if number == 1 and not (isinstance(line, Header) and line.version == VERSION):
            raise StoreError(
                f"this is not an export of a version that this pychat can read ({VERSION})"
            )
        if inside != isinstance(line, MessageLine | End):
            raise StoreError(f"line {number} is in the wrong place")
        inside = isinstance(line, ConversationLine | MessageLine)
        try:
            names.check(line)
        except (ProtocolError, ValueError) as error:
            raise StoreError(f"line {number} is not a line of an export: {error}") from None
        match line:
            case Total():
                total.sha256 = digest.hexdigest()
                if line != total:
                    raise StoreError(f"line {number}: the file was changed after the export")
                finished = True
            case AccountLine():
                total.accounts += 1
            case ConversationLine():
                total.conversations += 1
                conversation, end = hashlib.sha256(), End(0, "")
            case MessageLine():
                total.messages += 1
                end.messages += 1
                conversation.update(encoder.encode(line))
            case End():
                end.sha256 = conversation.hexdigest()
                if line != end:
                    raise StoreError(f"line {number}: the file was changed after the export")
        digest.update(encoded)
        yield line
    if not finished:
        raise StoreError("the file ends too early: the export was not finished")


class _Names:
    """The ids of the accounts so far, and the revs of the conversation. Lines may only name these
    accounts, and each rev once."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._blocked: set[str] = set()
        self._revs: set[int] = set()
        self._files: set[str] = set()
        self._hooks: set[str] = set()

    def check(self, line: Line) -> None:
        """Raise ProtocolError for an invalid id or emoji, ValueError for an id without an account
        and for changes that no store would have."""
        match line:
            case AccountLine():
                self._known.add(check_id(line.id, "id"))
                self._blocked.update(line.blocked)
            case ConversationLine():
                self._require(self._blocked)
                self._blocked.clear()
                self._revs.clear()
                self._require(member.id for member in line.members)
                if line.kind == "pair":
                    if len(line.between) != 2:
                        raise ValueError("a pair needs two ids")
                    self._require(line.between)
                elif line.kind == "room":
                    check_id(line.room_id, "roomId")
                    self._require([line.room_owner])
                    self._require(each.id for each in line.standings or ())
                    self._check_hooks(line.hooks or [])
            case MessageLine():
                self._require([line.sender])
                mentions = line.mentions or []
                self._require(id for id in mentions if id != EVERYONE)
                if len(set(mentions)) < len(mentions):
                    raise ValueError("a message mentions an account twice")
                self._check_changes(line)
                if line.file is not UNSET:
                    self._check_file(line, line.file)

    def _check_hooks(self, hooks: list[HookLine]) -> None:
        self._require(hook.account for hook in hooks)
        for hook in hooks:
            if not self._hooks.isdisjoint((hook.id, hook.token_hash)):
                raise ValueError("a webhook belongs to one room")
            self._hooks |= {hook.id, hook.token_hash}

    def _check_file(self, line: MessageLine, file: FileLine) -> None:
        if line.removed or file.id in self._files:
            raise ValueError("a file belongs to one message that is not removed")
        if file.name != file_name(file.name, MAX_FILE_NAME):
            raise ValueError("the name of a file is not safe")
        if file.mime != UNKNOWN_TYPE and file.mime not in SHOWN_TYPES:
            raise ValueError("the type of a file is not one that the server gives")
        blurhash = file.blurhash or ""
        if not (blurhash.isascii() and (blurhash.isprintable() or not blurhash)):
            raise ValueError("a blurhash must be ASCII")
        self._files.add(file.id)

    def _check_changes(self, line: MessageLine) -> None:
        rev, reactions = line.rev or 0, line.reactions or []
        revs = {reaction.rev for reaction in reactions}
        if (line.edited_at or reactions) and not rev:
            raise ValueError("a changed message needs a rev")
        if rev in self._revs or len(revs) < len(reactions) or any(each > rev for each in revs):
            raise ValueError("a rev is wrong")
        if rev:
            self._revs.add(rev)
        self._require(reaction.id for reaction in reactions)
        for reaction in reactions:
            check_emoji(reaction.emoji)

    def _require(self, ids: Iterable[str]) -> None:
        for id in ids:
            if id not in self._known:
                raise ValueError(f"there is no account with the id {id!r} before it")
