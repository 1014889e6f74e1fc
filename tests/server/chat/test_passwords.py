"""Passwords: how many wait, and one at a time per address."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pychat.protocol import Code, ProtocolError
from pychat.server.chat.accounts import passwords
from pychat.server.chat.accounts.passwords import PasswordQueue, Passwords, hash_password
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting
from tests.server.chat.peers import WAIT

HOME, AWAY = "192.0.2.1", "192.0.2.2"


async def test_too_many_passwords_at_once_are_refused(
    cheap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING", 3)
    checks = Passwords()
    try:
        for _ in range(2):  # places are given back
            three = [asyncio.create_task(checks.hash("secret")) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(ProtocolError, match="too many logins at once") as error:
                await checks.hash("secret")
            assert (error.value.code, error.value.retry_after) == (Code.UNAVAILABLE, 2)
            assert len(set(await asyncio.gather(*three))) == 3
        assert await checks.verify(await checks.hash("secret"), "secret")
        assert not await checks.verify(await checks.hash("secret"), "other")
        assert not await checks.verify("not a hash", "secret")
    finally:
        checks.close()


async def test_an_unknown_id_costs_as_much_as_a_wrong_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise its answer would come sooner."""
    verified: list[str | bytes] = []

    class Counting(passwords.PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Any:
            verified.append(password)
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "_hasher", Counting(1, 8, 1))
    store = DelayedStore()
    await store.inner.create_account("alice", "alice", hash_password("secret"), 0)
    await store.inner.create_account("bob", "bob", None, 0)
    async with chatting(store, accounts="closed") as chat:
        for id in ("alice", "bob", "carol"):
            answer = await Direct(chat, id).login(f"guess of {id}")
            assert (answer["code"], answer["message"]) == ("401", "wrong id or password")
    assert verified == [b"guess of alice", b"guess of bob", b"guess of carol"]


async def test_passwords_that_wait_when_the_server_stops_are_not_checked() -> None:
    checks = Passwords()
    waiting = [asyncio.create_task(checks.hash("secret")) for _ in range(2 * passwords.THREADS)]
    await asyncio.sleep(0)
    checks.close()
    await asyncio.wait(waiting)
    assert waiting[-1].cancelled()


async def test_a_hash_with_other_parameters_is_outdated(
    cheap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, old = Passwords(), hash_password("secret")
    checks.close()
    assert not checks.outdated(old)
    monkeypatch.setattr(passwords, "_hasher", passwords.PasswordHasher(2, 8, 1))
    assert checks.outdated(old)


async def test_the_turns_of_an_address_come_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "MAX_WAITING_PER_ADDRESS", 3)
    queue, order, free = PasswordQueue(), [], asyncio.Event()

    async def check(number: int) -> None:
        async with queue.turn(HOME):
            order.append(number)
            await free.wait()
            order.append(number)

    async with asyncio.timeout(WAIT):
        for _ in range(2):  # an address that is done begins again
            free.clear()
            order.clear()
            checks = [asyncio.create_task(check(number)) for number in range(3)]
            await asyncio.sleep(0)
            assert order == [0]
            with pytest.raises(ProtocolError, match="from your address") as error:
                async with queue.turn(HOME):
                    pass
            assert (error.value.code, error.value.retry_after) == (Code.TOO_FAST, 2)
            async with queue.turn(AWAY):  # others do not wait
                pass
            free.set()
            await asyncio.gather(*checks)
            assert order == [0, 0, 1, 1, 2, 2]
