"""A server and its network imitated in the process, on a clock that jumps over every wait.

A test takes milliseconds, and may wait for seconds: ``await asyncio.sleep(5)`` lets everything
happen that happens within 5 seconds.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any, NoReturn

from pychat.client import ChatClient
from pychat.client.connection.socket import ServerConnection
from pychat.client.errors import ServerUnreachable
from tests.client.scripted import DONE, LOGIN, message

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop without network, whose clock jumps to the next timer when nothing is ready."""

    def __init__(self) -> None:
        self._now = 1_000.0
        super().__init__(_NoFiles(self._jump))

    def time(self) -> float:
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


class _NoFiles(selectors.SelectSelector):
    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            self._nothing_can_happen()
        self._jump(max(0.0, timeout))
        return []

    def _nothing_can_happen(self) -> NoReturn:
        raise RuntimeError("nothing can happen any more: everything waits for something")


class ImitatedServer:
    """``answers``: answer by event name. ``asked``: all received (event, payload) pairs.

    ``stored``: the messages by conversation, as the server would send them to alice. ``listed``:
    what the list says of a conversation beside what its messages say.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.stored: dict[str, list[dict[str, Any]]] = {"bob": []}
        self.listed: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, Answer] = {
            "login": lambda _: LOGIN,
            "conversations": lambda _: {**DONE, "conversations": self.conversations()},
            "history": self.history,
            "delivered": lambda request: self.move("deliveredSeq", request),
            "read": lambda request: self.move("readSeq", request),
        }
        self.reachable = True
        self._held: dict[str, list[Callable[[], None]]] = {}
        self._connections: list[ServerConnection] = []

    # --- what it has ---

    def say(self, text: str, name: str = "bob", sender: str = "bob", **more: Any) -> dict[str, Any]:
        """Store a message in the conversation, and return it."""
        stored = self.stored.setdefault(name, [])
        number = 1 + list(self.stored).index(name)
        seq = len(stored) + 1
        ids = {"id": f"{number}-{seq}", "recepient": "alice" if sender == name else name}
        if name.startswith("#"):
            ids |= {"command": "groupchat", "recepient": name[1:]}
        stored.append(message(seq, text, sender) | ids | more)
        return stored[-1]

    def fill(self, count: int, name: str = "bob") -> None:
        """Store messages whose texts are their seqs."""
        for _ in range(count):
            self.say(str(len(self.stored.get(name, [])) + 1), name)

    def conversations(self) -> list[dict[str, Any]]:
        return [self.conversation(name) for name in self.stored]

    def conversation(self, name: str) -> dict[str, Any]:
        """The conversation as ``conversations`` lists it."""
        stored = self.stored[name]
        listed = {"readSeq": 0} | self.listed.get(name, {})
        unread = [
            each
            for each in stored
            if each.get("sender") not in ("alice", None) and each["seq"] > listed["readSeq"]
        ]
        return {
            "with": name,
            "alias": name.title(),
            "online": True,
            "firstSeq": 1,
            "lastSeq": len(stored),
            "deliveredSeq": 0,
            "peerDeliveredSeq": 0,
            "peerReadSeq": 0,
            "unread": len(unread),
            "last": stored[-1] if stored else None,
        } | listed

    def history(self, request: dict[str, Any]) -> dict[str, Any]:
        stored, limit = self.stored[request["with"]], request.get("limit", 50)
        if "after" in request:
            later = [each for each in stored if each["seq"] > request["after"]]
            page, more = later[:limit], len(later) > limit
        else:
            earlier = [each for each in stored if each["seq"] < request.get("before", 10**9)]
            page, more = earlier[-limit:], len(earlier) > limit
        return {**DONE, "messages": page, "hasMore": more}

    def move(self, cursor: str, request: dict[str, Any]) -> dict[str, Any]:
        """Move a cursor of alice."""
        self.listed.setdefault(request["with"], {})[cursor] = request["seq"]
        return DONE

    # --- what it is asked ---

    def payloads(self, event: str) -> list[dict[str, Any]]:
        """The payloads of all requests with this name."""
        return [payload for each, payload in self.asked if each == event]

    def taken(self, event: str) -> list[dict[str, Any]]:
        """The payloads of these requests since the last call, which are forgotten."""
        payloads = self.payloads(event)
        self.asked = [each for each in self.asked if each[0] != event]
        return payloads

    def hold(self, event: str) -> None:
        """Do not answer these requests before ``release``."""
        self._held[event] = []

    def release(self, event: str) -> None:
        """Answer the requests that were held, and those that follow."""
        for answer in self._held.pop(event):
            answer()

    # --- what it does ---

    def emit(self, event: str, payload: Any) -> None:
        for connection in list(self._connections):
            connection._received(event, payload)

    def tell(self, text: str, name: str = "bob", sender: str = "bob", **more: Any) -> None:
        """Store a message and send it to alice."""
        self.emit("message", self.say(text, name, sender, **more))

    def remove(self, seq: int, name: str = "bob") -> None:
        """Tell alice that a message was removed."""
        self.emit("changed", {"with": name, "rev": 1, "seq": seq, "removed": True})

    def disconnect(self) -> None:
        for connection in self._connections:
            connection.abort("the connection was lost")
        self._connections.clear()

    def connection_class(self) -> type[ServerConnection]:
        """The client's connection, which calls this server directly."""
        server = self

        class Imitated(ServerConnection):
            async def open(self) -> None:
                if not server.reachable:
                    raise ServerUnreachable("the server does not answer")
                server._connections.append(self)

            def send(
                self,
                event: str,
                payload: Any,
                answered: Callable[[object], None] | None = None,
            ) -> None:
                if self.closed.done():
                    return
                server.asked.append((event, payload))
                callback = self._answer(answered)
                if callback is None:
                    return
                reply = callback

                def answer() -> None:
                    reply(server.answers.get(event, lambda _: DONE)(payload))

                if event in server._held:
                    server._held[event].append(answer)
                else:
                    asyncio.get_running_loop().call_soon(answer)

            async def close(self) -> None:
                self._end("closed")

        return Imitated


async def online(client: ChatClient) -> None:
    client.start()
    await asyncio.sleep(2)


async def reconnected(server: ImitatedServer) -> None:
    server.disconnect()
    await asyncio.sleep(3)
