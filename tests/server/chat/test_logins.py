"""``login``, ``logout`` and ``sessions``: passwords, tokens and refused logins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from pychat.server.app import ChatServer
from pychat.server.chat import Limits
from pychat.server.chat.accounts.passwords import hash_password
from pychat.server.chat.limits import Rate
from pychat.server.store import open_store
from pychat.server.store.memory import MemoryStore
from pychat.server.store.records import LoginToken
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import chatting, logged_in
from tests.server.chat.peers import OriginalPage, Peer
from tests.serving import serving


@pytest.fixture
async def claiming() -> AsyncIterator[ChatServer]:
    async with serving(accounts="claim") as server:
        yield server


async def test_the_first_login_claims_the_id(claiming: ChatServer) -> None:
    async with Peer(claiming) as alice, Peer(claiming) as thief:
        answer = await alice.login("alice", "the right one", alias=" Alice A. ")
        assert answer["code"] == "200"
        assert (answer["id"], answer["alias"], answer["protocol"]) == ("alice", "Alice A.", 1)
        assert len(answer["token"]) >= 43
        assert answer["serverTime"].endswith("Z")
        for id in ("alice", "ALICE", "ａｌｉｃｅ"):
            assert (await thief.login(id, "wrong"))["code"] == "401"
        assert (await thief.login("alice", ""))["code"] == "401"
        assert (await thief.login("new", ""))["code"] == "401"
        again = await thief.login("Alice", "the right one")
        assert (again["code"], again["id"], again["alias"]) == ("200", "alice", "Alice A.")


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("claim", "account alice created: log in with this password next time"),
        ("open", "account alice created"),
    ],
)
async def test_a_login_that_creates_the_account_says_so(mode: str, text: str) -> None:
    async with serving(accounts=mode) as server, Peer(server) as alice, Peer(server) as again:
        answer = await alice.login("alice")
        assert (answer["created"], answer["message"]) == (True, text)
        answer = await again.login("alice")
        assert "created" not in answer
        assert answer["message"] == "logged in"


async def test_create_false_never_creates_an_account() -> None:
    for mode in ("claim", "open"):
        async with serving(accounts=mode) as server, Peer(server) as alice, Peer(server) as bob:
            await bob.login("bob")
            answer = await alice.login("alice", create=False)
            assert (answer["code"], answer["message"]) == ("404", "id: there is no account alice")
            assert [user["id"] for user in (await bob.ask("users"))["users"]] == ["bob"]
            assert (await alice.login("bob", create=False))["code"] == "200"


async def test_create_false_does_not_tell_which_ids_exist_where_accounts_are_closed() -> None:
    async with serving(accounts="closed") as server, Peer(server) as alice:
        await server.store.create_account("bob", "bob", hash_password("the right one"), 0)
        unknown = await alice.login("alice", create=False)
        assert unknown == await alice.login("bob", create=False)
        assert unknown["code"] == "401"
        assert (await alice.login("bob", "the right one", create=False))["code"] == "200"
        for id in ("alice", "bob"):
            assert (await alice.login(id, "the right one", create=True))["code"] == "403"


async def test_create_true_creates_an_account_or_is_refused(claiming: ChatServer) -> None:
    async with Peer(claiming) as alice:
        token = (await alice.login("alice", create=True))["token"]
        assert token
        for id in ("alice", "Alice", "al\u0131ce", "You"):
            answer = await alice.login(id, create=True)
            assert (answer["code"], answer["message"][:3]) == ("409", "id:"), id
        answer = await alice.login("alice", "", token=token, create=True)
        assert (answer["code"], answer["message"][:6]) == ("400", "token:")
        assert (await alice.login("alice", "", token=token, create=False))["code"] == "200"
    async with serving(accounts="open") as server, Peer(server) as alice:
        assert (await alice.login("alice", "", create=True))["created"]
        assert (await alice.login("alice", "", create=True))["code"] == "409"


async def test_the_password_of_an_account_that_is_created_has_a_minimum_length() -> None:
    async with serving(min_password=10) as server, Peer(server) as alice:
        answer = await alice.login("alice", "nine char", create=True)
        assert answer == {
            "code": "400",
            "message": "password: must have at least 10 characters",
        }
        assert (await alice.login("alice", "ten  chars", create=True))["created"]
        assert (await alice.login("bob", "9", create=False))["code"] == "404"
        assert (await alice.login("bob", "9"))["created"]
    with pytest.raises(ValueError, match="min_password must be 1 to 1024"):
        ChatServer("memory:", min_password=0)


@pytest.mark.parametrize("create", [None, False, True])
async def test_every_kind_of_login_counts_for_the_limit(create: bool | None) -> None:
    limits = Limits(logins=Rate(0.001, 2))
    fields = {} if create is None else {"create": create}
    async with serving(limits=limits) as server, Peer(server) as alice:
        codes = [(await alice.login(f"a{n}", **fields))["code"] for n in range(3)]
        assert codes[2] == "429"
        assert "429" not in codes[:2]


async def test_an_original_client_is_answered_as_before(claiming: ChatServer) -> None:
    async with Peer(claiming) as alice:
        answer = await alice.login("alice", protocol=0)
        del answer["token"], answer["serverTime"]
        assert answer == {
            "code": "200",
            "message": "account alice created: sign in with this password next time",
            "id": "alice",
            "alias": "alice",
            "protocol": 0,
        }


async def test_a_claim_with_a_short_password_is_logged(
    claiming: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Peer(claiming) as alice, OriginalPage(claiming) as page, Peer(claiming) as carol:
        assert (await alice.login("alice", "seven 7"))["code"] == "200"
        await page.login("bob", "7")
        assert (await page.next("response"))["code"] == "200"
        assert (await carol.login("carol", "8 letter"))["code"] == "200"
    logged = [line for line in caplog.messages if "short password" in line]
    assert ["user='alice'" in logged[0], "user='bob'" in logged[1], len(logged)] == [True, True, 2]


async def test_a_token_logs_in_again_and_stays_the_same(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store) as server, Peer(server) as alice:
        token = (await alice.login("alice"))["token"]
    async with serving(store) as server, Peer(server) as alice, Peer(server) as eve:
        answer = await alice.login("alice", "", token=token)
        assert (answer["code"], answer["token"]) == ("200", token)
        assert (await eve.login("alice", "", token=token[:-1] + "?"))["code"] == "401"
        assert (await eve.login("bob", "", token=token))["code"] == "401"
        assert (await eve.ask("users"))["code"] == "401"
    assert token.encode() not in (tmp_path / "chat.db").read_bytes()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": " alice"}, "id"),
        ({"id": "#room"}, "id"),
        ({"id": "ALL"}, "id"),
        ({"id": "aLL"}, "id"),
        ({"id": "a\u0000b"}, "id"),
        ({"id": "a\u202eb"}, "id"),
        ({"id": "e\u0301"}, "id"),
        ({"id": "x" * 65}, "id"),
        ({"id": 5}, "id"),
        ({"id": {"$gt": ""}}, "id"),
        ({"password": 5}, "password"),
        ({"password": "x" * 1025}, "password"),
        ({"alias": "x" * 65}, "alias"),
        ({"protocol": "1"}, "protocol"),
        ({"protocol": -1}, "protocol"),
        ({"token": "x" * 300}, "token"),
    ],
)
async def test_a_malformed_login_is_refused(
    server: ChatServer, fields: dict[str, Any], field: str
) -> None:
    async with Peer(server) as guest:
        answer = await guest.ask("login", {"id": "alice", "password": "x password"} | fields)
        assert (answer["code"], answer["message"].split(":")[0]) == ("400", field)


async def test_closed_accounts_refuse_unknown_ids() -> None:
    store = MemoryStore()
    async with serving(store, accounts="closed") as server:
        await store.create_account("alice", "", hash_password("right"), 0)
        async with Peer(server) as alice, Peer(server) as guest:
            assert (await alice.login("alice", "right"))["alias"] == "alice"
            unknown = await guest.login("bob", "right")
            wrong = await guest.login("alice", "wrong")
            assert unknown == wrong
            assert unknown["code"] == "401"


async def test_open_accounts_ignore_passwords(server: ChatServer) -> None:
    async with Peer(server) as one, Peer(server) as two:
        assert (await one.login("alice", "a"))["token"] == ""
        assert (await two.login("alice", "b"))["code"] == "200"


async def test_an_account_without_a_password_cannot_be_claimed(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store, accounts="open") as server, Peer(server, "alice"):
        pass
    async with serving(store, accounts="claim") as server, Peer(server) as thief:
        answer = await thief.login("alice", "mine now")
        assert answer["code"] == "401"
        assert "pychat user passwd alice" in answer["message"]


async def test_a_second_login_replaces_the_first(server: ChatServer) -> None:
    async with Peer(server, "alice") as alice, Peer(server, "bob") as bob:
        await alice.login("carol")
        assert (await bob.send("alice", "hi"))["code"] == "202"
        assert (await bob.send("carol", "hi"))["code"] == "200"
        assert (await alice.next("message"))["recepient"] == "carol"
        assert (await alice.send("bob", "forged"))["code"] == "403"


async def test_a_refused_second_login_changes_nothing(claiming: ChatServer) -> None:
    async with Peer(claiming, "alice") as alice, Peer(claiming, "bob"):
        assert (await alice.login("bob", "wrong"))["code"] == "401"
        assert (await alice.send("bob", "still alice"))["code"] == "200"


async def test_at_most_sixteen_events_wait_for_a_login(claiming: ChatServer) -> None:
    async with Peer(claiming) as alice:
        alice.id = "alice"
        login = asyncio.create_task(alice.login())
        answers = await asyncio.gather(*(alice.send("alice", str(n)) for n in range(17)))
        assert (await login)["code"] == "200"
        assert [answer["code"] for answer in answers] == ["200"] * 16 + ["429"]


async def test_at_most_128_kib_wait_for_a_login(claiming: ChatServer) -> None:
    async with Peer(claiming) as alice:
        alice.id = "alice"
        login = asyncio.create_task(alice.login())
        answers = await asyncio.gather(*(alice.send("alice", "x" * 60_000) for _ in range(4)))
        assert (await login)["code"] == "200"
        assert [answer["code"] for answer in answers] == ["200"] * 2 + ["429"] * 2
        assert (await alice.send("alice", "x" * 60_000))["code"] == "200"


async def test_without_a_login_an_event_has_at_most_128_kib(
    claiming: ChatServer,
) -> None:
    """A client that is logged in may send more: it is refused for other reasons."""
    async with Peer(claiming, "alice") as alice, Peer(claiming) as stranger:
        assert (await alice.ask("users", {"query": "x" * 900_000}))["code"] == "400"
        await stranger.tell("users", {"query": "x" * 140_000})
        await asyncio.wait_for(stranger.gone.wait(), 60)
        assert (await alice.ask("users", {"query": "x"}))["code"] == "200"


async def test_sessions_are_listed_and_revoked(claiming: ChatServer) -> None:
    async with Peer(claiming) as phone, Peer(claiming) as desk, Peer(claiming) as tablet:
        tokens = [(await peer.login("alice"))["token"] for peer in (phone, desk, tablet)]
        listed = (await phone.ask("sessions", {}))["sessions"]
        assert len({s["id"] for s in listed}) == 3
        assert [s["current"] for s in listed].count(True) == 1
        assert all(s["device"] and s["since"] and s["lastSeen"] for s in listed)
        assert (await phone.ask("sessions", {"revoke": "nonsense"}))["code"] == "404"
        (mine,) = [s["id"] for s in (await desk.ask("sessions", {}))["sessions"] if s["current"]]
        left = (await phone.ask("sessions", {"revoke": mine}))["sessions"]
        assert mine not in {s["id"] for s in left}
        await asyncio.wait_for(desk.gone.wait(), 60)
        left = (await phone.ask("sessions", {"revoke": "others"}))["sessions"]
        assert [s["current"] for s in left] == [True]
        await asyncio.wait_for(tablet.gone.wait(), 60)
        async with Peer(claiming) as again:
            codes = [(await again.login("alice", "", token=t))["code"] for t in tokens]
            assert codes == ["200", "401", "401"]
            assert (await phone.ask("sessions", {"revoke": "all"}))["sessions"] == []
            await asyncio.wait_for(again.gone.wait(), 60)
            await asyncio.wait_for(phone.gone.wait(), 60)


async def test_another_users_session_cannot_be_revoked(claiming: ChatServer) -> None:
    async with Peer(claiming, "alice") as alice, Peer(claiming, "bob") as bob:
        (session,) = (await bob.ask("sessions", {}))["sessions"]
        assert (await alice.ask("sessions", {"revoke": session["id"]}))["code"] == "404"
        assert len((await bob.ask("sessions", {}))["sessions"]) == 1


async def test_logout_ends_the_token_and_not_the_connection(claiming: ChatServer) -> None:
    async with Peer(claiming, "bob") as bob, Peer(claiming) as alice:
        token = (await alice.login("alice"))["token"]
        assert (await alice.ask("logout", {}))["code"] == "200"
        assert (await alice.ask("users"))["code"] == "401"
        assert (await bob.send("alice", "hi"))["code"] == "202"
        assert (await alice.login("alice", "", token=token))["code"] == "401"
        assert (await alice.login("alice"))["code"] == "200"


async def test_wrong_passwords_lead_to_a_lockout(claiming: ChatServer) -> None:
    async with Peer(claiming) as alice, Peer(claiming) as thief:
        await alice.login("alice", "the right one")
        codes = [(await thief.login("alice", "wrong"))["code"] for _ in range(6)]
        assert codes == ["401"] * 5 + ["429"]
        answer = await thief.login("alice", "the right one")
        assert answer["code"] == "429"
        assert 0 < answer["retryAfter"] <= 1
        assert (await thief.login("bob", "another one"))["code"] == "200"


async def test_the_right_password_forgets_the_wrong_ones() -> None:
    store, limits = DelayedStore(), Limits(wrong_passwords=2)
    async with chatting(store, accounts="claim", limits=limits) as chat:
        alice = await logged_in(chat, "alice")
        codes = [(await alice.login(p))["code"] for p in ("wrong", "secret password", "wrong")]
        assert codes == ["401", "200", "401"]
        assert (await alice.login())["code"] == "200"


async def test_a_user_disabled_by_another_process_is_logged_out(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/chat.db"
    async with (
        serving(url) as server,
        Peer(server) as alice,
        OriginalPage(server, "bob") as page,
        Peer(server, "carol") as carol,
    ):
        await alice.login("alice")
        store = open_store(url, exclusive=False)
        await store.open()
        try:
            account = await store.account("alice")
            assert account is not None
            await store.update_account(account.key, disabled=True)
            await asyncio.wait_for(alice.gone.wait(), 60)
            bob = await store.account("bob")
            assert bob is not None
            await store.update_account(bob.key, password_hash=hash_password("new"))
            await page.gone()
            assert (await carol.send("bob", "there?"))["code"] == "202"
        finally:
            await store.close()
        async with Peer(server) as again:
            assert (await again.login("alice"))["code"] == "403"
            assert (await again.login("alice", "wrong"))["code"] == "401"
            assert (await again.login("bob", "new"))["code"] == "200"
        assert (await carol.ask("users"))["code"] == "200"


class Halting(MemoryStore):
    """A store that stops in one method until the test lets it continue."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = getattr(self, method)
        self.armed = False
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        setattr(self, method, self._halt)

    async def _halt(self, *arguments: Any) -> Any:
        if self.armed:
            self.reached.set()
            await self.go_on.wait()
        return await self._method(*arguments)

    async def halt(self, login: asyncio.Task[Any]) -> asyncio.Task[Any]:
        await self.reached.wait()
        self.armed = False
        return login


async def test_an_id_disabled_during_a_login_is_refused() -> None:
    store = Halting("add_login_token")
    async with (
        serving(store, accounts="claim") as server,
        Peer(server, "alice") as watched,
        Peer(server) as late,
    ):
        store.armed = True
        login = await store.halt(asyncio.create_task(late.login("alice")))
        account = await store.account("alice")
        assert account is not None
        await store.update_account(account.key, disabled=True)
        await watched.gone.wait()
        store.go_on.set()
        assert (await login)["code"] == "403"
        assert (await late.ask("users", {"query": ""}))["code"] == "401"


class Counting(MemoryStore):
    """A store that counts the queries for tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def login_token(self, token_hash: bytes) -> LoginToken | None:
        self.asked.append(1)
        return await super().login_token(token_hash)

    async def login_tokens_by_hash(self, token_hashes: Sequence[bytes]) -> list[LoginToken]:
        self.asked.append(len(token_hashes))
        return await super().login_tokens_by_hash(token_hashes)


async def test_a_revocation_elsewhere_is_one_query_for_all_users() -> None:
    store = Counting()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(store, accounts="claim", limits=False))
        peers = [await stack.enter_async_context(Peer(server, f"user{n}")) for n in range(12)]
        account = await store.account("user5")
        assert account is not None
        store.asked.clear()
        # What ``pychat user devices --revoke`` does.
        ids = [session.id for session in await store.login_tokens(account.key)]
        await store.revoke_login_tokens(account.key, ids)
        async with asyncio.timeout(10):
            await peers[5].gone.wait()
        assert store.asked == [12]
        for peer in peers[:5] + peers[6:]:
            assert (await peer.ask("users", {"query": ""}))["code"] == "200"


async def test_a_token_revoked_during_a_login_is_refused() -> None:
    """Otherwise a thief who keeps logging in would stay logged in."""
    store = Halting("accounts")
    async with (
        serving(store, accounts="claim") as server,
        Peer(server) as thief,
        Peer(server) as owner,
    ):
        token = (await owner.login("alice"))["token"]
        await owner.login("alice")
        store.armed = True
        login = await store.halt(asyncio.create_task(thief.login("alice", "", token=token)))
        assert (await owner.ask("sessions", {"revoke": "others"}))["code"] == "200"
        store.go_on.set()
        assert (await login)["code"] == "503"
        assert (await thief.login("alice", "", token=token))["code"] == "401"


async def test_a_password_changed_during_a_login_leaves_no_token() -> None:
    store = Halting("add_login_token")
    async with serving(store, accounts="claim") as server, Peer(server) as thief:
        await thief.login("alice")
        store.armed = True
        login = await store.halt(asyncio.create_task(thief.login("alice")))
        account = await store.account("alice")
        assert account is not None
        # What ``pychat user passwd`` does.
        await store.update_account(account.key, password_hash=hash_password("a new one"))
        ids = [session.id for session in await store.login_tokens(account.key)]
        await store.revoke_login_tokens(account.key, ids)
        store.go_on.set()
        assert (await login)["code"] == "503"
        assert await store.login_tokens(account.key) == []
