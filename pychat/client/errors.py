"""Exceptions of the client. The text of each is one line that can be shown to the user."""

from __future__ import annotations

import re
from typing import Final

_FIELD: Final = re.compile(r"([a-z][A-Za-z]*): ")
_FIELD_LABELS: Final = {
    "recepient": "the name",
    "with": "the conversation's name",
    "id": "the id",
    "room": "the room's id",
    "roomId": "the room's id",
    "roomName": "the room's name",
    "topic": "the topic",
    "user": "the person",
    "data": "the message",
    "emoji": "the reaction",
    "text": "what to search for",
    "password": "the password",
    "token": "the login",
    "alias": "the alias",
    "seq": "the number of the message",
}
"""User-facing labels of the protocol fields that a user fills in."""


class ChatClientError(Exception):
    """Base class of the exceptions that ChatClient raises."""


class InvalidAddress(ChatClientError):
    """The server address cannot be parsed."""


class CacheUnusable(ChatClientError):
    """The cache file cannot be used: it is open in another process, or the disk is full."""


class CacheDamaged(CacheUnusable):
    """The cache file itself is the problem, and a new file in its place would work: it is damaged
    or unreadable, is not a cache, or belongs to another user or a newer version."""


class CacheInUse(CacheUnusable):
    """Another process has the cache file open."""


class ServerUnreachable(ChatClientError):
    """The server does not answer, is not a chat server, or has an untrusted certificate."""


class AnswerLost(ServerUnreachable):
    """The request was sent but not answered. The server may have carried it out."""


class RequestRefused(ChatClientError):
    """The server refused a request.

    ``code``: a value of protocol.Code.
    ``retry_after``: seconds to wait before a retry; only with code 429.
    ``field``: the protocol field that was wrong, or an empty string. The protocol's ``message``
    begins with it ("id: must not be empty"); the text of this exception replaces it with a label
    ("the id must not be empty").
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        found = _FIELD.match(message)
        self.field = found[1] if found is not None and found[1] in _FIELD_LABELS else ""
        super().__init__(_sentence(self.field, message) if self.field else message)
        self.code = code
        self.retry_after = retry_after


class InvalidAnswer(RequestRefused):
    """The server's answer does not follow the protocol. A retry would not help."""

    def __init__(self, reason: str) -> None:
        super().__init__("500", f"the server sent an invalid answer: {reason}")


class LoginRefused(RequestRefused):
    """The server refused the password or token, or there are no credentials."""


def _sentence(field: str, message: str) -> str:
    """Replace the field name with its label, or drop it if the message has its own subject."""
    rest = message[len(field) + 2 :]
    if rest.startswith(("must ", "is ", "expected ")):
        return f"{_FIELD_LABELS[field]} {rest}"
    return rest
