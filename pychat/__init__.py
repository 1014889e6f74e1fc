"""Real-time chat in the terminal and the browser, over Socket.IO.

``ChatServer`` is the server, ``ChatClient`` one user's connection to it. docs/library.md has more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pychat.client import ChatClient as ChatClient
    from pychat.server import ChatServer as ChatServer

    __version__: str

__all__ = ["ChatClient", "ChatServer", "__version__"]


def __getattr__(name: str) -> Any:
    # Imported when asked for: the server needs no client, and the commands start fast.
    if name == "ChatClient":
        from pychat.client import ChatClient

        return ChatClient
    if name == "ChatServer":
        from pychat.server import ChatServer

        return ChatServer
    if name == "__version__":
        from importlib.metadata import version

        return version("pychat-socketio")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # What is not imported yet is there all the same, for help() and for completion.
    return sorted({*globals(), *__all__})
