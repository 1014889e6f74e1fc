"""Real-time chat in the terminal and the browser, over Socket.IO.

``ChatServer`` runs a chat server, ``ChatClient`` connects one user to it.
See docs/reference/library.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pychat.client import ChatClient as ChatClient
    from pychat.server import ChatServer as ChatServer

    __version__: str

__all__ = ["ChatClient", "ChatServer", "__version__"]


def __getattr__(name: str) -> object:
    # Lazy imports: the server does not load the client, and the commands start fast.
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
    # Includes the lazy names, for help() and completion.
    return sorted({*globals(), *__all__})
