"""What may go wrong between the client and its server, each as one clear line."""

from __future__ import annotations


class ChatClientError(Exception):
    """The base of all that ChatClient raises."""


class InvalidAddress(ChatClientError):
    """The server's address is not one."""


class CacheUnusable(ChatClientError):
    """The cache file cannot be used: in use by another process, not writable, not a cache."""


class ServerUnreachable(ChatClientError):
    """Nobody answers there, not as a chat server, or with a certificate that is not trusted."""


class RequestRefused(ChatClientError):
    """The server said no. ``code`` is one of protocol.Code; ``retry_after`` (seconds) comes with
    429."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


class LoginRefused(RequestRefused):
    """Wrong password, revoked token, an id that may not log in, or no credentials at all."""
