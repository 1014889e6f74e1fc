"""An admin removes a message, and nobody else does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from pychat.server.app import ChatServer
from pychat.server.chat.accounts.passwords import hash_password
from tests.attack.wire import PASSWORD, connect
from tests.serving import serving


@asynccontextmanager
async def administered() -> AsyncIterator[ChatServer]:
    """Its admin is root, whose account was made by the server's keeper."""
    async with serving(admins=["Root"]) as server:
        await server.store.create_account("root", "root", hash_password(PASSWORD), 0)
        yield server


async def test_an_admin_removes_what_others_said_to_each_other() -> None:
    async with administered() as server, aiohttp.ClientSession() as web:
        alice, bob, root, eve = [await connect(web, server.url) for _ in range(4)]
        for client, id in ((alice, "alice"), (bob, "bob"), (root, "root"), (eve, "eve")):
            await client.login(id)
        sent = await alice.ask("message", {"sender": "alice", "recepient": "bob", "data": "bad"})
        refused = await eve.ask("remove", {"id": sent["id"]})
        assert refused["code"] == "403"
        assert (await alice.ask("remove", {"id": sent["id"]}))["code"] == "403"
        assert (await root.ask("remove", {"id": sent["id"]}))["code"] == "200"
        assert await alice.event("removed") == {"with": "bob", "seq": 1}
        assert await bob.event("removed") == {"with": "alice", "seq": 1}
        history = (await bob.ask("history", {"with": "alice"}))["messages"]
        assert history == [{"id": sent["id"], "seq": 1, "removed": True}]
        assert not [e for e in eve.events if e[0] == "removed"]


@pytest.mark.parametrize(("id", "code"), [("99-1", "404"), ("1-99", "404"), ("x", "400")])
async def test_what_is_not_there_cannot_be_removed(id: str, code: str) -> None:
    async with administered() as server, aiohttp.ClientSession() as web:
        root = await connect(web, server.url)
        await root.login("root")
        assert (await root.ask("remove", {"id": id}))["code"] == code


async def test_everybody_learns_of_what_is_removed_from_all() -> None:
    async with administered() as server, aiohttp.ClientSession() as web:
        root, alice = [await connect(web, server.url) for _ in range(2)]
        await root.login("root")
        await alice.login("alice")
        sent = await alice.ask("message", {"sender": "alice", "recepient": "ALL", "data": "bad"})
        await root.ask("remove", {"id": sent["id"]})
        assert await alice.event("removed") == {"with": "ALL", "seq": 1}


@pytest.mark.parametrize("id", ["root", "ROOT", "r\u043e\u043et"])
async def test_nobody_claims_an_admin_s_id(id: str) -> None:
    """Else whoever came first would be the admin."""
    async with serving(admins=["Root"]) as server, aiohttp.ClientSession() as web:
        eve = await connect(web, server.url)
        answer = await eve.ask("login", {"id": id, "password": "a good password", "protocol": 1})
        assert answer["code"] == "401"


def test_open_accounts_have_no_admins() -> None:
    with pytest.raises(ValueError, match="open accounts"):
        ChatServer("memory:", accounts="open", admins=["root"])
