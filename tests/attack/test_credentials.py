"""Getting in: guessed passwords, replayed, expired and revoked tokens."""

from __future__ import annotations

import asyncio
import secrets
import time

import aiohttp
import pytest
from argon2 import PasswordHasher

from pychat.server.app import ChatServer
from pychat.server.chat import hash_password
from pychat.server.chat.accounts.authentication import token_hash
from tests.attack.report import Tell
from tests.attack.wire import Client, browsing, connect
from tests.serving import serving


async def _code(client: Client, **login: object) -> str:
    answer = await client.ask("login", {"protocol": 1, **login})
    code: str = answer["code"]
    return code


@pytest.mark.e2e
async def test_tokens_that_ended_open_nothing(
    server: ChatServer, web: aiohttp.ClientSession, tell: Tell
) -> None:
    owner = await connect(web, server.url)
    token = await owner.login("alice")
    await (await connect(web, server.url)).login("bob")

    async def try_login(**login: object) -> str:
        return await _code(await connect(web, server.url), **login)

    tried = {
        "another's token under one's own id": {"id": "bob", "token": token},
        "a token with a letter changed": {"id": "alice", "token": token[:-1] + "~"},
        "its hash": {"id": "alice", "token": token_hash(token).hex()},
        "an empty token": {"id": "alice", "token": ""},
        "a random one": {"id": "alice", "token": secrets.token_urlsafe(32)},
        "the token as the password": {"id": "alice", "password": token},
        "the stored hash as the password": {
            "id": "alice",
            "password": (await server.store.account("alice")).password_hash,  # type: ignore[union-attr]  # it was just made
        },
    }
    for what, login in tried.items():
        assert await try_login(**login) == "401", what
        tell(what, 1, "refused, 401")

    assert await try_login(id="alice", token=token) == "200"
    await server.store.touch_login_token(token_hash(token), 1, 1)
    assert await try_login(id="alice", token=token) == "401"
    tell("an expired token", 1, "refused, 401")

    await owner.login("alice")
    token = await owner.login("alice")
    assert (await owner.ask("logout", {}))["code"] == "200"
    assert await try_login(id="alice", token=token) == "401"
    tell("the token of a login that has logged out", 1, "refused, 401")

    token = await owner.login("alice")
    other = await connect(web, server.url)
    await other.login("alice")
    assert (await other.ask("sessions", {"revoke": "others"}))["code"] == "200"
    await owner.closed.wait()
    assert await try_login(id="alice", token=token) == "401"
    tell("a revoked token", 1, "refused, 401, and its open connection was closed")


@pytest.mark.e2e
async def test_many_wrong_passwords_lock_the_attacker_out(tell: Tell) -> None:
    """Of all that one address tries on one id, only the first few are looked at."""
    async with serving() as server, browsing() as web:
        owner = await connect(web, server.url)
        token = await owner.login("alice", "the right one")
        # The id is tried with another spelling, on many connections and all at once, too.
        attackers = [await connect(web, server.url) for _ in range(20)]
        codes: list[str] = []

        async def guess(attacker: Client, number: int) -> None:
            id = ("alice", "ALICE", "ａlice")[number % 3]
            codes.append(await _code(attacker, id=id, password=f"guess {number}"))

        for round in range(20):
            await asyncio.gather(
                *(
                    guess(a, round * 20 + n)
                    for n, a in enumerate(attackers)
                    if not a.closed.is_set()
                )
            )
        assert set(codes) <= {"401", "429"}
        looked_at = codes.count("401")
        assert looked_at <= 10, f"{looked_at} passwords were looked at"
        # While it lasts the right one does not get through from there either …
        answer = await attackers[0].ask("login", {"id": "alice", "password": "the right one"})
        assert answer["code"] == "429"
        assert 0 < answer["retryAfter"] <= 900
        # … but the owner is there already, and gets in again with the token.
        assert (await owner.ask("users", {"query": ""}))["code"] == "200"
        again = await connect(web, server.url)
        assert await _code(again, id="alice", token=token) == "200"
        tell("wrong passwords for one id", len(codes), f"{looked_at} looked at, then 429")


@pytest.mark.e2e
@pytest.mark.alone
async def test_a_flood_of_passwords_keeps_nobody_else_waiting(tell: Tell) -> None:
    """Hashing is slow on purpose; one address must not fill the queue for all."""
    async with serving(trusted_proxies=["127.0.0.1"]) as server, browsing() as web:
        attacker_address = {"X-Forwarded-For": "203.0.113.9"}
        victim_address = {"X-Forwarded-For": "198.51.100.7"}
        victim = await connect(web, server.url, headers=victim_address)
        await victim.login("victim")
        attackers = [await connect(web, server.url, headers=attacker_address) for _ in range(50)]
        flood = [
            asyncio.create_task(_code(a, id=f"claim{n}", password="x password"))
            for n, a in enumerate(attackers)
        ]
        await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        started = asyncio.get_running_loop().time()
        await victim.login("victim")
        waited = asyncio.get_running_loop().time() - started
        left = sum(not task.done() for task in flood)
        assert left > 10, "the flood was over before the victim logged in"
        await asyncio.gather(*flood)
        tell("logins that all must be hashed", len(flood), f"another's login took {waited:.2f} s")


@pytest.mark.e2e
async def test_a_closed_server_does_not_say_which_ids_exist(tell: Tell) -> None:
    async with serving(accounts="closed") as server, browsing() as web:
        await server.store.create_account("alice", "alice", hash_password("x"), 0)
        await server.store.create_account("nopassword", "nopassword", None, 0)
        key = (await server.store.create_account("gone", "gone", hash_password("x"), 0)).key
        await server.store.update_account(key, disabled=True)
        answers = {}
        for id in ("alice", "nobody", "nopassword", "gone"):
            client = await connect(web, server.url)
            for count in range(8):
                answer = await client.ask("login", {"id": id, "password": f"wrong {count}"})
                answer.pop("retryAfter", None)
                answers.setdefault(id, []).append((answer["code"], answer["message"][:20]))
        assert all(given == answers["nobody"] for given in answers.values())
        tell("asking a closed server for ids, by wrong passwords", 32, "always the same answer")


@pytest.mark.e2e
@pytest.mark.alone
async def test_a_login_s_time_does_not_say_which_ids_exist(tell: Tell) -> None:
    """Both hash: what differs is far less than a hash takes."""
    async with serving(accounts="closed", limits=False) as server, browsing() as web:
        await server.store.create_account("alice", "alice", hash_password("x"), 0)
        client = await connect(web, server.url)
        times: dict[str, list[float]] = {"alice": [], "nobody": []}
        for number in range(30):
            for id, taken in times.items():
                started = time.perf_counter()
                assert await _code(client, id=id, password=f"wrong {number}") == "401"
                taken.append(time.perf_counter() - started)
        known, unknown = (min(taken) for taken in times.values())
        started = time.process_time()
        hash_password("x")
        hashing = time.process_time() - started
        assert abs(known - unknown) < hashing / 2
        tell(
            "asking a closed server for ids, by its time",
            60,
            f"{known * 1000:.1f} and {unknown * 1000:.1f} ms at the quickest",
        )


async def test_hashes_of_old_parameters_are_made_anew(
    server: ChatServer, web: aiohttp.ClientSession
) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("the password")
    await server.store.create_account("alice", "alice", weak, 0)
    client = await connect(web, server.url)
    await client.login("alice", "the password")
    account = await server.store.account("alice")
    assert account is not None
    assert account.password_hash != weak
    assert str(account.password_hash).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await client.login("alice", "the password")
