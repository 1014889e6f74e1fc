"""The wire: every event, field, code and limit of the chat protocol (docs/protocol.md)."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from pychat.visible import shows_only

PROTOCOL_VERSION: Final = 1
DEFAULT_PORT: Final = 3000
EVERYONE: Final = "ALL"
ROOM_PREFIX: Final = "#"

MAX_DATA_BYTES: Final = 64 * 1024
MAX_QUERY_CHARACTERS: Final = 256
MAX_ID_CHARACTERS: Final = 64
MAX_ALIAS_CHARACTERS: Final = 64
MAX_PASSWORD_CHARACTERS: Final = 1024
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 100
MAX_PAGE_BYTES: Final = 256 * 1024
MAX_UNREAD: Final = 1000
"""``unread`` counts no further."""
MAX_EVENTS_PENDING_LOGIN: Final = 16
MAX_BYTES_BEFORE_LOGIN: Final = 128 * 1024
"""In one frame or body, and of events that wait for a login: a message of any size is less."""


class Event(StrEnum):
    """Names of the Socket.IO events on the namespace ``/``."""

    LOGIN = "login"
    MESSAGE = "message"
    RESPONSE = "response"
    ROOM = "room"
    CONVERSATIONS = "conversations"
    HISTORY = "history"
    DELIVERED = "delivered"
    READ = "read"
    RECEIPT = "receipt"
    TYPING = "typing"
    PRESENCE = "presence"
    USERS = "users"
    SEARCH = "search"
    REMOVED = "removed"
    REMOVE = "remove"
    BLOCK = "block"
    UNBLOCK = "unblock"
    SESSIONS = "sessions"
    LOGOUT = "logout"


class Code(StrEnum):
    """What became of a request. Strings on the wire, as in the original protocol."""

    DONE = "200"
    STORED = "202"
    MALFORMED = "400"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    TAKEN = "409"
    TOO_LARGE = "413"
    TOO_FAST = "429"
    INTERNAL = "500"
    UNAVAILABLE = "503"


class ProtocolError(Exception):
    """A refused request: its code, one clear line, and the field that was wrong, if one was."""

    def __init__(
        self, code: Code, message: str, *, field: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.code = code
        self.field = field
        self.retry_after = retry_after


# --- what clients send -------------------------------------------------------------------

Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
Seq = Annotated[int, Meta(ge=0, le=2**53)]
Query = Annotated[str, Meta(max_length=MAX_QUERY_CHARACTERS)]
Name = Annotated[str, Meta(max_length=MAX_ID_CHARACTERS + len(ROOM_PREFIX))]
"""An id or the name of a conversation; ``check_id`` says more about ids."""


class LoginRequest(Struct, rename="camel"):
    """``login``: with a password the first time, with the token of that answer afterwards."""

    id: Name
    password: Annotated[str, Meta(max_length=MAX_PASSWORD_CHARACTERS)] = ""
    alias: Annotated[str, Meta(max_length=MAX_ALIAS_CHARACTERS)] = ""
    today: str = ""
    token: Annotated[str, Meta(max_length=256)] = ""
    protocol: int = 0


class ClientMessage(Struct, rename="camel", omit_defaults=True):
    """``message`` as a client sends it. ``client_id`` is a UUID: sent again, the same message."""

    sender: Name
    recepient: Name
    data: str
    command: Name = "chat"
    type: Literal["text"] = "text"
    client_id: str | None = None


class RoomRequest(Struct, rename="camel", omit_defaults=True):
    """``room``: everything one may do with a room."""

    command: Literal["create", "update", "delete", "join", "leave", "list"]
    room_id: Name = ""
    room_name: Annotated[str, Meta(max_length=MAX_ALIAS_CHARACTERS)] = ""
    room_owner: Name = ""


class ConversationsRequest(Struct, omit_defaults=True):
    """``conversations``: newest first, a page at a time."""

    cursor: Annotated[str, Meta(max_length=256)] | None = None
    limit: Limit = DEFAULT_LIMIT


class HistoryRequest(Struct, omit_defaults=True):
    """``history``: exclusive seqs; with neither, the newest page."""

    with_: Name = field(name="with")
    before: Seq | None = None
    after: Seq | None = None
    limit: Limit = DEFAULT_LIMIT


class CursorRequest(Struct):
    """``delivered`` and ``read``: the cursor of the sender in that conversation."""

    with_: Name = field(name="with")
    seq: Seq


class TypingRequest(Struct):
    """``typing``: ``recepient`` is the name of a conversation, as in ``with``."""

    recepient: Name
    typing: bool


class UsersRequest(Struct, omit_defaults=True):
    """``users``: ids and aliases that match; an empty query matches all."""

    query: Query = ""
    limit: Limit = DEFAULT_LIMIT


class SearchRequest(Struct, omit_defaults=True):
    """``search``: messages with these words, in one conversation or all of one's own."""

    text: Query
    with_: Name | None = field(name="with", default=None)
    cursor: Annotated[str, Meta(max_length=256)] | None = None
    limit: Limit = DEFAULT_LIMIT


class BlockRequest(Struct):
    """``block`` and ``unblock``."""

    id: Name


class RemoveRequest(Struct):
    """``remove``: the id of a message; for admins."""

    id: Annotated[str, Meta(max_length=64)]


class SessionsRequest(Struct, omit_defaults=True):
    """``sessions``: ``revoke`` is the id of a session, ``others`` or ``all``."""

    revoke: Annotated[str, Meta(max_length=64)] | None = None


class LogoutRequest(Struct):
    """``logout``: the token of this connection ends."""


# --- what the server sends ---------------------------------------------------------------


class MessagePayload(Struct, rename="camel", omit_defaults=True):
    """A stored message: ``message`` as the server sends it, and an entry of ``history``.

    A message that is gone, or that its reader may not see, is ``{id, seq, removed: true}``.
    """

    id: str
    seq: Seq
    sender: str | UnsetType = UNSET
    recepient: str | UnsetType = UNSET
    command: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    data: str | UnsetType = UNSET
    sent_at: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    removed: bool = False


class Response(Struct, rename="camel", omit_defaults=True):
    """``response``: the answer to a client that asked for no acknowledgement."""

    command: str
    code: str
    message: str
    retry_after: float | UnsetType = UNSET


class Answer(Struct, rename="camel", omit_defaults=True):
    """An acknowledgement; the base of all the answers below."""

    code: str
    message: str
    retry_after: float | UnsetType = UNSET


class LoginAnswer(Answer, kw_only=True):
    """``token`` is empty where the accounts are open."""

    id: str
    alias: str
    token: str
    server_time: str
    protocol: int


class MessageAnswer(Answer, kw_only=True):
    """The message is stored: 200, or 202 where the recepient is offline."""

    id: str
    seq: Seq
    sent_at: str


class ConversationPayload(Struct, rename="camel"):
    """One conversation as its reader sees it. ``online`` is of the peer, and so is ``last_seen``
    (RFC 3339): there while it is offline and its presence is not hidden by a block. ``blocked``
    is there, and true, while the reader blocks the peer."""

    with_: str = field(name="with")
    alias: str
    online: bool
    first_seq: Seq
    last_seq: Seq
    delivered_seq: Seq
    read_seq: Seq
    peer_delivered_seq: Seq
    peer_read_seq: Seq
    unread: Seq
    last: MessagePayload | None
    last_seen: str | UnsetType = UNSET
    blocked: Literal[True] | UnsetType = UNSET


class ConversationsAnswer(Answer, kw_only=True):
    """``next`` is there while there are more."""

    conversations: list[ConversationPayload]
    next: str | UnsetType = UNSET


class HistoryAnswer(Answer, kw_only=True):
    """Oldest first; ``has_more`` in the direction that was asked for."""

    messages: list[MessagePayload]
    has_more: bool


class SearchAnswer(Answer, kw_only=True):
    """Newest first; ``next`` is there while there are more."""

    messages: list[MessagePayload]
    next: str | UnsetType = UNSET


class UserPayload(Struct):
    """An account as others see it."""

    id: str
    alias: str
    online: bool


class UsersAnswer(Answer, kw_only=True):
    """Those that match, at most ``limit``."""

    users: list[UserPayload]


class RoomPayload(Struct):
    """A room; ``member`` only in the answer to ``room {command: "list"}``."""

    id: str
    name: str
    owner: str
    member: bool | UnsetType = UNSET


class RoomsAnswer(Answer, kw_only=True):
    """The answer to ``room {command: "list"}``."""

    rooms: list[RoomPayload]


class RoomListPayload(Struct):
    """``room`` as the server sends it, to every client, whenever the rooms have changed."""

    rooms: list[RoomPayload]
    command: str = "list"


class DevicePayload(Struct, rename="camel"):
    """One login of one's own; times are RFC 3339."""

    id: str
    device: str
    since: str
    last_seen: str
    current: bool


class SessionsAnswer(Answer, kw_only=True):
    """The logins that are left."""

    sessions: list[DevicePayload]


class Receipt(Struct):
    """``receipt``: how far ``by`` has come in the conversation that the reader calls ``with``."""

    with_: str = field(name="with")
    by: str
    kind: Literal["delivered", "read"]
    seq: Seq


class Typing(Struct):
    """``typing`` as the server sends it."""

    sender: str
    recepient: str
    typing: bool


class PresencePayload(Struct, rename="camel"):
    """``presence``: ``last_seen`` is RFC 3339, null while online or never seen."""

    id: str
    alias: str
    online: bool
    last_seen: str | None


class Removed(Struct):
    """``removed``: that message is gone."""

    with_: str = field(name="with")
    seq: Seq


# --- rules -------------------------------------------------------------------------------

T = TypeVar("T")

_EXPECTED = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`")


def decode(decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
    """What a client sent, as its type. Raises ProtocolError 400, which names the field."""
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError(Code.MALFORMED, "the payload is not valid JSON") from None


def _refusal(text: str) -> ProtocolError:
    missing = _MISSING.match(text)
    if missing:
        return ProtocolError(Code.MALFORMED, "is missing", field=missing["name"])
    match = _EXPECTED.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    what = what.replace("`", "")
    return ProtocolError(Code.MALFORMED, what[:1].lower() + what[1:], field=path)


def check_id(value: str, field: str) -> str:
    """The login id or room id, unchanged. Raises ProtocolError 400 if it may not be one."""
    problem = _id_problem(value)
    if problem:
        raise ProtocolError(Code.MALFORMED, problem, field=field)
    return value


def check_new_id(value: str, field: str) -> str:
    """The same for an id that is still nobody's. An older store may have others."""
    check_id(value, field)
    if not shows_only(value):
        raise ProtocolError(
            Code.MALFORMED,
            "must not contain invisible characters, nor spaces but single ones",
            field=field,
        )
    return value


@lru_cache(maxsize=4096)
def _id_problem(value: str) -> str:
    if not 1 <= len(value) <= MAX_ID_CHARACTERS:
        return f"must have 1 to {MAX_ID_CHARACTERS} characters"
    if value.startswith(ROOM_PREFIX):
        return f"must not start with {ROOM_PREFIX}"
    if value != value.strip():
        return "must not start or end with a space"
    # Cc: controls; Cf: invisible formats, bidi overrides among them; Cs, Co, Cn: nothing to show.
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for c in value):
        return "must not contain control or invisible characters"
    if unicodedata.normalize("NFC", value) != value:
        return "must be in Unicode normalization form NFC"
    if canonical_id(value) == canonical_id(EVERYONE):
        return f"must not be {EVERYONE}, which is reserved"
    return ""


def canonical_id(value: str) -> str:
    """The form in which ids are unique: ``Alice`` and ``ａｌｉｃｅ`` are both ``alice``.

    What is too long for an id is its own form: to normalize it takes the square of its length.
    """
    return _canonical(value) if len(value) <= MAX_ID_CHARACTERS + len(ROOM_PREFIX) else value


@lru_cache(maxsize=4096)
def _canonical(value: str) -> str:
    folded = unicodedata.normalize("NFKC", value).casefold()
    return unicodedata.normalize("NFKC", folded)


def check_data(data: str) -> str:
    """The text of a message, unchanged. Raises ProtocolError 400 or 413."""
    if not data:
        raise ProtocolError(Code.MALFORMED, "must not be empty", field="data")
    # A character takes 1 to 4 bytes: only texts between the two bounds need to be encoded.
    if len(data) * 4 > MAX_DATA_BYTES and len(data.encode()) > MAX_DATA_BYTES:
        raise ProtocolError(
            Code.TOO_LARGE, f"must be at most {MAX_DATA_BYTES} bytes of UTF-8", field="data"
        )
    return data
