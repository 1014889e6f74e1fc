"""Scripted clients on the wire: of protocol 1, and of the original protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Link, Network
from tests.simulation.view import View

Answered = Callable[[Any], None]

PATIENCE = 8.0
"""Seconds until an unanswered request means that the link is dead."""


class Person:
    """Somebody with devices; knows the password that holds now."""

    def __init__(self, id: str, password: str) -> None:
        self.id = id
        self.password = password
        self.disabled = False
        self.devices: list[Any] = []
        """Device, OriginalDevice or ChatDevice."""
        self.written = 0

    def text(self) -> str:
        """One that nobody else writes. Many mention somebody in rooms."""
        self.written += 1
        return f"{self.id} {self.written}{('', ' @alice', ' @bob @ALL')[self.written % 3]}"


class _Connected:
    """What both kinds have: a link, and coming back."""

    def __init__(
        self, person: Person, number: int, network: Network, loop: SimulatedLoop, draw: Random
    ) -> None:
        self.person = person
        self.name = f"{person.id}/{number}"
        self._network = network
        self._loop = loop
        self._draw = draw
        self.link: Link | None = None
        self.wanted = False
        """Whether somebody sits before it."""
        self.online = False
        self._connecting: asyncio.Task[None] | None = None
        person.devices.append(self)

    def come(self) -> None:
        self.wanted = True
        if self.link is None and self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())

    def leave(self) -> None:
        """The program is closed."""
        self.wanted = False
        link = self.link
        if link is not None:
            self._forget_link()
            link.close_up()

    def drop(self) -> None:
        """The link is given up; it comes back on another one."""
        link = self.link
        if link is not None:
            self._forget_link()
            link.close_up()
            self._later()

    def lost(self, link: Link) -> None:
        if link is self.link:
            self._forget_link()
            self._later()

    def _forget_link(self) -> None:
        self.link = None
        self.online = False

    def _later(self, delay: float = 0.5) -> None:
        self._loop.call_later(self._draw.random() * delay, self._again)

    def _again(self) -> None:
        if self.wanted:
            self.come()

    async def _connect(self) -> None:
        try:
            link = await self._network.connect(self, self.name)  # type: ignore[arg-type]  # see above
        except ConnectionRefusedError:
            self._connecting = None
            self._later()
            return
        self._connecting = None
        self.link = link
        if self.wanted:
            self._log_in()
        else:
            self.leave()

    def _log_in(self) -> None:
        raise NotImplementedError


class Device(_Connected):
    """A client of protocol 1: it asks for acknowledgements, lists after each login, fetches what
    it misses, and sends again what was not answered."""

    def __init__(
        self, person: Person, number: int, network: Network, loop: SimulatedLoop, draw: Random
    ) -> None:
        super().__init__(person, number, network, loop, draw)
        self.token = ""
        self.view = View()
        self.outbox: dict[str, dict[str, Any]] = {}
        """By client id: what was not answered yet."""
        self.wishes: list[tuple[str, dict[str, Any]]] = []
        """Changes that were asked for and not answered, or answered "try again"."""
        self.rooms: list[str] = []
        """Ids of private rooms that it has made."""
        self.moved: dict[tuple[str, str], int] = {}
        """The furthest cursors in pairs that were answered, by event and name."""
        self._asked: dict[int, Answered] = {}
        self._next_ack = 0
        self._syncing = False
        self._sync_again = False

    @property
    def quiet(self) -> bool:
        """Nothing is asked, waited for or to be done."""
        return self._connecting is None and (
            not self.wanted
            or (self.online and not (self._asked or self.outbox or self.wishes or self._syncing))
        )

    # --- asking ---

    def ask(self, event: str, data: Any, answered: Answered | None = None) -> None:
        link = self.link
        if link is None:
            return
        ack_id = self._next_ack
        self._next_ack += 1
        self._asked[ack_id] = answered or _nothing
        link.send_up(event, data, ack_id)
        self._loop.call_later(PATIENCE, self._overdue, link, ack_id)

    def _overdue(self, link: Link, ack_id: int) -> None:
        if link is self.link and ack_id in self._asked:
            self.drop()

    def acknowledged(self, ack_id: int, answer: Any) -> None:
        answered = self._asked.pop(ack_id, None)
        if answered is not None:
            answered(answer)

    def _forget_link(self) -> None:
        super()._forget_link()
        self._asked.clear()
        self._syncing = self._sync_again = False

    # --- logging in ---

    def _log_in(self) -> None:
        login: dict[str, Any] = {"id": self.person.id, "protocol": 1}
        if self.token:
            login["token"] = self.token
        else:
            login["password"] = self.person.password
        self.ask("login", login, lambda answer: self._logged_in(login, answer))

    def _logged_in(self, login: dict[str, Any], answer: Any) -> None:
        code = answer["code"]
        if code == "200":
            self.online = True
            self.token = answer["token"]
            self.view.rooms = None
            self.sync()
            for message in list(self.outbox.values()):
                self._send(message)
            wishes, self.wishes = self.wishes, []
            for event, data in wishes:
                self.wish(event, data)
        elif code == "401" and "token" in login:
            self.token = ""
            self._log_in()
        elif code in ("403", "429"):
            self.leave()  # disabled, or on too many devices
        else:
            self.drop()

    def log_in_again(self) -> None:
        """On the same connection."""
        login: dict[str, Any] = {"id": self.person.id, "protocol": 1}
        if self.token and self._draw.random() < 0.5:
            login["token"] = self.token
        else:
            login["password"] = self.person.password
        self.ask("login", login, lambda answer: self._logged_in_again(login, answer))

    def _logged_in_again(self, login: dict[str, Any], answer: Any) -> None:
        if answer["code"] == "200":
            self._logged_in(login, answer)

    def log_out(self) -> None:
        if self.online:
            self.ask("logout", {}, self._logged_out)

    def _logged_out(self, answer: Any) -> None:
        if answer["code"] == "200":
            self.token = ""
            self.leave()

    # --- the view ---

    def sync(self) -> None:
        """Asks for the list, and for what is missing then."""
        if self._syncing:
            self._sync_again = True
            return
        self._syncing = True
        self.ask("conversations", {"limit": 100}, self._listed)

    def _listed(self, answer: Any) -> None:
        self._syncing = False
        if answer["code"] == "200":
            for name in self.view.list(answer["conversations"]):
                self._fetch(name)
        elif answer["code"].startswith("5"):
            self._sync_again = True
        if self._sync_again:
            self._sync_again = False
            self.sync()

    def _fetch(self, name: str) -> None:
        shown = self.view.shown.get(name)
        if shown is not None:
            request = {"with": name, "after": shown.told, "limit": 100}
            self.ask("history", request, lambda answer: self._fetched(name, shown, answer))

    def _fetched(self, name: str, shown: Any, answer: Any) -> None:
        if self.view.shown.get(name) is not shown:
            return
        if answer["code"] == "200" and answer["rev"] < shown.rev:
            self._fetch(name)  # the page does not show what has been told meanwhile
        elif answer["code"] == "200":
            for entry in answer["messages"]:
                shown.add(entry)
            if answer["hasMore"]:
                self._fetch(name)
        elif answer["code"].startswith("5"):
            self._fetch(name)

    def read_anew(self) -> None:
        """Whom one sees has changed."""
        self.view.shown.clear()
        self.sync()

    def arrived(self, event: str, data: Any) -> None:
        if event == "message":
            self._add(data)
        elif event == "receipt":
            if data["by"] == self.person.id and (shown := self.view.shown.get(data["with"])):
                shown.moved(data["kind"], data["seq"])
        elif event == "presence":
            self.view.online[data["id"]] = data["online"]
        elif event == "changed":
            shown = self.view.shown.get(data["with"])
            if shown is not None and not shown.change(data):
                self.read_anew()
        elif event == "membership":
            if data["role"] in ("none", "invited"):
                self.view.shown.pop(data["with"], None)
            self.sync()
        elif event == "room":
            self.view.rooms = {room["id"]: room["owner"] for room in data["rooms"]}

    def _add(self, data: Any) -> None:
        if data["recepient"] == "ALL":
            name = "ALL"
        elif data["command"] == "groupchat":
            name = f"#{data['recepient']}"
        else:
            sent = data["sender"] == self.person.id
            name = data["recepient"] if sent else data["sender"]
        shown = self.view.shown.get(name)
        key = int(data["id"].split("-")[0])
        if shown is None or shown.key not in (0, key):
            self.sync()
        elif not shown.add(data):
            self._fetch(name)

    def move_cursor(self, event: str, name: str, seq: int) -> None:
        def moved(answer: Any) -> None:
            if answer["code"] == "200" and name != "ALL" and not name.startswith("#"):
                self.moved[event, name] = max(seq, self.moved.get((event, name), 0))

        self.ask(event, {"with": name, "seq": seq}, moved)

    # --- writing ---

    def write(
        self, to: str, client_id: str, *, reply_to: int | None = None, file: str | None = None
    ) -> None:
        room = to.startswith("#")
        message: dict[str, Any] = {
            "sender": self.person.id,
            "recepient": to[1:] if room else to,
            "command": "groupchat" if room else "chat",
            "type": "text",
            "data": self.person.text(),
            "clientId": client_id,
        }
        if reply_to is not None:
            message["replyTo"] = reply_to
        if file is not None:
            message["file"] = file
        self.outbox[client_id] = message
        if self.online:
            self._send(message)

    def send_again(self, client_id: str) -> None:
        """Before it was answered."""
        if self.online and client_id in self.outbox:
            self._send(self.outbox[client_id])

    def _send(self, message: dict[str, Any]) -> None:
        self.ask("message", message, lambda answer: self._sent(message, answer))

    def _sent(self, message: dict[str, Any], answer: Any) -> None:
        client_id = message["clientId"]
        if client_id not in self.outbox:
            return
        if answer["code"].startswith("5"):
            self._loop.call_later(0.2, self.send_again, client_id)
            return
        del self.outbox[client_id]
        if "rev" in answer:
            self.read_anew()  # the message was changed since
        elif "seq" in answer:
            self._add({**message, "id": answer["id"], "seq": answer["seq"]})

    def wish(self, event: str, data: dict[str, Any]) -> None:
        """A change, asked for until it is answered."""
        wish = (event, data)
        self.wishes.append(wish)
        if self.online:
            self._ask_for(wish)

    def _ask_for(self, wish: tuple[str, dict[str, Any]]) -> None:
        if wish in self.wishes and self.online:
            self.ask(*wish, lambda answer: self._granted(wish, answer))

    def _granted(self, wish: tuple[str, dict[str, Any]], answer: Any) -> None:
        if wish not in self.wishes:
            return
        if answer["code"].startswith("5"):
            self._loop.call_later(0.2, self._ask_for, wish)
            return
        self.wishes.remove(wish)
        event, data = wish
        if "roomId" in answer:
            self.rooms.append(answer["roomId"])
        if event in ("block", "unblock"):
            self.read_anew()
        elif event == "room" and data["command"] in ("create", "join", "leave"):
            self.sync()


class OriginalDevice(_Connected):
    """A client of the original protocol: no acknowledgements, no history, nothing sent again."""

    def __init__(
        self, person: Person, number: int, network: Network, loop: SimulatedLoop, draw: Random
    ) -> None:
        super().__init__(person, number, network, loop, draw)
        self.rooms: list[str] = []
        self.received: list[tuple[str, str]] = []
        """Id and text, in order."""

    @property
    def quiet(self) -> bool:
        return self._connecting is None and (not self.wanted or self.online)

    def _log_in(self) -> None:
        self.send("login", {"id": self.person.id, "password": self.person.password, "alias": ""})

    def send(self, event: str, data: Any) -> None:
        if self.link is not None:
            self.link.send_up(event, data, None)

    def acknowledged(self, ack_id: int, answer: Any) -> None:
        raise AssertionError("it asked for none")

    def arrived(self, event: str, data: Any) -> None:
        if event == "message":
            self.received.append((data["id"], data["data"]))
        elif event == "response" and data["command"] == "login" and not self.online:
            if data["code"] == "200":
                self.online = True
            elif data["code"] in ("403", "429"):
                self.leave()
            elif data["code"] != "404":
                self.drop()

    def write(self, to: str) -> None:
        room = to.startswith("#")
        message = {
            "sender": self.person.id,
            "recepient": to[1:] if room else to,
            "command": "groupchat" if room else "chat",
            "type": "text",
            "data": self.person.text(),
        }
        self.send("message", message)


def _nothing(_answer: Any) -> None:
    pass
