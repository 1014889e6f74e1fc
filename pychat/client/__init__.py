"""Headless chat client. The terminal client is built on it; bots and scripts can use it too."""

from pychat.client.client import ChatClient
from pychat.client.errors import (
    CacheDamaged,
    CacheUnusable,
    ChatClientError,
    InvalidAddress,
    InvalidAnswer,
    LoginRefused,
    RequestRefused,
    ServerUnreachable,
)

__all__ = [
    "CacheDamaged",
    "CacheUnusable",
    "ChatClient",
    "ChatClientError",
    "InvalidAddress",
    "InvalidAnswer",
    "LoginRefused",
    "RequestRefused",
    "ServerUnreachable",
]
