"""The stores that the contract tests run on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest

from pychat.server.store import Store, open_store
from pychat.server.store.records import (
    Account,
    Appended,
    ChangeResult,
    ConversationRecord,
    NewChange,
    NewMessage,
    NewRemoval,
    Outcome,
)
from tests.server.store import ferretdb

# The first test that needs FerretDB builds it.
MONGODB = [pytest.mark.e2e, pytest.mark.timeout(ferretdb.BUILD_SECONDS)]
STORES = ["memory", "sqlite", pytest.param("mongodb", marks=MONGODB)]


@dataclass
class Populated:
    """An open store with helpers to fill it. The time advances by a second with each message."""

    store: Store
    _times: count[int] = field(default_factory=lambda: count(1_700_000_000_000, 1000))

    async def account(self, id: str, alias: str = "") -> Account:
        return await self.store.create_account(id, alias or id, "hash", 1_700_000_000_000)

    async def pair(
        self, a: str = "alice", b: str = "bob"
    ) -> tuple[Account, Account, ConversationRecord]:
        one, other = await self.account(a), await self.account(b)
        return one, other, await self.store.open_pair(one.key, other.key)

    def message(
        self,
        conversation: ConversationRecord | int,
        sender: Account,
        data: str = "hi",
        client_id: bytes | None = None,
    ) -> NewMessage:
        key = conversation if isinstance(conversation, int) else conversation.key
        return NewMessage(key, sender.key, client_id, next(self._times), data)

    async def say(
        self, conversation: ConversationRecord | int, sender: Account, *texts: str
    ) -> list[Appended]:
        return await self.store.append(
            [self.message(conversation, sender, text, uuid4().bytes) for text in texts]
        )

    async def change(self, *changes: NewChange) -> list[ChangeResult]:
        return await changed(self.store, *changes)


async def changed(store: Store, *changes: NewChange) -> list[ChangeResult]:
    """Commit changes of messages."""
    return [answer for answer in await store.commit(changes) if isinstance(answer, ChangeResult)]


async def removed(store: Store, conversation: int, seq: int) -> bool:
    """Remove a message as an admin does. Return whether there is such a message."""
    (answer,) = await changed(store, NewRemoval(conversation, seq, 0, of_others=True))
    return answer.outcome is not Outcome.MISSING


@pytest.fixture(scope="session")
def mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ferretdb.Server]:
    with ferretdb.running(tmp_path_factory.mktemp("ferretdb")) as server:
        yield server


@pytest.fixture(params=STORES)
async def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty store, for each kind of store."""
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path}/chat.db"
        case "mongodb":
            server: ferretdb.Server = request.getfixturevalue("mongodb")
            return f"{server.url}test_{uuid4().hex}"
        case other:
            return f"{other}:"


@pytest.fixture
async def chat(address: str) -> AsyncIterator[Populated]:
    store = open_store(address)
    await store.open()
    yield Populated(store)
    await store.close()


@pytest.fixture
def store(chat: Populated) -> Store:
    return chat.store
