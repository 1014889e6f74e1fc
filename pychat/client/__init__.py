"""The headless chat client: what the terminal, bots and scripts are built on."""

from pychat.client.client import ChatClient
from pychat.client.errors import (
    AnswerNotUnderstood,
    CacheDamaged,
    CacheUnusable,
    ChatClientError,
    InvalidAddress,
    LoginRefused,
    RequestRefused,
    ServerUnreachable,
)

__all__ = [
    "AnswerNotUnderstood",
    "CacheDamaged",
    "CacheUnusable",
    "ChatClient",
    "ChatClientError",
    "InvalidAddress",
    "LoginRefused",
    "RequestRefused",
    "ServerUnreachable",
]
