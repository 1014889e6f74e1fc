"""What people, operators and fate do: drawn at random, each schedule with its own inclinations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tests.simulation.chatclients import ChatDevice
from tests.simulation.devices import Device, OriginalDevice

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

ROOMS = ("r1", "r2")
PAUSES = (0.0, 0.001, 0.01, 0.1)
"""Seconds; a schedule draws one, and up to that long passes between two actions."""
ALWAYS = (1, 1, 3)
SOMETIMES = (0, 1, 1, 4)
"""How much of a kind is done; a schedule draws for each kind."""

CHANGES_ONLY = 0.3
"""How many schedules have nothing but messages and their changes: blocks and rooms that come and
go excuse much of what a client shows."""

Action = Callable[[], None]


class Actions:
    """One draw after the other; what cannot be done now is left out."""

    def __init__(self, simulation: Simulation, draw: Random) -> None:
        self._simulation = simulation
        self._draw = draw
        self.pause = draw.choice(PAUSES)
        self._restless = draw.choice((0.1, 0.4, 1.0))
        """How often the next action is about somebody else, or another room."""
        self._person = draw.choice(simulation.people)
        self._other = draw.choice(simulation.people)
        self._room = draw.choice(ROOMS)
        self._device: Device
        groups: list[tuple[tuple[float, ...], dict[Action, float]]] = [
            (ALWAYS, {self._come: 3, self._leave: 1, self._drop: 1, self._log_in_again: 0.5}),
            (ALWAYS, {self._write: 5, self._write_originally: 2, self._send_again: 1}),
            (ALWAYS, {self._use_chat_client: 4}),
            (SOMETIMES, {self._history: 1, self._list: 1, self._search: 0.5}),
            (SOMETIMES, {self._move_cursor: 2, self._type: 1}),
            (SOMETIMES, {self._join: 3, self._leave_room: 2, self._join_again: 2}),
            (SOMETIMES, {self._create_room: 1, self._delete_room: 0.5}),
            (SOMETIMES, {self._create_private: 1, self._invite: 1, self._join: 1}),
            (SOMETIMES, {self._reply: 3, self._send_file: 1}),
            (SOMETIMES, {self._kick: 1, self._invite: 2, self._appoint: 1, self._set_topic: 0.3}),
            (SOMETIMES, {self._block: 1, self._unblock: 1, self._block_and_leave: 1}),
            (SOMETIMES, {self._choose_notify: 1, self._choose_status: 0.5}),
            (SOMETIMES, {self._log_out: 0.5, self._sessions: 0.5, self._revoke: 0.3}),
            (SOMETIMES, {self._change_password: 0.3, self._disable: 0.2}),
            (SOMETIMES, {self._edit: 4, self._react: 3, self._remove: 0.5}),
            (SOMETIMES, {self._break_link: 2, self._restart: 0.3}),
        ]
        self._without_device = {
            *(self._come, self._leave, self._drop, self._write_originally, self._break_link),
            *(self._restart, self._change_password, self._disable, self._use_chat_client),
        }
        if draw.random() < CHANGES_ONLY:
            groups = [group for group in groups if group[0] is ALWAYS]
            groups.append(((1,), {self._break_link: 2}))
            groups.append(((3,), {self._edit: 4, self._react: 1, self._remove: 0.5}))
            groups.append(((4,), {self._use_chat_client: 4}))
            groups.append(((1,), {self._reply: 4}))
        self._actions: list[Action] = []
        self._weights: list[float] = []
        for inclinations, group in groups:
            inclination = draw.choice(inclinations)
            self._actions += group
            self._weights += [weight * inclination for weight in group.values()]
        self.background: list[asyncio.Task[None]] = []

    async def run(self, number: int) -> None:
        for action in self._draw.choices(self._actions, self._weights, k=number):
            self._look_around()
            devices = [each for each in self._person.devices if isinstance(each, Device)]
            if devices:
                online = [each for each in devices if each.online]
                self._device = self._draw.choice(online or devices)
            elif action not in self._without_device:
                continue
            action()
            if self.pause and self._draw.random() < 0.8:
                await asyncio.sleep(self._draw.random() * self.pause)
        for task in self.background:
            await task

    def _look_around(self) -> None:
        draw, people = self._draw, self._simulation.people
        if draw.random() < self._restless:
            self._person = draw.choice(people)
        if draw.random() < self._restless:
            self._other = draw.choice(people)
        if draw.random() < self._restless:
            private = [room for each in people for device in each.devices for room in device.rooms]
            self._room = draw.choice((*ROOMS, *private))

    # --- coming and going ---

    def _come(self) -> None:
        self._draw.choice(self._person.devices).come()

    def _leave(self) -> None:
        self._draw.choice(self._person.devices).leave()

    def _drop(self) -> None:
        self._draw.choice(self._person.devices).drop()

    def _log_out(self) -> None:
        self._device.log_out()

    def _log_in_again(self) -> None:
        if self._device.online:
            self._device.log_in_again()

    def _sessions(self) -> None:
        self._device.ask("sessions", {})

    def _revoke(self) -> None:
        self._device.ask("sessions", {"revoke": self._draw.choice(("others", "all"))})

    # --- writing and reading ---

    def _target(self) -> str:
        chance = self._draw.random()
        if chance < 0.55:
            return self._other.id
        return f"#{self._room}" if chance < 0.9 else "ALL"

    def _write(self) -> None:
        self._device.write(self._target(), self._client_id())

    def _client_id(self) -> str:
        return str(UUID(int=self._draw.getrandbits(128), version=4))

    def _reply(self) -> None:
        shown = [each for each in self._device.view.shown.items() if each[1].messages]
        if shown:
            name, conversation = self._draw.choice(shown)
            origin = self._draw.choice(list(conversation.messages))
            self._device.write(name, self._client_id(), reply_to=origin)

    def _send_file(self) -> None:
        if self._device.online and self._device.token:
            work = self._simulation.send_file(self._device, self._target(), self._client_id())
            self._simulation.loop.create_task(work)

    def _write_originally(self) -> None:
        for device in self._person.devices:
            if isinstance(device, OriginalDevice) and device.online:
                device.write(self._target())

    def _use_chat_client(self) -> None:
        for device in self._person.devices:
            if isinstance(device, ChatDevice):
                device.act(self._other.id, self._room)

    def _send_again(self) -> None:
        if self._device.outbox:
            self._device.send_again(self._draw.choice(list(self._device.outbox)))

    def _history(self) -> None:
        request: dict[str, Any] = {"with": self._target(), "limit": self._draw.choice((1, 3, 100))}
        if self._draw.random() < 0.7:
            request["after"] = self._draw.choice((0, 0, 1, 3))
        self._device.ask("history", request)

    def _list(self) -> None:
        if self._device.online:
            self._device.sync()

    def _search(self) -> None:
        self._device.ask("search", {"text": self._other.id})
        self._device.ask("users", {"query": ""})

    def _move_cursor(self) -> None:
        shown = self._device.view.shown
        if shown:
            name = self._draw.choice(list(shown))
            seq = shown[name].told
            event = self._draw.choice(("delivered", "read"))
            if seq:
                self._device.move_cursor(event, name, seq)

    def _type(self) -> None:
        request = {"recepient": self._target(), "typing": self._draw.random() < 0.7}
        self._device.ask("typing", request)

    def _choose_notify(self) -> None:
        level = self._draw.choice(("all", "mentions", "muted"))
        self._device.ask("notify", {"with": self._target(), "level": level})

    def _choose_status(self) -> None:
        status = self._draw.choice(("online", "away", "dnd"))
        self._device.ask("profile", {"status": status, "statusText": self._other.id})

    def _some_message(self) -> dict[str, Any] | None:
        shown = [each for each in self._device.view.shown.values() if each.messages]
        if not shown:
            return None
        chosen = self._draw.choice(shown)
        return {"id": f"{chosen.key}-{self._draw.choice(list(chosen.messages))}"}

    def _edit(self) -> None:
        # Most are not theirs, which is refused.
        for _ in range(4):
            if message := self._some_message():
                text = f"edited {self._draw.choice(('', '@alice', '@bob'))} {message['id']}"
                self._device.ask("edit", message | {"data": text})

    def _react(self) -> None:
        if message := self._some_message():
            emoji, on = self._draw.choice("👍🎉"), self._draw.random() < 0.7
            self._device.ask("react", message | {"emoji": emoji, "on": on})

    def _remove(self) -> None:
        if message := self._some_message():
            self._device.ask("remove", message)

    # --- rooms and blocks ---

    def _change_room(self, command: str, **fields: str) -> None:
        room = self._room
        request = {"command": command, "roomId": room} | fields
        if command == "create":
            request |= {"roomName": f"Room {room}", "roomOwner": self._person.id}
        if self._device.online:
            self._device.wish("room", request)

    def _create_room(self) -> None:
        self._change_room("create")

    def _create_private(self) -> None:
        if self._device.online:
            request = {"command": "create", "private": True, "roomName": "Board"}
            self._device.wish("room", request | {"roomOwner": self._person.id})

    def _join(self) -> None:
        self._change_room("join")

    def _leave_room(self) -> None:
        self._change_room("leave")

    def _delete_room(self) -> None:
        self._change_room("delete")

    def _kick(self) -> None:
        self._change_room("kick", user=self._other.id)

    def _invite(self) -> None:
        self._change_room("invite", user=self._other.id)

    def _appoint(self) -> None:
        if self._draw.random() < 0.2:
            self._change_room("transfer", user=self._other.id)
        else:
            role = self._draw.choice(("moderator", "member"))
            self._change_room("role", user=self._other.id, role=role)

    def _set_topic(self) -> None:
        self._change_room("topic", topic=f"topic {self._draw.random()}")

    def _join_again(self) -> None:
        """Leaves and joins at once, while another device reads."""
        for device in self._person.devices:
            if isinstance(device, Device) and device is not self._device:
                device.ask("history", {"with": f"#{self._room}", "after": 0, "limit": 100})
        self._leave_room()
        self._join()

    def _block_and_leave(self) -> None:
        """While another device logs in."""
        for device in self._person.devices:
            if device is not self._device:
                device.come()
        self._block()
        self._device.leave()

    def _block(self) -> None:
        self._change_block("block")

    def _unblock(self) -> None:
        self._change_block("unblock")

    def _change_block(self, event: str) -> None:
        other = self._other.id
        if other != self._person.id and self._device.online:
            self._device.wish(event, {"id": other})

    # --- fate and operators ---

    def _break_link(self) -> None:
        self._simulation.network.break_one()

    def _restart(self) -> None:
        self._later(self._simulation.restart(crash=self._draw.random() < 0.6))

    def _change_password(self) -> None:
        self._later(self._simulation.operator.change_password(self._person))

    def _disable(self) -> None:
        self._later(self._simulation.operator.disable(self._person, not self._person.disabled))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        if not any(not task.done() for task in self.background):
            self.background.append(self._simulation.loop.create_task(work))
        else:
            work.close()  # one at a time
