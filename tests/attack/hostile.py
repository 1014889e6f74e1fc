"""Hypothesis strategies for what no client should send: near misses of the wire, and raw JSON."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from pychat import protocol
from pychat.protocol import Event

REQUESTS: dict[Event, type[msgspec.Struct]] = {
    Event.LOGIN: protocol.LoginRequest,
    Event.MESSAGE: protocol.ClientMessage,
    Event.ROOM: protocol.RoomRequest,
    Event.CONVERSATIONS: protocol.ConversationsRequest,
    Event.HISTORY: protocol.HistoryRequest,
    Event.DELIVERED: protocol.CursorRequest,
    Event.READ: protocol.CursorRequest,
    Event.NOTIFY: protocol.NotifyRequest,
    Event.TYPING: protocol.TypingRequest,
    Event.USERS: protocol.UsersRequest,
    Event.SEARCH: protocol.SearchRequest,
    Event.BLOCK: protocol.BlockRequest,
    Event.UNBLOCK: protocol.BlockRequest,
    Event.PROFILE: protocol.ProfileRequest,
    Event.SESSIONS: protocol.SessionsRequest,
    Event.EDIT: protocol.EditRequest,
    Event.REMOVE: protocol.RemoveRequest,
    Event.REACT: protocol.ReactRequest,
    Event.REACTIONS: protocol.ReactionsRequest,
    Event.FILE_LINK: protocol.FileLinkRequest,
    Event.LOGOUT: protocol.LogoutRequest,
}
"""Every event that a client may send."""

INJECTIONS = [
    "' OR 1=1 --",
    "'; DROP TABLE messages; --",
    '" OR ""="',
    "alice' UNION SELECT password_hash FROM accounts --",
    "%",
    "_",
    "\\",
    "*",
    "NEAR(a b)",
    "alice AND bob",
    'data : "x"',
    "^a",
    "{$ne: null}",
    '{"$gt": ""}',
    "$where",
    "__proto__",
    "constructor",
    "../../etc/passwd",
    "..\\..\\win.ini",
    "%00",
    "%n%s%x",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "\x00",
    "\x1b]0;title\x07",
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    "[/bold]",
    "\ud800",
    "\ufdfa" * 20,
    "A" * 100,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "e" + "\u0301" * 50,
]
IDS = ["1-1", "2-1", "2-2", "1-999999999999999", "999999999999999-1", "0-0", "1-1-1", "-1-1"]
"""Ids of messages, some of which exist."""
NAMES = ["alice", "bob", "mallory", "ALL", "all", "#den", "den", "#", "", " "]

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(NAMES + INJECTIONS)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=6,
)
strings = (
    st.sampled_from(NAMES)
    | st.sampled_from(IDS)
    | st.sampled_from(INJECTIONS)
    | st.text(max_size=80)
)


def value(type: inspect.Type) -> st.SearchStrategy[Any]:
    """Right as far as the type goes; hostile within it."""
    match type:
        case inspect.StrType():
            return strings
        case inspect.IntType():
            return st.sampled_from([0, 1, 2, 100, 101, -1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64])
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.LiteralType(values=values):
            return st.sampled_from(list(values))
        case inspect.EnumType(cls=cls):
            return st.sampled_from([each.value for each in cls])
        case inspect.UnionType(types=types):
            return st.one_of([value(inner) for inner in types])
    raise NotImplementedError(type)


def payload(event: Event) -> st.SearchStrategy[Any]:
    """A payload of that event: whole, or with fields missing, added, or of another type."""
    info = inspect.type_info(REQUESTS[event])
    assert isinstance(info, inspect.StructType)
    fields = {f.encode_name: value(f.type) for f in info.fields}
    right = st.fixed_dictionaries(fields)
    partly = st.fixed_dictionaries({}, optional=fields)
    wrong = st.fixed_dictionaries({}, optional=dict.fromkeys(fields, json_values))
    operators = st.fixed_dictionaries(
        {
            name: st.sampled_from([{"$ne": None}, {"$gt": ""}, {"$regex": ".*"}, ["alice"], {}])
            for name in fields
        }
    )
    more = st.dictionaries(
        st.sampled_from(["id", "sender", "by", "__class__", "$where"]), json_values
    )
    whole = st.builds(lambda a, b: {**a, **b}, more, right)
    return st.one_of(right, partly, wrong, operators, whole, json_values)


def typed_events() -> st.SearchStrategy[tuple[str, str]]:
    """An event's name and its payload as JSON text."""
    # A login is hashed, and costs as much as a hundred of the others; a logout brings one.
    rare = (Event.LOGIN, Event.LOGOUT, Event.SESSIONS)
    by_event = {
        event: payload(event).map(lambda p, name=event.value: (name, json.dumps(p)))
        for event in REQUESTS
    }
    often = [strategy for event, strategy in by_event.items() if event not in rare] * 5
    return st.one_of(*often, *(by_event[event] for event in rare))


_BROKEN = [
    "",
    "{",
    "NaN",
    "Infinity",
    "-0",
    "1e999",
    '"\\ud800"',
    "[" * 40,
    "[" * 33 + "]" * 33,
    '{"a":' * 40 + "1" + "}" * 40,
    '{"sender":"alice","sender":"mallory","recepient":"bob","data":"x"}',
    '{"id":"mallory","id":"alice","password":""}',
    "9" * 5000,
    "1" + "0" * 400 + ".0",
    "\ufeff{}",
    "{}]",
    "{},{}",
    "null,1",
]


def raw_events() -> st.SearchStrategy[tuple[str, str]]:
    """A name that is one or none, and text where the payload should be."""
    names = st.sampled_from([*(e.value for e in Event), "nothing", "", "\x00", "a" * 2000])
    parsed = json_values.map(json.dumps)
    texts = st.one_of(
        st.sampled_from(_BROKEN), st.text(max_size=60), parsed, parsed, parsed, parsed
    )
    return st.tuples(names, texts)


def frames() -> st.SearchStrategy[str | bytes]:
    """Anything, on a websocket, most of it almost a packet."""
    number = st.sampled_from(["", "0", "1", "9" * 15, "9" * 16, "9" * 17, "9" * 5000, "-1"])
    packets = st.builds(
        lambda kind, count, namespace, id, data: f"4{kind}{count}{namespace}{id}{data}",
        st.sampled_from(list("01234567x")),
        st.sampled_from(["", "1-", "0-", "9999999999-", "99-", "-"]),
        st.sampled_from(["", "/,", "/chat,", "/?a=b,", "/" + "n" * 2000 + ",", "/chat"]),
        number,
        st.sampled_from(
            [
                "",
                "[]",
                "{}",
                "null",
                '["message"]',
                '["login",{"_placeholder":true,"num":0}]',
                '["logout",{}]',
                "[1,2]",
                '[{"a":1}]',
                '["users",{"query":""},{"more":1}]',
                *_BROKEN,
            ]
        )
        | st.text(max_size=40),
    )
    control = st.sampled_from(
        ["2", "3", "2probe", "3probe", "5", "6", "1", "0", "7", "", "4", "b4AA"]
    )
    return packets | control | st.text(max_size=40) | st.binary(max_size=40)


_IN_ADDRESSES = [each.encode("utf-8", "replace").decode() for each in INJECTIONS]


def uploads() -> st.SearchStrategy[tuple[dict[str, str], dict[str, str], bytes]]:
    """Query, headers and body of a ``POST /files``. The token is added where it is ``TOKEN``."""
    value = st.one_of(st.sampled_from(_IN_ADDRESSES), st.text(max_size=50), st.integers().map(str))
    query = st.dictionaries(st.sampled_from(["name", "width", "height", "blurhash", "x"]), value)
    authorization = st.sampled_from(["Bearer TOKEN"] * 5 + ["", "Bearer", "Basic TOKEN", "TOKEN"])
    headers = st.fixed_dictionaries({"Authorization": authorization})
    return st.tuples(query, headers, st.binary(max_size=2000))


def downloads() -> st.SearchStrategy[tuple[str, dict[str, str]]]:
    """What follows ``/files/``, and headers. An id of a file is added where it is ``FILE``."""
    part = st.one_of(
        st.just("FILE"), st.just("FILE"), st.sampled_from(_IN_ADDRESSES), st.text(max_size=50)
    )
    link = st.dictionaries(st.sampled_from(["by", "until", "sign", "x"]), st.text(max_size=9))
    known = ["bytes=0-0", "bytes=-1", "bytes=9-1", "bytes=0-,1-", "bytes=9999-", "*"]
    ascii_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
    value = st.one_of(st.sampled_from(known), ascii_text)
    headers = st.fixed_dictionaries(
        {"Authorization": st.sampled_from(["Bearer TOKEN"] * 5 + [""])},
        optional={"Range": value, "If-Range": value, "If-None-Match": value},
    )
    path = st.tuples(part, part, link).map(
        lambda each: f"{quote(each[0], safe='')}/{quote(each[1], safe='')}?{urlencode(each[2])}"
    )
    return st.tuples(path, headers)
