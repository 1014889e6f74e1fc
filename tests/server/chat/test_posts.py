"""Posts through webhooks, without HTTP."""

from __future__ import annotations

import hashlib

import pytest

from pychat.protocol import ProtocolError
from pychat.server.chat import Chat, Limits, Rate
from pychat.server.store.records import HookRecord
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in

TOKEN = "t" * 43


async def with_hook(chat: Chat, store: DelayedStore) -> Direct:
    """Return alice, whose room has a hook."""
    alice = await logged_in(chat, "alice")
    await alice.ask("room", command="create", roomId="r")
    room, program = (
        await store.inner.room("r"),
        await store.inner.create_account("program", "program", None, 1),
    )
    assert room is not None
    digest = hashlib.sha256(TOKEN.encode()).digest()
    await store.inner.add_hook(HookRecord("h", digest, room.conversation, program.key, 1))
    return alice


async def refused(chat: Chat, text: str) -> str:
    with pytest.raises(ProtocolError) as error:
        await chat.post(TOKEN, text)
    assert (error.value.retry_after is None) is (error.value.code not in ("429", "503"))
    return error.value.code


async def test_a_post_mentions_members_and_counts_as_text() -> None:
    store, limits = DelayedStore(), Limits(text=Rate(0.001, 20), messages=Rate(0.001, 2))
    async with chatting(store, limits=limits) as chat:
        alice = await with_hook(chat, store)
        await chat.post(TOKEN, "hello @alice")
        (message,) = alice.of("message")
        assert (message["sender"], message["mentions"]) == ("program", ["alice"])
        assert await refused(chat, "too long by now") == "429"
        for _ in range(2):
            await chat.admit_hook(TOKEN)
        with pytest.raises(ProtocolError, match="too fast"):
            await chat.admit_hook(TOKEN)


async def test_a_server_that_stops_takes_no_posts_or_files(
    recwarn: pytest.WarningsRecorder,
) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        await with_hook(chat, store)
    assert await refused(chat, "too late") == "503"
    with pytest.raises(ProtocolError, match="the server is stopping"):
        await chat.admit_hook(TOKEN)
    with pytest.raises(ProtocolError, match="the server is stopping"):
        await chat.expire_files()
    assert recwarn.list == []  # of work that is not done


async def test_a_post_that_is_not_stored_is_refused() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await with_hook(chat, store)
        store.refuse("append")
        assert await refused(chat, "lost") == "503"
        with pytest.raises(ProtocolError, match="there is no such hook") as error:
            await chat.post("unknown", "hello")
        assert error.value.code == "404"
        program = await store.inner.account("program")
        assert program is not None
        await store.inner.update_account(program.key, disabled=True)
        assert await refused(chat, "disabled") == "403"
        await store.inner.update_account(program.key, disabled=False)
        await alice.ask("room", command="delete", roomId="r")
        assert await refused(chat, "no room") == "404"
        assert alice.of("message") == []
