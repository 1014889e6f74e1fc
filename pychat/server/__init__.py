"""The chat server: engine, store and chat, put together by ChatServer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pychat.server.app import ChatServer as ChatServer
    from pychat.server.listening import ServeError as ServeError

__all__ = ["ChatServer", "ServeError"]


def __getattr__(name: str) -> Any:
    # Imported on first use: programs that need only the store do not load aiohttp.
    if name == "ChatServer":
        from pychat.server.app import ChatServer

        return ChatServer
    if name == "ServeError":
        from pychat.server.listening import ServeError

        return ServeError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
