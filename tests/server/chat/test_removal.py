"""``remove`` by admins, who may remove all messages."""

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
    """A server whose admin is root. The operator created the account."""
    async with serving(admins=["Root"]) as server:
        await server.store.create_account("root", "root", hash_password(PASSWORD), 0)
        yield server


async def test_an_admin_removes_messages_of_others() -> None:
    async with administered() as server, aiohttp.ClientSession() as web:
        alice, bob, root, eve = [await connect(web, server.url) for _ in range(4)]
        for client, id in ((alice, "alice"), (bob, "bob"), (root, "root"), (eve, "eve")):
            await client.login(id)
        sent = await alice.ask("message", {"sender": "alice", "recepient": "bob", "data": "bad"})
        # Who cannot read a message is not told that it exists.
        assert (await eve.ask("remove", {"id": sent["id"]}))["code"] == "404"
        assert (await bob.ask("remove", {"id": sent["id"]}))["code"] == "403"
        assert (await root.ask("remove", {"id": sent["id"]}))["code"] == "200"
        assert await alice.event("changed") == {"with": "bob", "seq": 1, "rev": 1, "removed": True}
        assert await bob.event("changed") == {"with": "alice", "seq": 1, "rev": 1, "removed": True}
        history = (await bob.ask("history", {"with": "alice"}))["messages"]
        assert history == [{"id": sent["id"], "seq": 1, "removed": True, "rev": 1}]
        assert not [e for e in eve.events if e[0] == "changed"]


@pytest.mark.parametrize(("id", "code"), [("99-1", "404"), ("1-99", "404"), ("x", "400")])
async def test_an_unknown_message_cannot_be_removed(id: str, code: str) -> None:
    async with administered() as server, aiohttp.ClientSession() as web:
        root = await connect(web, server.url)
        await root.login("root")
        assert (await root.ask("remove", {"id": id}))["code"] == code


async def test_a_removal_from_all_is_announced_to_everybody() -> None:
    async with administered() as server, aiohttp.ClientSession() as web:
        root, alice = [await connect(web, server.url) for _ in range(2)]
        await root.login("root")
        await alice.login("alice")
        sent = await alice.ask("message", {"sender": "alice", "recepient": "ALL", "data": "bad"})
        await root.ask("remove", {"id": sent["id"]})
        assert await alice.event("changed") == {"with": "ALL", "seq": 1, "rev": 1, "removed": True}


@pytest.mark.parametrize("id", ["root", "ROOT", "r\u043e\u043et"])
async def test_an_admins_id_cannot_be_claimed(id: str) -> None:
    """Otherwise the first user to claim the id would be the admin."""
    async with serving(admins=["Root"]) as server, aiohttp.ClientSession() as web:
        eve = await connect(web, server.url)
        answer = await eve.ask("login", {"id": id, "password": "a good password", "protocol": 1})
        assert answer["code"] == "401"


def test_open_accounts_have_no_admins() -> None:
    with pytest.raises(ValueError, match="open accounts"):
        ChatServer("memory:", accounts="open", admins=["root"])
