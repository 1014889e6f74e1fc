"""Those who make the load: terminals, programs that ask for answers, and original pages."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import aiohttp

from pychat.client import ChatClient
from pychat.client.events import MessageAdded, MessageChanged, MessagesReset, StatusChanged
from pychat.client.models import DeliveryStatus
from tests.attack import wire

BACKLOG = 12
"""No more than that wait in one outbox: the load follows the server's pace."""
RETRY_SECONDS = 0.2


@dataclass
class Ledger:
    """What everybody has sent, was told and was shown. Every text is written once only."""

    sent: set[str] = field(default_factory=set)
    resent: set[str] = field(default_factory=set)
    """Of those, what is sent again until it is acknowledged."""
    acknowledged: dict[str, int] = field(default_factory=dict)
    """The seq by the text; 0 where the original protocol does not tell it."""
    refused: set[str] = field(default_factory=set)
    """Texts that were answered with 503 and are not sent again. MongoDB may have stored them
    (docs/reference/stores.md)."""
    shown: dict[str, dict[str, list[tuple[int, str]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """By reader and conversation: seq and text, others' and one's own, in the order shown."""
    given: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By reader with the original protocol, which cannot say what it has already."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def acknowledge(self, text: str, seq: int) -> None:
        # A second answer must be the first one over again.
        assert self.acknowledged.setdefault(text, seq) == seq, (text, seq)
        self._news.set()

    def show(self, reader: str, conversation: str, seq: int, text: str) -> None:
        self.shown[reader][conversation].append((seq, text))
        self._news.set()

    def give(self, reader: str, text: str) -> None:
        self.given[reader].append(text)
        self._news.set()

    async def news(self) -> None:
        """Returns when anything has happened since."""
        self._news.clear()
        await self._news.wait()

    def refuse(self, text: str, code: str) -> None:
        """503 is the only correct refusal here: the store is away."""
        assert code == "503", (text, code)
        self.refused.add(text)
        self._news.set()

    async def refused_more(self, messages: int) -> None:
        """Returns when so many more were refused than now."""
        wanted = len(self.refused) + messages
        while len(self.refused) < wanted:
            await self.news()

    async def acknowledged_more(self, messages: int) -> None:
        """Returns when so many more are acknowledged than now."""
        wanted = len(self.acknowledged) + messages
        while len(self.acknowledged) < wanted:
            await self.news()

    async def acknowledged_by(self, *users: str) -> None:
        """Returns when each of them has had one more message acknowledged than now."""
        wanted = {user: self._acknowledged_of(user) + 1 for user in users}
        while any(self._acknowledged_of(user) < count for user, count in wanted.items()):
            await self.news()

    def _acknowledged_of(self, user: str) -> int:
        return sum(text.startswith(f"{user}>") for text in self.acknowledged)


class Terminal:
    """A ChatClient that writes in turn to each of its conversations, until ``stop``."""

    def __init__(self, ledger: Ledger, url: str, user: str, pause: float) -> None:
        self.client = ChatClient(url, user=user, password=f"password of {user}")
        self.resets = 0
        self.failed: list[str] = []
        self._ledger = ledger
        self._pause = pause
        self._events = self.client.events()
        self._watching = asyncio.create_task(self._watch())

    async def write(self, conversations: Sequence[str], until: asyncio.Event) -> None:
        numbers = count()
        while not until.is_set():
            if self.client.status.waiting < BACKLOG:
                number = next(numbers)
                to = conversations[number % len(conversations)]
                text = f"{self.client.user}>{to} {number}"
                self._ledger.sent.add(text)
                self._ledger.resent.add(text)
                self.client.post(to, text)
            await asyncio.sleep(self._pause)

    async def settled(self) -> None:
        """Returns when all that it wrote is acknowledged."""
        events = self.client.events()
        if self.client.status.waiting == 0:
            return
        async for event in events:
            if isinstance(event, StatusChanged) and event.status.waiting == 0:
                return

    async def close(self) -> None:
        await self.client.close()
        await self._watching

    async def _watch(self) -> None:
        user = self.client.user
        async for event in self._events:
            match event:
                case MessageChanged(message) if message.delivery is DeliveryStatus.FAILED:
                    self.failed.append(f"{message.text}: {message.error}")
                case MessageChanged(message):
                    # Of one's own, the seq is known from here on.
                    self._ledger.acknowledge(message.text, message.seq)
                    self._ledger.show(user, message.conversation, message.seq, message.text)
                case MessageAdded(message) if not message.own:
                    self._ledger.show(user, message.conversation, message.seq, message.text)
                case MessagesReset():
                    self.resets += 1


class Program:
    """Sends over the bare wire and asks for an answer, but never sends anything again."""

    def __init__(self, ledger: Ledger, url: str, user: str, pause: float) -> None:
        self._ledger = ledger
        self._url = url
        self._user = user
        self._pause = pause
        self._numbers = count()

    async def write(self, to: str, until: asyncio.Event) -> None:
        await _connected_again(self._url, until, partial(self._converse, to=to, until=until))

    async def _converse(
        self, session: aiohttp.ClientSession, to: str, until: asyncio.Event
    ) -> None:
        client = await wire.connect(session, self._url)
        login = {"id": self._user, "password": f"password of {self._user}", "protocol": 1}
        logged_in = (await client.ask("login", login))["code"] == "200"
        while logged_in and not until.is_set():
            text = f"{self._user}>{to} {next(self._numbers)}"
            self._ledger.sent.add(text)
            answer = await client.ask("message", _message(self._user, to, text))
            if answer["code"] in ("200", "202"):
                self._ledger.acknowledge(text, answer["seq"])
            else:
                self._ledger.refuse(text, answer["code"])
            await asyncio.sleep(self._pause)
        await client.close()


class OriginalPage:
    """Speaks the original protocol: no acknowledgements, so each answer is the oldest unanswered
    message's. Sends nothing again. Keeps what it is given, at each login what it missed."""

    def __init__(self, ledger: Ledger, url: str, user: str, pause: float) -> None:
        self._ledger = ledger
        self._url = url
        self._user = user
        self._pause = pause
        self._numbers = count()
        self.known = asyncio.Event()
        """Set once it was logged in: now others can write to it."""

    async def write(self, to: str, until: asyncio.Event) -> None:
        await _connected_again(self._url, until, partial(self._converse, to=to, until=until))

    async def read(self, until: asyncio.Event) -> None:
        await _connected_again(self._url, until, partial(self._converse, to=None, until=until))

    async def _converse(
        self, session: aiohttp.ClientSession, to: str | None, until: asyncio.Event
    ) -> None:
        socket = await wire.open_socket(session, self._url)
        await socket.send_str("40")
        login = {
            "id": self._user,
            "password": f"password of {self._user}",
            "alias": "",
            "today": "",
        }
        await socket.send_str("42" + json.dumps(["login", login]))
        unanswered: deque[str] = deque()
        work: asyncio.Task[None] | None = None
        async for frame in socket:
            if frame.data == "2":
                await socket.send_str("3")
            if not frame.data.startswith("42"):
                continue
            match json.loads(frame.data[2:]):
                case ["message", payload]:
                    self._ledger.give(self._user, payload["data"])
                case ["response", {"command": "login", "code": code}]:
                    if code != "200":
                        break
                    self.known.set()
                    work = asyncio.create_task(self._work(socket, to, until, unanswered))
                case ["response", {"command": "message", "code": code}]:
                    text = unanswered.popleft()
                    if code in ("200", "202"):
                        self._ledger.acknowledge(text, 0)
                    else:
                        self._ledger.refuse(text, code)
        if work is not None:
            work.cancel()
        await socket.close()

    async def _work(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        to: str | None,
        until: asyncio.Event,
        unanswered: deque[str],
    ) -> None:
        if to is None:
            await until.wait()
        with suppress(ConnectionError):
            while to is not None and not (until.is_set() and not unanswered):
                if not until.is_set():
                    text = f"{self._user}>{to} {next(self._numbers)}"
                    self._ledger.sent.add(text)
                    unanswered.append(text)
                    message = _message(self._user, to, text)
                    await socket.send_str("42" + json.dumps(["message", message]))
                await asyncio.sleep(self._pause)
        await socket.close()


def _message(sender: str, to: str, text: str) -> dict[str, str]:
    return {"sender": sender, "recepient": to, "command": "chat", "type": "text", "data": text}


async def _connected_again(
    url: str, until: asyncio.Event, converse: Callable[[aiohttp.ClientSession], Awaitable[None]]
) -> None:
    """On one connection after the other, for as long as they break."""
    async with wire.browsing() as session:
        while not until.is_set():
            # TypeError: the connection has ended where aiohttp was asked for text.
            with suppress(wire.Closed, aiohttp.ClientError, ConnectionError, TypeError):
                await converse(session)
            await asyncio.sleep(RETRY_SECONDS)
