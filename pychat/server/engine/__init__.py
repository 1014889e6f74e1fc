"""Engine.IO 3 and 4 over aiohttp, and Socket.IO on it. Imports nothing else of pychat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pychat.server.engine.codec.packet import Packet, encode_event
from pychat.server.engine.origins import Proxies, is_rebinding
from pychat.server.engine.registry import SessionAdmission
from pychat.server.engine.session import EngineSession, ReadAllowance
from pychat.server.engine.socketio.connection import Handler, SocketConnection
from pychat.server.engine.socketio.dispatcher import SocketServer

if TYPE_CHECKING:
    from pychat.server.asyncserver.server import AsyncServer

__all__ = [
    "AsyncServer",
    "EngineSession",
    "Handler",
    "Packet",
    "Proxies",
    "ReadAllowance",
    "SessionAdmission",
    "SocketConnection",
    "SocketServer",
    "encode_event",
    "is_rebinding",
]


def __getattr__(name: str) -> Any:
    # Imported on first use: the chat does not need python-socketio.
    if name == "AsyncServer":
        from pychat.server.asyncserver.server import AsyncServer

        return AsyncServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
