"""What may go wrong between the client and its server, each as one clear line."""

from __future__ import annotations

import re
from typing import Final

_FIELD: Final = re.compile(r"([a-z][A-Za-z]*): ")
_SUBJECTS: Final = {
    "recepient": "the name",
    "with": "the conversation's name",
    "id": "the id",
    "room": "the room's id",
    "roomId": "the room's id",
    "roomName": "the room's name",
    "data": "the message",
    "text": "what to search for",
    "password": "the password",
    "token": "the login",
    "alias": "the alias",
    "seq": "the number of the message",
}
"""The fields of the protocol that a user has filled in, in a user's words."""


class ChatClientError(Exception):
    """The base of all that ChatClient raises."""


class InvalidAddress(ChatClientError):
    """The server's address is not one."""


class CacheUnusable(ChatClientError):
    """The cache file cannot be used: in use by another process, not writable, not a cache."""


class CacheDamaged(CacheUnusable):
    """The file itself is at fault: damaged, no cache, of another user or a newer version, or not
    readable. Another one in its place would do."""


class CacheInUse(CacheUnusable):
    """Another process has the cache file open."""


class ServerUnreachable(ChatClientError):
    """Nobody answers there, not as a chat server, or with a certificate that is not trusted."""


class AnswerLost(ServerUnreachable):
    """The request was sent and its answer did not come: it may have been carried out."""


class RequestRefused(ChatClientError):
    """The server said no. ``code`` is one of protocol.Code; ``retry_after`` (seconds) comes with
    429. ``message`` as the protocol has it, which may name a field first: that is ``field`` then,
    and the error's text is a sentence without it."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        found = _FIELD.match(message)
        self.field = found[1] if found is not None and found[1] in _SUBJECTS else ""
        super().__init__(_sentence(self.field, message) if self.field else message)
        self.code = code
        self.retry_after = retry_after


class AnswerNotUnderstood(RequestRefused):
    """The server has answered, but not as the protocol has it: asking again does not help."""

    def __init__(self, why: str) -> None:
        super().__init__("500", f"the server's answer is not understood: {why}")


class LoginRefused(RequestRefused):
    """Wrong password, revoked token, an id that may not log in, or no credentials at all."""


def _sentence(field: str, message: str) -> str:
    """``id: must not be yourself`` has no subject of its own; ``with: there is no room x`` has."""
    rest = message[len(field) + 2 :]
    return f"{_SUBJECTS[field]} {rest}" if rest.startswith(("must ", "is ", "expected ")) else rest
