"""The machine's clock is set back an hour between messages: the order is that of the seqs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from pychat.client import ChatClient
from tests.clock import HOUR, Clock
from tests.serving import serving

pytestmark = pytest.mark.e2e

PASSWORD = "correct horse"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def client(url: str, user: str) -> ChatClient:
    return ChatClient(url, user=user, password=PASSWORD)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_order_is_kept(
    clock: Clock, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = "memory:" if kind == "memory" else f"sqlite:///{tmp_path}/chat.db"
    async with (
        serving(store, limits=False) as server,
        client(server.url, "bob") as bob,
        client(server.url, "carol"),
        client(server.url, "dave") as dave,
        client(server.url, "alice") as alice,
    ):
        arriving = bob.messages()
        sent: list[str] = []
        for hours in (0, -1, -2, 1, -1):
            clock.ahead = hours * HOUR
            sent += [f"tea {len(sent) + n}" for n in range(5)]
            for text in sent[-5:]:
                await alice.send("bob", text)
        shown = [await anext(arriving) for _ in sent]
        page = await alice.history("bob", limit=100)
        found = await alice.search("tea", limit=100)

        clock.ahead -= HOUR
        await alice.send("carol", "later, but at an earlier time")
        clock.ahead -= HOUR
        await alice.send("dave", "later still")
        async with client(server.url, "alice") as phone:
            lists = [
                [each.name for each in device.conversations if each.name != "ALL"]
                for device in (alice, phone)
            ]
        await bob.mark_read("alice", len(sent))
        await alice.send("bob", "unread")
        assert (await anext(arriving)).text == "unread"
        to_read = bob.conversation("alice")
        await dave.close()
        async with client(server.url, "dave") as dave:
            (missed,) = (await dave.history("alice")).messages

    lost = len(set(sent) - {message.text for message in shown})
    times = [message.sent_at for message in page.messages]
    with capsys.disabled():
        back = sum(later < earlier for earlier, later in pairwise(times))
        print(f"\nclock set back {back} times: sent {len(sent)}, shown {len(shown)}, lost {lost}")
    assert [message.text for message in shown] == sent
    assert [message.seq for message in page.messages] == list(range(1, len(sent) + 1))
    assert [message.text for message in page.messages] == sent
    assert times != sorted(times)
    assert [message.text for message in found.messages] == sent[::-1]
    assert lists == [["dave", "carol", "bob"]] * 2
    assert to_read is not None
    assert (to_read.unread, to_read.last_seq) == (1, len(sent) + 1)
    assert missed.text == "later still"


async def test_logins_do_not_expire_with_it(clock: Clock, tmp_path: Path) -> None:
    async with serving(f"sqlite:///{tmp_path}/chat.db") as server:
        for made, used in ((0.0, -HOUR), (-HOUR, 0.0), (0.0, HOUR)):
            clock.ahead = made
            async with client(server.url, "alice") as alice:
                token = alice.token
                assert token is not None
                clock.ahead = used
                await alice.send("ALL", "still here")
                assert [session for session in await alice.devices() if session.current]
                async with ChatClient(server.url, user="alice", token=token) as again:
                    await again.send("ALL", "with the token")
                    assert again.token == token
