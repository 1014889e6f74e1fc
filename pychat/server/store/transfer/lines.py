"""A whole store as lines of JSON, the same from every kind of store, and back again.

The lines name accounts by id, never by key, and have one order: what is imported and exported
again is the same file. First ``pychat``, then the accounts, then each conversation with its
messages and an ``end`` that counts them, last the ``total``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from pychat.protocol import EVERYONE, ROOM_PREFIX, ProtocolError, check_id
from pychat.server.store.base import StoreError

VERSION = 1

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""What every store can keep."""


class LoginTokenLine(Struct, rename="camel"):
    """A login; ``token_hash`` in hexadecimal."""

    id: str
    token_hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    device: str
    since: Number
    last_seen_at: Number
    expires_at: Number


class MemberLine(Struct, rename="camel"):
    """Who reads a conversation, from where, and how far that one has come."""

    id: str
    first_seq: Number
    delivered_seq: Number
    read_seq: Number


class Header(Struct, tag="pychat", tag_field="type"):
    """The first line."""

    version: int = VERSION


class AccountLine(Struct, tag="account", tag_field="type", rename="camel"):
    """An account with what only its owner sees; the password as a hash."""

    id: str
    alias: str
    password_hash: str | None
    disabled: bool
    created_at: Number
    last_seen_at: Number | None
    sessions: list[LoginTokenLine]
    blocked: list[str]


class ConversationLine(Struct, tag="conversation", tag_field="type", rename="camel"):
    """``between``: the two ids of a pair. ``room_*`` only for rooms."""

    kind: Literal["everyone", "room", "pair"]
    members: list[MemberLine]
    between: list[str] = []
    room_id: str = ""
    room_name: str = ""
    room_owner: str = ""

    @property
    def name(self) -> str:
        """For people."""
        match self.kind:
            case "everyone":
                return EVERYONE
            case "room":
                return ROOM_PREFIX + self.room_id
        return " and ".join(self.between)


class MessageLine(Struct, tag="message", tag_field="type", rename="camel"):
    """A message of the conversation before it; ``client_id`` in hexadecimal."""

    seq: Number
    sender: str
    client_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")] | None
    sent_at: Number
    data: str
    removed: bool = False


class End(Struct, tag="end", tag_field="type", rename="camel"):
    """After a conversation's messages: how many, and the SHA-256 of their lines."""

    messages: int
    sha256: str


class Total(Struct, tag="total", tag_field="type", rename="camel"):
    """The last line: what the file has, and the SHA-256 of all lines before."""

    accounts: int
    conversations: int
    messages: int
    sha256: str


Line = Header | AccountLine | ConversationLine | MessageLine | End | Total

encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


def decode_lines(lines: Iterable[bytes]) -> Iterator[Line]:
    """The lines of an export, checked against their counts and checksums, and each by itself: the
    file may be a stranger's.

    Raises StoreError, naming the line, for a file that is not one, was cut or was changed.
    """
    digest, conversation = hashlib.sha256(), hashlib.sha256()
    total, end = Total(0, 0, 0, ""), End(0, "")
    inside = finished = False
    names = _Names()
    for number, encoded in enumerate(lines, 1):
        try:
            line = _decoder.decode(encoded)
        except msgspec.DecodeError as error:
            raise StoreError(f"line {number} is not one of an export: {error}") from None
        if number == 1 and not (isinstance(line, Header) and line.version == VERSION):
            raise StoreError(f"this is not an export that this pychat reads (version {VERSION})")
        if inside != isinstance(line, MessageLine | End):
            raise StoreError(f"line {number} is not one of an export: it is in the wrong place")
        inside = isinstance(line, ConversationLine | MessageLine)
        try:
            names.check(line)
        except (ProtocolError, ValueError) as error:
            raise StoreError(f"line {number} is not one of an export: {error}") from None
        match line:
            case Total():
                total.sha256 = digest.hexdigest()
                if line != total:
                    raise StoreError(f"line {number}: the file was changed since its export")
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
                    raise StoreError(f"line {number}: the file was changed since its export")
        digest.update(encoded)
        yield line
    if not finished:
        raise StoreError("the file ends too early: its export was not finished")


class _Names:
    """The ids that the accounts before a line have: others may not be named."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._blocked: set[str] = set()

    def check(self, line: Line) -> None:
        """Raises ProtocolError for what is no id, ValueError for an id that nobody has."""
        match line:
            case AccountLine():
                self._known.add(check_id(line.id, "id"))
                self._blocked.update(line.blocked)
            case ConversationLine():
                self._require(self._blocked)
                self._blocked.clear()
                self._require(member.id for member in line.members)
                if line.kind == "pair":
                    if len(line.between) != 2:
                        raise ValueError("a pair is between two")
                    self._require(line.between)
                elif line.kind == "room":
                    check_id(line.room_id, "roomId")
                    self._require([line.room_owner])
            case MessageLine():
                self._require([line.sender])

    def _require(self, ids: Iterable[str]) -> None:
        for id in ids:
            if id not in self._known:
                raise ValueError(f"no account before it has the id {id!r}")
