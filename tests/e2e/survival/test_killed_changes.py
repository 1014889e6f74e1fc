"""``kill -9`` of the server while messages are edited, reacted to and removed: every change that
was acknowledged is there once, and every client shows it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pychat.client import ChatClient, ServerUnreachable
from pychat.client.connection.socket import ServerConnection
from pychat.client.models import MessageInfo
from tests.e2e.survival.counting import read_all
from tests.processes import Serving
from tests.server.store import ferretdb

pytestmark = pytest.mark.e2e

SEED = int(os.environ.get("SURVIVAL_SEED") or random.randrange(2**32))
ROOM = "#town"
WRITERS = ("alice", "bob", "carol")
KEPT, DOOMED = 6, 3
"""Messages of each writer: those that stay to the end, and those that their writer removes."""
EMOJI = ("👍", "🎉", "👀")
PATIENCE = 90.0


@dataclass
class Expected:
    """What the acknowledged changes have made of the messages, by id."""

    texts: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    reactions: set[tuple[str, str, str]] = field(default_factory=set)
    """Message, emoji and user."""
    changes: int = 0
    """Each gets one rev."""


class Changer:
    """Edits and removes its own messages, reacts to all that stay, one change after another."""

    def __init__(self, url: str, user: str, expected: Expected, random_: random.Random) -> None:
        self.client = person(url, user)
        self.own: list[str] = []
        self._expected = expected
        self._random = random_

    async def change(self, all_kept: list[str], over: asyncio.Event) -> None:
        doomed = self.own[KEPT:]
        while not over.is_set():
            roll = self._random.random()
            if roll < 0.02 and doomed:
                id = doomed.pop()
                await self.client.remove(id)
                self._expected.removed.add(id)
            elif roll < 0.5:
                id = self._random.choice(self.own[:KEPT] + doomed)
                text = f"{self.client.user} {self._expected.changes} {self._random.random()}"
                await self.client.edit(id, text)
                self._expected.texts[id] = text
            else:
                await self._react(self._random.choice(all_kept))
            self._expected.changes += 1

    async def _react(self, id: str) -> None:
        reaction = (id, self._random.choice(EMOJI), self.client.user)
        on = reaction not in self._expected.reactions
        await self.client.react(id, reaction[1], on)
        (self._expected.reactions.add if on else self._expected.reactions.remove)(reaction)


def person(url: str, user: str, cache: Path | None = None) -> ChatClient:
    return ChatClient(url, user=user, password=f"password of {user}", cache=cache)


async def watch(url: str, over: asyncio.Event, wrong: list[str]) -> None:
    """On the bare wire: every connection gets every rev once, in order."""
    while not over.is_set():
        revs: list[int] = []

        def on_event(name: str, data: object, revs: list[int] = revs) -> None:
            if name == "changed" and isinstance(data, dict) and data["with"] == ROOM:
                if revs and data["rev"] != revs[-1] + 1:
                    wrong.append(f"rev {data['rev']} after {revs[-1]}")
                revs.append(data["rev"])

        connection = ServerConnection(url, on_event)
        try:
            await connection.open()
            login = {"id": "carol", "password": "password of carol", "protocol": 1}
            await connection.request("login", login, 10)
            ended = asyncio.ensure_future(over.wait())
            await asyncio.wait((ended, connection.closed), return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
        except (ServerUnreachable, TimeoutError):
            await asyncio.sleep(0.1)
        finally:
            await connection.close()


def as_shown(messages: list[MessageInfo]) -> list[tuple[object, ...]]:
    """What a reader sees of them, whoever that is."""
    return [
        (
            each.id,
            each.removed,
            each.text,
            each.edited,
            each.rev,
            {(reaction.emoji, frozenset(reaction.by)) for reaction in each.reactions},
            each.reply_to,
        )
        for each in messages
    ]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - the state of several clients has no one event
            await asyncio.sleep(0.05)


async def killed(store: str, folder: Path, rounds: int, most: int) -> str:
    random_ = random.Random(SEED)
    expected, over, wrong = Expected(), asyncio.Event(), list[str]()
    server = Serving("--store", store, "--no-limits")
    changers = [Changer(server.url, user, expected, random_) for user in WRITERS]
    started = time.monotonic()
    for each in changers:
        each.client.start()
        await until(lambda each=each: each.client.conversations)  # type: ignore[misc]  # bound now
    await changers[0].client.create_room(ROOM[1:], "Town")
    away = person(server.url, "dave", folder / "dave.db")
    away.start()
    await until(lambda: away.conversations)
    for client in (*(each.client for each in changers[1:]), away):
        await client.join_room(ROOM[1:])
    for each in changers:
        for number in range(KEPT + DOOMED):
            sent = await each.client.send(
                ROOM, f"{each.client.user} {number}", reply_to=number or None
            )
            each.own.append(sent.id)
            expected.texts[sent.id] = sent.text
    await until(lambda: len(away.cached_messages(ROOM)) == len(expected.texts))
    await away.close()

    kept = [id for each in changers for id in each.own[:KEPT]]
    changing = [asyncio.create_task(each.change(kept, over)) for each in changers]
    watching = asyncio.create_task(watch(server.url, over, wrong))
    for _ in range(rounds):
        made = expected.changes + random_.randint(1, most)
        await until(lambda made=made: expected.changes >= made)  # type: ignore[misc]  # bound now
        await asyncio.sleep(random_.uniform(0, 0.2))
        assert await asyncio.to_thread(server.stop, signal.SIGKILL) == -signal.SIGKILL
        server = await asyncio.to_thread(Serving, "--store", store, "--no-limits", port=server.port)
    over.set()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*changing)
        await watching
    assert wrong == []

    dave = person(server.url, "dave", folder / "dave.db")
    dave.start()
    truth = (await changers[0].client.history(ROOM, limit=100)).messages
    assert {each.id: each.text for each in truth if not each.removed} == {
        id: text for id, text in expected.texts.items() if id not in expected.removed
    }
    assert {each.id for each in truth if each.removed} == expected.removed
    assert {
        (each.id, reaction.emoji, user)
        for each in truth
        for reaction in each.reactions
        for user in reaction.by
    } == expected.reactions
    # No change was made twice, and none beside those that were acknowledged.
    assert max(each.rev for each in truth) == expected.changes
    shown = as_shown(truth)
    await until(lambda: as_shown(dave.cached_messages(ROOM)) == shown)
    for each in changers:
        await until(lambda each=each: as_shown(each.client.cached_messages(ROOM)) == shown)  # type: ignore[misc]  # bound now
        await each.client.close()
    await dave.close()
    assert await asyncio.to_thread(server.stop) == 0
    _, problems = await read_all(store)
    assert problems == []
    return (
        f"kill -9, {rounds} rounds, seed {SEED}, {time.monotonic() - started:.0f} s:"
        f" {expected.changes} changes, {len(expected.removed)} removed, none lost or made twice"
    )


@pytest.mark.timeout(300)
async def test_sqlite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = await killed(f"sqlite:///{tmp_path}/chat.db", tmp_path, 10, 60)
    with capsys.disabled():
        print(f"\n{said}")


@pytest.mark.timeout(ferretdb.BUILD_SECONDS)
async def test_mongodb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ferretdb.running(tmp_path / "ferretdb") as database:
        said = await killed(f"{database.url}chat", tmp_path, 10, 15)
    with capsys.disabled():
        print(f"\n{said}")
