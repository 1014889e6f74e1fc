"""Chat protocol: events, payloads, codes and limits: docs/reference/protocol.md."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from pychat.emoji import normal_emoji
from pychat.visible import shows_only, visible

PROTOCOL_VERSION: Final = 1
DEFAULT_PORT: Final = 3000
EVERYONE: Final = "ALL"
"""Name of the conversation with everybody."""
SCREEN_NAMES: Final = ("Everyone", "You")
"""What clients show for ALL and for its reader. No account may look like these."""
ROOM_PREFIX: Final = "#"
"""First character of a room's conversation name."""
PRIVATE_ID_PREFIX: Final = "private:"
"""Beginning of the ids that the server chooses for private rooms."""

MAX_DATA_BYTES: Final = 64 * 1024
"""Limit for the text of a message, in bytes of UTF-8."""
MAX_QUERY_CHARACTERS: Final = 256
MAX_ID_CHARACTERS: Final = 64
MAX_ALIAS_CHARACTERS: Final = 64
MAX_TOPIC_CHARACTERS: Final = 250
MAX_STATUS_CHARACTERS: Final = 100
MAX_PASSWORD_CHARACTERS: Final = 1024
DEFAULT_LIMIT: Final = 50
"""Default number of entries in a page."""
MAX_LIMIT: Final = 100
"""Maximum number of entries in a page."""
MAX_PAGE_BYTES: Final = 256 * 1024
"""A page of messages ends early when it reaches this size."""
MAX_EMOJI_BYTES: Final = 64
"""Limit for the emoji of a reaction, in bytes of UTF-8."""
MAX_REACTION_KINDS: Final = 20
"""Limit for the different emoji of a message's reactions."""
MAX_REACTIONS: Final = 200
"""Limit for the reactions to a message."""
MAX_REACTION_IDS: Final = 10
"""A message lists this many users of each reaction; ``reactions`` lists all."""
MAX_QUOTE_CHARACTERS: Final = 120
MAX_MENTION_MARKS: Final = 50
"""Only the first ``@`` of a text, this many, can mention somebody."""
MAX_MENTIONS: Final = 20
"""Limit for the accounts that a message mentions."""
MAX_FILE_NAME: Final = 100
"""Limit for the name of a file, in characters."""
UNKNOWN_TYPE: Final = "application/octet-stream"
"""The type of a file that is not one of these."""
SHOWN_TYPES: Final = frozenset(
    {
        *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"),
        *("video/mp4", "video/webm", "audio/mpeg", "application/ogg"),
    }
)
"""Types of files that browsers show. They save everything else, which may contain scripts."""
MAX_BLURHASH: Final = 100
MAX_PIXELS: Final = 1_000_000
"""Limit for the width and the height of a picture."""
MAX_UNREAD: Final = 1000
"""Highest value of ``unread``: this many or more."""
MAX_EVENTS_PENDING_LOGIN: Final = 16
MAX_BYTES_BEFORE_LOGIN: Final = 128 * 1024
"""Limit before the login, in bytes: for one frame or body, and for the events that wait for the
login. The largest message fits in."""


class Event(StrEnum):
    """Names of the Socket.IO events on the namespace ``/``."""

    LOGIN = "login"
    MESSAGE = "message"
    RESPONSE = "response"
    ROOM = "room"
    MEMBERSHIP = "membership"
    CONVERSATIONS = "conversations"
    HISTORY = "history"
    DELIVERED = "delivered"
    READ = "read"
    NOTIFY = "notify"
    RECEIPT = "receipt"
    TYPING = "typing"
    PRESENCE = "presence"
    USERS = "users"
    SEARCH = "search"
    EDIT = "edit"
    REMOVE = "remove"
    REACT = "react"
    REACTIONS = "reactions"
    CHANGED = "changed"
    BLOCK = "block"
    UNBLOCK = "unblock"
    SESSIONS = "sessions"
    PROFILE = "profile"
    FILE_LINK = "fileLink"
    LOGOUT = "logout"


class Code(StrEnum):
    """Result code of a request. A string on the wire, as in the original protocol."""

    DONE = "200"
    STORED = "202"
    MALFORMED = "400"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    TAKEN = "409"
    CONFLICT = "409"
    TOO_LARGE = "413"
    TOO_FAST = "429"
    INTERNAL = "500"
    UNAVAILABLE = "503"
    NO_SPACE = "507"


class Availability(StrEnum):
    """The status that a person has chosen. Stores contain these words."""

    ONLINE = "online"
    """None: others see whether the person is online."""
    AWAY = "away"
    DND = "dnd"
    """Do not disturb."""


class NotifyLevel(StrEnum):
    """Which messages of a conversation a user's clients announce. Stores contain these words."""

    ALL = "all"
    MENTIONS = "mentions"
    """Only messages that mention the user. In one-to-one conversations these are none."""
    MUTED = "muted"


class ProtocolError(Exception):
    """A refused request.

    ``message``: one line for the user. ``field``: the field that was wrong, or empty.
    ``retry_after``: seconds to wait before a retry.
    """

    def __init__(
        self, code: Code, message: str, *, field: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.code = code
        self.field = field
        self.retry_after = retry_after


# --- payloads that clients send -----------------------------------------------------------

Limit = Annotated[int, Meta(ge=1, le=MAX_LIMIT)]
Seq = Annotated[int, Meta(ge=0, le=2**53)]
Rev = Annotated[int, Meta(ge=0, le=2**53)]
Query = Annotated[str, Meta(max_length=MAX_QUERY_CHARACTERS)]
Name = Annotated[str, Meta(max_length=MAX_ID_CHARACTERS + len(ROOM_PREFIX))]
"""An id or the name of a conversation. ``check_id`` checks the other rules for ids."""
MessageId = Annotated[str, Meta(max_length=64)]
FileId = Annotated[str, Meta(max_length=64)]


class LoginRequest(Struct, rename="camel"):
    """``login``: with a password, or with the token from the answer to an earlier login.

    ``protocol`` is 0 for original clients, which do not send it. ``create``: whether the login
    creates the account; unset, it does so if there is none.
    """

    id: Name
    password: Annotated[str, Meta(max_length=MAX_PASSWORD_CHARACTERS)] = ""
    alias: Annotated[str, Meta(max_length=MAX_ALIAS_CHARACTERS)] = ""
    today: str = ""
    token: Annotated[str, Meta(max_length=256)] = ""
    protocol: int = 0
    create: bool | UnsetType = UNSET


class ClientMessage(Struct, rename="camel", omit_defaults=True):
    """``message`` from a client. ``client_id`` is a UUID: a repeated one is not stored again.
    ``reply_to`` is the seq of a message in the same conversation. ``file`` is the id of an uploaded
    file."""

    sender: Name
    recepient: Name
    data: str
    command: Name = "chat"
    type: Literal["text"] = "text"
    client_id: str | None = None
    reply_to: Seq | None = None
    file: FileId | None = None


class RoomRequest(Struct, rename="camel", omit_defaults=True):
    """``room``: one command on a room, or the list of rooms."""

    command: Literal[
        "create",
        "update",
        "topic",
        "delete",
        "join",
        "leave",
        "list",
        "members",
        "role",
        "invite",
        "kick",
        "transfer",
    ]
    room_id: Name = ""
    room_name: Annotated[str, Meta(max_length=MAX_ALIAS_CHARACTERS)] = ""
    room_owner: Name = ""
    private: bool = False
    topic: Annotated[str, Meta(max_length=MAX_TOPIC_CHARACTERS)] = ""
    user: Name = ""
    role: Literal["member", "moderator"] = "member"
    cursor: Annotated[str, Meta(max_length=256)] | None = None
    limit: Limit = DEFAULT_LIMIT


class ConversationsRequest(Struct, omit_defaults=True):
    """``conversations``: a page of the list, newest conversation first."""

    cursor: Annotated[str, Meta(max_length=256)] | None = None
    limit: Limit = DEFAULT_LIMIT


class HistoryRequest(Struct, omit_defaults=True):
    """``history``: ``before`` and ``after`` are exclusive seqs; with neither, the newest page.

    ``changed_after`` is an exclusive rev: the messages changed since, those below the seq ``from_``
    left out.
    """

    with_: Name = field(name="with")
    before: Seq | None = None
    after: Seq | None = None
    changed_after: Rev | None = field(name="changedAfter", default=None)
    from_: Seq | None = field(name="from", default=None)
    limit: Limit = DEFAULT_LIMIT


class CursorRequest(Struct):
    """``delivered`` and ``read``: move the sender's cursor in a conversation."""

    with_: Name = field(name="with")
    seq: Seq


class NotifyRequest(Struct):
    """``notify``: which messages of a conversation the sender's clients announce."""

    with_: Name = field(name="with")
    level: NotifyLevel


class TypingRequest(Struct):
    """``typing`` from a client. ``recepient`` is the name of a conversation."""

    recepient: Name
    typing: bool


class UsersRequest(Struct, omit_defaults=True):
    """``users``: search ids and aliases. An empty query matches all."""

    query: Query = ""
    limit: Limit = DEFAULT_LIMIT


class SearchRequest(Struct, omit_defaults=True):
    """``search``: messages with these words, in one or all conversations of the sender."""

    text: Query
    with_: Name | None = field(name="with", default=None)
    cursor: Annotated[str, Meta(max_length=256)] | None = None
    limit: Limit = DEFAULT_LIMIT


class BlockRequest(Struct):
    """``block`` and ``unblock``."""

    id: Name


class ProfileRequest(Struct, rename="camel"):
    """``profile``: a new alias (empty: the id), status or status text (empty: none), or a new
    password and the current one."""

    alias: Annotated[str, Meta(max_length=MAX_ALIAS_CHARACTERS)] | UnsetType = UNSET
    status: Availability | UnsetType = UNSET
    status_text: Annotated[str, Meta(max_length=MAX_STATUS_CHARACTERS)] | UnsetType = UNSET
    new_password: Annotated[str, Meta(max_length=MAX_PASSWORD_CHARACTERS)] | UnsetType = UNSET
    password: Annotated[str, Meta(max_length=MAX_PASSWORD_CHARACTERS)] = ""


class EditRequest(Struct):
    """``edit``: replace the text of one's own message.

    ``base`` is the value of ``edited`` that the user saw, None if there was none. If it is left
    out, the last edit wins.
    """

    id: MessageId
    data: str
    base: str | UnsetType | None = UNSET


class RemoveRequest(Struct):
    """``remove``: remove the message with this id."""

    id: MessageId


class ReactRequest(Struct):
    """``react``: add a reaction of the user, or take it back."""

    id: MessageId
    emoji: str
    on: bool


class ReactionsRequest(Struct):
    """``reactions``: all reactions to a message."""

    id: MessageId


class FileLinkRequest(Struct):
    """``fileLink``: a link to the file with this id, which opens without a token."""

    id: FileId


class SessionsRequest(Struct, omit_defaults=True):
    """``sessions``: list login tokens, or revoke some: an id, ``others`` or ``all``."""

    revoke: Annotated[str, Meta(max_length=64)] | None = None


class LogoutRequest(Struct):
    """``logout``: revoke the token of this connection."""


# --- payloads that the server sends -------------------------------------------------------


class QuotePayload(Struct, omit_defaults=True):
    """The message that another one answers, with the first characters of its text.

    Only ``seq`` if the reader cannot read that message.
    """

    seq: Seq
    sender: str | UnsetType = UNSET
    data: str | UnsetType = UNSET


class ReactionPayload(Struct, omit_defaults=True):
    """The reactions to a message with one emoji. ``by``: the ids of the first users. ``mine``:
    whether the reader is one of all."""

    emoji: str
    count: int
    by: list[str]
    mine: bool = False


class FilePayload(Struct, omit_defaults=True):
    """A file: of a message, and in the answer to its upload. ``size`` in bytes. ``width``,
    ``height`` (pixels) and ``blurhash`` are what the sender gave."""

    id: str
    name: str
    size: int
    mime: str
    width: int | UnsetType = UNSET
    height: int | UnsetType = UNSET
    blurhash: str | UnsetType = UNSET


class MessagePayload(Struct, rename="camel", omit_defaults=True):
    """A stored message: in ``message`` from the server and in ``history``.

    ``rev`` is the number of its newest change, ``edited`` the time of the last edit (RFC 3339),
    ``mentions`` the ids of the members of a room that it mentions, ``ALL`` for all of them. A
    message that was removed is ``{id, seq, removed: true, rev}``; one that is hidden from the
    reader has no ``rev``.
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
    reply_to: QuotePayload | UnsetType = UNSET
    rev: Rev = 0
    edited: str | UnsetType = UNSET
    reactions: list[ReactionPayload] | UnsetType = UNSET
    mentions: list[str] | UnsetType = UNSET
    file: FilePayload | UnsetType = UNSET


class Response(Struct, rename="camel", omit_defaults=True):
    """``response``: the answer to a request without an acknowledgement."""

    command: str
    code: str
    message: str
    retry_after: float | UnsetType = UNSET


class Answer(Struct, rename="camel", omit_defaults=True):
    """The acknowledgement of a request. Base class of the answers below."""

    code: str
    message: str
    retry_after: float | UnsetType = UNSET


class LoginAnswer(Answer, kw_only=True):
    """Answer to ``login``. ``token`` is empty if accounts are open.

    ``created``: whether this login created the account. ``epoch`` identifies the content of the
    server's store. ``status``, ``status_text``: the user's, left out if there is none. Original
    clients get none of these.
    """

    id: str
    alias: str
    token: str
    server_time: str
    protocol: int
    created: bool = False
    epoch: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    status_text: str | UnsetType = UNSET


class MessageAnswer(Answer, kw_only=True):
    """Answer to ``message``: stored. Code 200, or 202 if the recipient is offline.

    ``rev`` is that of the newest change, if the message had been stored before and was changed
    since. ``mentions``: as in ``MessagePayload``.
    """

    id: str
    seq: Seq
    sent_at: str
    rev: Rev | UnsetType = UNSET
    mentions: list[str] | UnsetType = UNSET


class ProfileAnswer(Answer, kw_only=True):
    """Answer to ``profile``: the user's id and alias, and status and status text if there are."""

    id: str
    alias: str
    status: str | UnsetType = UNSET
    status_text: str | UnsetType = UNSET


class ConversationPayload(Struct, rename="camel"):
    """A conversation from the view of one member, the reader.

    ``online`` and ``last_seen`` (RFC 3339) are the other user's. ``last_seen`` is left out while
    that user is online, or a block hides the presence. ``blocked`` is left out unless the reader
    blocks the other user. ``topic`` and ``role`` (owner or moderator) are left out except in rooms
    that have one and of members with one. ``notify`` is a NotifyLevel, left out for ``all``.
    ``status`` and ``status_text`` are the other user's, as in ``presence``.
    """

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
    rev: Rev = 0
    unread_mentions: Seq = 0
    topic: str | UnsetType = UNSET
    role: str | UnsetType = UNSET
    notify: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    status_text: str | UnsetType = UNSET


class ConversationsAnswer(Answer, kw_only=True):
    """Answer to ``conversations``. ``next``: cursor of the next page, left out on the last one."""

    conversations: list[ConversationPayload]
    next: str | UnsetType = UNSET


class HistoryAnswer(Answer, kw_only=True):
    """Answer to ``history``, oldest first, or in the order of ``rev`` after ``changed_after``.

    ``has_more``: in the direction of the request. ``rev``: the messages show all changes up to it;
    after ``changed_after``, how far the answer reaches.
    """

    messages: list[MessagePayload]
    has_more: bool
    rev: Rev | UnsetType = UNSET


class ChangeAnswer(Answer, kw_only=True):
    """Answer to ``edit``, ``remove`` and ``react``. ``rev`` is the message's newest change,
    ``edited`` (RFC 3339) only in answers to ``edit``."""

    id: str
    seq: Seq
    rev: Rev
    edited: str | UnsetType = UNSET


class ConflictAnswer(Answer, kw_only=True):
    """Answer 409 to ``edit`` and ``react``: the message as it is now."""

    current: MessagePayload


class ReactionUsers(Struct):
    """All users who reacted to a message with one emoji, the first one first."""

    emoji: str
    by: list[str]


class ReactionsAnswer(Answer, kw_only=True):
    """Answer to ``reactions``."""

    id: str
    seq: Seq
    rev: Rev
    reactions: list[ReactionUsers]


class SearchAnswer(Answer, kw_only=True):
    """Answer to ``search``, newest first. ``next``: cursor of the next page."""

    messages: list[MessagePayload]
    next: str | UnsetType = UNSET


class UserPayload(Struct, rename="camel"):
    """An account as other users see it. ``status``, ``status_text``: as in ``presence``."""

    id: str
    alias: str
    online: bool
    status: str | UnsetType = UNSET
    status_text: str | UnsetType = UNSET


class UsersAnswer(Answer, kw_only=True):
    """Answer to ``users``: at most ``limit`` matching users."""

    users: list[UserPayload]


class RoomPayload(Struct, omit_defaults=True):
    """A room. ``member`` is only in the answer to ``room {command: "list"}``. ``invited``: the
    reader is, and has not joined yet."""

    id: str
    name: str
    owner: str
    member: bool | UnsetType = UNSET
    topic: str = ""
    private: bool = False
    invited: bool = False


class RoomsAnswer(Answer, kw_only=True):
    """The answer to ``room {command: "list"}``."""

    rooms: list[RoomPayload]


class RoomListPayload(Struct):
    """``room`` from the server, to every client whose list may have changed."""

    rooms: list[RoomPayload]
    command: str = "list"


class RoomAnswer(Answer, kw_only=True, rename="camel"):
    """The answer to ``room {command: "create", private: true}``: the id that the server chose."""

    room_id: str


class MemberPayload(Struct, rename="camel"):
    """A member of a room. ``role``: owner, moderator or member. ``status``, ``status_text``: as in
    ``presence``."""

    id: str
    alias: str
    role: str
    online: bool
    status: str | UnsetType = UNSET
    status_text: str | UnsetType = UNSET


class MembersAnswer(Answer, kw_only=True):
    """The answer to ``room {command: "members"}``. ``next``: the cursor of the next page."""

    members: list[MemberPayload]
    next: str | UnsetType = UNSET


class MembershipPayload(Struct):
    """``membership`` from the server: what the reader is in a room now. ``role``: owner, moderator,
    member, invited or none. ``by``: who changed it."""

    with_: str = field(name="with")
    role: str
    by: str


class DevicePayload(Struct, rename="camel"):
    """A login token of the reader. Times are RFC 3339."""

    id: str
    device: str
    since: str
    last_seen: str
    current: bool


class FileLinkAnswer(Answer, kw_only=True):
    """Answer to ``fileLink``. ``url`` is relative to the address of the server, without a leading
    slash; it works until ``expires`` (RFC 3339)."""

    url: str
    expires: str


class SessionsAnswer(Answer, kw_only=True):
    """Answer to ``sessions``: the login tokens, without revoked ones."""

    sessions: list[DevicePayload]


class Receipt(Struct):
    """``receipt``: the cursor of user ``by`` in the conversation that the reader calls ``with``."""

    with_: str = field(name="with")
    by: str
    kind: Literal["delivered", "read"]
    seq: Seq


class NotifyPayload(Struct):
    """``notify`` from the server: another device of the reader has chosen a NotifyLevel."""

    with_: str = field(name="with")
    level: str


class Typing(Struct):
    """``typing`` from the server."""

    sender: str
    recepient: str
    typing: bool


class PresencePayload(Struct, rename="camel"):
    """``presence``. ``last_seen`` is RFC 3339; null while the user is online or was never seen.
    ``status`` (an Availability) and ``status_text`` are left out if there is none."""

    id: str
    alias: str
    online: bool
    last_seen: str | None
    status: str | UnsetType = UNSET
    status_text: str | UnsetType = UNSET


class Reaction(Struct):
    """Part of ``changed``: user ``by`` has added a reaction, or taken it back."""

    emoji: str
    by: str
    on: bool


class Changed(Struct, rename="camel", omit_defaults=True):
    """``changed``: a message was edited (``data``, ``edited``, ``mentions`` if there are any),
    removed, or somebody reacted to it.

    Only ``with`` and ``rev`` if the reader may not see the change.
    """

    with_: str = field(name="with")
    rev: Rev
    seq: Seq | UnsetType = UNSET
    data: str | UnsetType = UNSET
    edited: str | UnsetType = UNSET
    removed: bool = False
    reaction: Reaction | UnsetType = UNSET
    mentions: list[str] | UnsetType = UNSET


# --- decoding and checks ------------------------------------------------------------------

T = TypeVar("T")

_EXPECTED = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_PARTS_OF_EMOJI = re.compile("[\u200d\ufe0e\ufe0f\U000e0020-\U000e007f]")
"""Invisible characters that belong to emoji: joiner, variation selectors, tags of flags."""
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`")


def decode(decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
    """Decode a payload from a client. Raises ProtocolError 400, which names the wrong field."""
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
    """Return a login id or room id unchanged. Raises ProtocolError 400 if it is not valid."""
    problem = _id_problem(value)
    if problem:
        raise ProtocolError(Code.MALFORMED, problem, field=field)
    return value


def check_new_id(value: str, field: str) -> str:
    """Return an id for a new account or room. Raises ProtocolError 400 if it is not valid.

    Stricter than ``check_id``: accounts and rooms in older stores may have other ids.
    """
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
    # Cc: control; Cf: format, including bidi overrides; Cs, Co, Cn: surrogate, private, unassigned.
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for c in value):
        return "must not contain control or invisible characters"
    if unicodedata.normalize("NFC", value) != value:
        return "must be in Unicode normalization form NFC"
    if canonical_id(value) == canonical_id(EVERYONE):
        return f"must not be {EVERYONE}, which is reserved"
    return ""


def canonical_id(value: str) -> str:
    """Return the form in which ids are unique: ``Alice`` and ``ａｌｉｃｅ`` both become ``alice``.

    A text that is too long for an id is returned unchanged: normalization takes quadratic time.
    """
    return _canonical(value) if len(value) <= MAX_ID_CHARACTERS + len(ROOM_PREFIX) else value


@lru_cache(maxsize=4096)
def _canonical(value: str) -> str:
    folded = unicodedata.normalize("NFKC", value).casefold()
    return unicodedata.normalize("NFKC", folded)


def check_data(data: str) -> str:
    """Return the text of a message unchanged. Raises ProtocolError 400 or 413."""
    if not data:
        raise ProtocolError(Code.MALFORMED, "must not be empty", field="data")
    # A character takes 1 to 4 bytes, so a short text need not be encoded.
    if len(data) * 4 > MAX_DATA_BYTES and len(data.encode()) > MAX_DATA_BYTES:
        raise ProtocolError(
            Code.TOO_LARGE, f"must be at most {MAX_DATA_BYTES} bytes of UTF-8", field="data"
        )
    return data


def check_caption(data: str) -> str:
    """Do the same for the text of a message with a file, which may be empty."""
    return check_data(data) if data else data


@lru_cache(maxsize=1024)
def check_emoji(emoji: str) -> str:
    """Return the emoji of a reaction in its normal spelling. Raises ProtocolError 400.

    Any short word is allowed: new emoji appear every year.
    """
    if not 1 <= len(emoji.encode()) <= MAX_EMOJI_BYTES:
        raise _wrong_size()
    shown = _PARTS_OF_EMOJI.sub("", emoji)
    if not shown or " " in shown or visible(shown) != shown:
        raise ProtocolError(
            Code.MALFORMED, "must not contain spaces or invisible characters", field="emoji"
        )
    emoji = normal_emoji(emoji)
    if len(emoji.encode()) > MAX_EMOJI_BYTES:
        raise _wrong_size()
    return emoji


def _wrong_size() -> ProtocolError:
    return ProtocolError(
        Code.MALFORMED, f"must have 1 to {MAX_EMOJI_BYTES} bytes of UTF-8", field="emoji"
    )
