"""On a network that breaks every two seconds all arrives, once and in order."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from pychat.client import ChatClient
from pychat.client.events import MessageAdded, MessagesReset
from pychat.client.models import ConnectionState
from pychat.client.state.transcripts import CATCH_UP_LIMIT
from pychat.protocol import MAX_LIMIT
from tests.client.watcher import Watcher, started
from tests.proxy import Line, Proxy, proxying
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SECONDS = 16
PERIOD = 2.0
FAULTS = (Line.DOWN, Line.STALLED, Line.SILENT)


async def break_it(proxy: Proxy, random_: random.Random, until: float) -> Counter[str]:
    """Every two seconds one of the faults for a part of them; a bare cut now and then."""
    done: Counter[str] = Counter()
    while time.monotonic() < until:
        fault = random_.choice((*FAULTS, None))
        broken = random_.uniform(0.2, 0.8) * PERIOD
        if fault is None:
            proxy.cut()
            done["cut"] += 1
        else:
            proxy.line = fault
            done[fault.value] += 1
        await asyncio.sleep(broken)
        proxy.line = Line.OPEN
        await asyncio.sleep(PERIOD - broken)
    return done


async def write(client: ChatClient, to: str, until: float) -> list[str]:
    """Posts some fifty a second, whatever the network does; what was written."""
    texts: list[str] = []
    while time.monotonic() < until:
        text = f"{client.user} {len(texts)}"
        client.post(to, text)
        texts.append(text)
        await asyncio.sleep(0.02)
    return texts


async def all_of(watcher: Watcher, sender: str, last: str) -> list[str]:
    """What the watcher was shown of the sender, up to the last one.

    After a long gap a view starts anew at the newest page, which ``MessagesReset`` tells: what lies
    between is read from the history then, as a front end does when somebody scrolls up.
    """
    await watcher.next(MessageAdded, lambda event: event.message.text == last, within=200)
    shown: list[str] = []
    seq, anew = 0, False
    for event in watcher.seen:
        if isinstance(event, MessagesReset) and event.conversation == sender:
            anew = True
        elif isinstance(event, MessageAdded) and event.message.sender == sender:
            first = event.message.seq
            if anew and first > seq + 1:
                assert first - seq > CATCH_UP_LIMIT - MAX_LIMIT
                shown += await between(watcher.client, sender, seq, first)
            seq, anew = first, False
            shown.append(event.message.text)
    return shown


async def between(client: ChatClient, sender: str, after: int, before: int) -> list[str]:
    """Texts of the sender's messages with these seqs, both exclusive."""
    texts: list[str] = []
    while after < before - 1:
        page = await client.history(sender, after=after, limit=MAX_LIMIT)
        rest = [each for each in page.messages if each.seq < before]
        texts += [each.text for each in rest if each.sender == sender]
        after = page.messages[-1].seq
    return texts


async def test_all_arrives_once_and_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = random.randrange(2**32)
    store = f"sqlite:///{tmp_path / 'chat.db'}"
    async with (
        serving(store, accounts="open") as server,
        proxying(server.port) as first,
        proxying(server.port) as second,
        started(
            ChatClient(first.url, user="alice", password="", cache=tmp_path / "alice.db")
        ) as alice,
        started(ChatClient(second.url, user="bob", password="")) as bob,
    ):
        await alice.state(ConnectionState.ONLINE)
        await bob.state(ConnectionState.ONLINE)
        until = time.monotonic() + SECONDS
        sent_a, sent_b, faults_a, faults_b = await asyncio.gather(
            write(alice.client, "bob", until),
            write(bob.client, "alice", until),
            break_it(first, random.Random(seed), until),
            break_it(second, random.Random(seed + 1), until),
        )
        broke_off = time.monotonic()
        shown_b, shown_a = await asyncio.gather(
            all_of(bob, "alice", sent_a[-1]), all_of(alice, "bob", sent_b[-1])
        )
        settled = time.monotonic() - broke_off
        stored = []
        page = await alice.client.history("bob", after=0, limit=100)
        while page.messages:
            stored += page.messages
            page = await alice.client.history("bob", after=page.messages[-1].seq, limit=100)

    sent, shown = len(sent_a) + len(sent_b), len(shown_a) + len(shown_b)
    doubled = shown - len(set(shown_a)) - len(set(shown_b))
    lost = sent - len(set(shown_a)) - len(set(shown_b))
    with capsys.disabled():
        print(
            f"\nseed {seed}; faults {dict(faults_a + faults_b)}; "
            f"connections {first.accepted + second.accepted}; sent {sent}, stored {len(stored)}, "
            f"shown {shown}, lost {lost}, doubled {doubled}; "
            f"all there {settled:.1f} s after the last fault"
        )
    assert shown_b == sent_a
    assert shown_a == sent_b
    assert [each.seq for each in stored] == list(range(1, sent + 1))
    assert [each.text for each in stored if each.own] == sent_a
