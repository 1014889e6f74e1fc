"""What the chat needs of a client's connection; the engine's connections are such."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class ChatConnection(Protocol):
    """One Socket.IO client on the namespace ``/``.

    ``context`` is the chat's own room on it, None at first. ``packet`` is what ``EncodeEvent``
    made: encoded once, however many connections it goes to. After ``close`` or a disconnect,
    sending does nothing.
    """

    sid: str
    context: Any

    @property
    def remote_address(self) -> str: ...

    @property
    def user_agent(self) -> str: ...

    def send(self, packet: Any) -> None: ...

    def when_received(self, callback: Callable[[], None]) -> None:
        """Call back when the client has shown that it processed all that was sent until now.

        Perhaps at once. Not at all if the connection ends first, or if this is called again before.
        """

    def acknowledge(self, ack_id: int, payload: bytes) -> None:
        """Answers the event that came with this id; ``payload`` is one JSON value."""

    def admit(self) -> None:
        """Somebody is logged in on it: it may send as much in one piece as anybody may."""

    def close(self) -> None:
        """Disconnects the client, after what waits has been written."""


EncodeEvent = Callable[[str, bytes], Any]
"""An event's name and its one JSON argument, as a packet for ``Connection.send``."""
