"""ChatServer.issue_token: an application logs its users in."""

from __future__ import annotations

import pytest

from pychat.client import ChatClient
from tests.serving import serving


async def test_an_application_logs_its_users_in() -> None:
    async with serving(accounts="closed") as server:
        token = await server.issue_token("ada", alias="Ada Lovelace", device="web")
        again = await server.issue_token("Ada")
        assert token != again
        async with (
            ChatClient(server.url, user="ada", token=token) as client,
            ChatClient(server.url, user="ada", token=again) as other,
        ):
            assert client.alias == other.alias == "Ada Lovelace"
            assert (await client.send("ALL", "hello")).seq == 1
            assert "web" in [device.device for device in await client.devices()]


async def test_who_joins_later_does_not_see_what_was_said_before() -> None:
    async with serving(accounts="closed") as server:
        first = await server.issue_token("ada")
        async with ChatClient(server.url, user="ada", token=first) as ada:
            await ada.send("ALL", "before")
            token = await server.issue_token("alan")
            async with ChatClient(server.url, user="alan", token=token) as alan:
                assert (await alan.history("ALL")).messages == []


async def test_old_tokens_end_when_there_are_too_many() -> None:
    async with serving(accounts="closed") as server:
        for _ in range(110):
            token = await server.issue_token("ada")
        async with ChatClient(server.url, user="ada", token=token) as client:
            assert len(await client.devices()) == 100


@pytest.mark.parametrize("id", ["", "#room", "ALL", "everyone", "ad\u0430"])
async def test_an_id_that_no_account_can_have(id: str) -> None:
    async with serving(accounts="closed") as server:
        await server.issue_token("ada")
        with pytest.raises(ValueError, match="id: "):
            await server.issue_token(id)


async def test_a_disabled_account() -> None:
    async with serving(accounts="closed") as server:
        await server.issue_token("ada")
        account = await server.store.account("ada")
        assert account is not None
        await server.store.update_account(account.key, disabled=True)
        with pytest.raises(ValueError, match="disabled"):
            await server.issue_token("ada")


async def test_only_where_nobody_else_can_take_an_id() -> None:
    async with serving(accounts="claim") as server:
        with pytest.raises(ValueError, match="closed"):
            await server.issue_token("ada")
