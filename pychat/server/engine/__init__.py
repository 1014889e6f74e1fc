"""Engine.IO 3 and 4 over aiohttp, and Socket.IO on it. Knows no chat."""

from pychat.server.engine.dispatcher import Connection, Handler, SocketServer
from pychat.server.engine.packet import Packet, encode_event

__all__ = ["Connection", "Handler", "Packet", "SocketServer", "encode_event"]
