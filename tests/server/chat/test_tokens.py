"""Login tokens: how long they live, and which end first when there are too many."""

from __future__ import annotations

from typing import Any

import pytest

from pychat.server.chat.accounts import authentication, passwords
from pychat.server.chat.accounts.authentication import TOKEN_LIFE_MS, TOUCH_EVERY_MS, token_hash
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting

START = 1_800_000_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time in milliseconds, as the only item."""
    # Passwords are hashed here so that there are tokens: a cheap hash does.
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(1, 8, 1))
    time_now = [START]
    monkeypatch.setattr(authentication, "now", lambda: time_now[0])
    return time_now


async def resumed(chat: Any, token: str) -> str:
    """The code of a login with the token. The client leaves again."""
    client = Direct(chat, "alice")
    code: str = (await client.login("", token=token))["code"]
    client.leave()
    return code


async def test_a_token_lives_until_it_was_not_used_for_its_life(clock: list[int]) -> None:
    store = DelayedStore()
    async with chatting(store, accounts="claim") as chat:
        token = (await Direct(chat, "alice").login())["token"]
        record = await store.login_token(token_hash(token))
        assert (record.since, record.last_seen_at) == (START, START)
        assert (record.expires_at, record.device) == (START + TOKEN_LIFE_MS, "direct")
        clock[0] += TOUCH_EVERY_MS - 1
        assert await resumed(chat, token) == "200"
        assert (await store.login_token(token_hash(token))).last_seen_at == START
        clock[0] += 1
        assert await resumed(chat, token) == "200"
        record = await store.login_token(token_hash(token))
        assert (record.since, record.last_seen_at) == (START, clock[0])
        assert record.expires_at == clock[0] + TOKEN_LIFE_MS
        clock[0] = record.expires_at - 1
        assert await resumed(chat, token) == "200"
        clock[0] += TOKEN_LIFE_MS
        assert await resumed(chat, token) == "401"


async def test_a_token_of_somebody_else_does_not_log_in(clock: list[int]) -> None:
    async with chatting(DelayedStore(), accounts="claim") as chat:
        token = (await Direct(chat, "alice").login())["token"]
        await Direct(chat, "bob").login()
        answer = await Direct(chat, "bob").login("", token=token)
        assert (answer["code"], answer["message"]) == (
            "401",
            "token: is no longer valid: log in with the password",
        )
        assert (await Direct(chat, "ALICE").login("", token=token))["id"] == "alice"


async def test_the_login_that_was_used_least_recently_ends_first(
    clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "MAX_TOKENS_PER_ACCOUNT", 2)
    async with chatting(DelayedStore(), accounts="claim") as chat:
        tokens = []
        for _ in range(2):
            client = Direct(chat, "alice")
            tokens.append((await client.login())["token"])
            client.leave()
            clock[0] += TOUCH_EVERY_MS
        assert await resumed(chat, tokens[0]) == "200"
        assert (await Direct(chat, "alice").login())["code"] == "200"
        assert [await resumed(chat, token) for token in tokens] == ["200", "401"]
