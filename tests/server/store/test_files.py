"""Files on all stores: their contents, attaching them to messages, and deletion with these."""

from __future__ import annotations

import pytest

from pychat.server.store import Store, StoreUnavailable, open_store
from pychat.server.store.records import (
    Account,
    Appended,
    ConversationRecord,
    FileRecord,
    NewEdit,
    NewMessage,
    NewReaction,
    NewRemoval,
    Outcome,
)
from tests.server.store.conftest import MONGODB, Populated, changed

CONTENT = bytes(range(256)) * 2400
"""Several parts."""


async def stored(store: Store, number: int, account: Account, content: bytes = CONTENT) -> str:
    """Store a file and return its id."""
    id = f"{number:032x}"
    blob = await store.new_blob(id)
    for start in range(0, len(content), 100_000):
        await blob.write(content[start : start + 100_000])
    await blob.finish(
        FileRecord(id, account.key, "cat.png", len(content), "image/png", 1000 + number, 3, None)
    )
    return id


async def content(store: Store, id: str, start: int = 0, end: int = len(CONTENT)) -> bytes:
    return b"".join([part async for part in store.read_blob(id, start, end)])


async def attached(
    chat: Populated, pair: ConversationRecord, sender: Account, id: str, client: bytes | None = None
) -> object:
    """Send a message with the file and return the answer of the store."""
    message = chat.message(pair, sender, "", client)
    message.file = id
    (answer,) = await chat.store.commit([message])
    return answer


async def test_contents(chat: Populated) -> None:
    store = chat.store
    alice = await chat.account("alice")
    assert await store.file_key() == await store.file_key()
    assert len(await store.file_key()) == 32
    id = await stored(store, 1, alice)
    assert await content(store, id) == CONTENT
    for start, end in ((0, 1), (1, 300_000), (261_119, 261_121), (261_120, 522_240), (9, 614_400)):
        assert await content(store, id, start, end) == CONTENT[start:end]
    assert await store.file(id) == FileRecord(
        id, alice.key, "cat.png", len(CONTENT), "image/png", 1001, 3, None
    )
    assert await store.file("x") is None
    assert await store.file_bytes(alice.key) == len(CONTENT)
    assert not await store.has_files()
    assert await store.check() == []
    blob = await store.new_blob("2" * 32)
    await blob.write(CONTENT)
    blob.discard()
    assert await store.file("2" * 32) is None
    await store.expire_files(1002)
    assert await store.file(id) is None
    with pytest.raises(StoreUnavailable):
        await content(store, id)


async def test_a_file_is_attached_once_by_its_owner(chat: Populated) -> None:
    store = chat.store
    alice, bob, pair = await chat.pair()
    id = await stored(store, 1, alice)
    missing = await attached(chat, pair, bob, id)
    assert getattr(missing, "outcome", None) is Outcome.MISSING
    first = await attached(chat, pair, alice, id, b"1" * 16)
    assert first == Appended(pair.key, 1, first.sent_at)  # type: ignore[attr-defined]
    (summary,), _ = await store.conversations(bob.key, cursor=None, limit=1)
    assert summary.last is not None
    assert summary.last.file == await store.file(id)
    again = await attached(chat, pair, alice, id, b"1" * 16)
    assert isinstance(again, Appended)
    assert again.duplicate
    assert again.seq == 1
    for client in (None, b"2" * 16):
        other = await attached(chat, pair, alice, id, client)
        assert getattr(other, "outcome", None) is Outcome.MISSING
    file = await store.file(id)
    assert file is not None
    assert file.message == (pair.key, 1)
    # An order of messages, changes and files in one batch.
    second = await stored(store, 2, alice)
    new = chat.message(pair, alice, "with text")
    new.file = second
    answers = await store.commit(
        [
            chat.message(pair, bob, "before"),
            new,
            chat.message(pair, bob, "after"),
            NewReaction(pair.key, 1, bob.key, "👍", True),
            NewEdit(pair.key, 1, alice.key, "edited", 2_000_000_000_000),
        ]
    )
    assert [answer.seq for answer in answers if isinstance(answer, Appended)] == [2, 3, 4]
    page = await store.history(pair.key, first_seq=1, before=None, after=None, limit=10)
    files = [message.file and message.file.id for message in page.messages]
    assert files == [id, None, second, None]
    assert (page.messages[0].data, page.messages[0].file) == ("edited", file)
    read = await store.messages([(pair.key, 3)])
    assert [message.file and message.file.id for message in read] == [second]
    for bob_waits in (await store.undelivered(bob.key, 10, {}),):
        assert [m.file and m.file.id for m in bob_waits] == [id, second]
    (summary,), _ = await store.conversations(bob.key, cursor=None, limit=1)
    assert summary.last is not None
    assert summary.last.seq == 4
    await store.expire_files(10**15)
    assert await content(store, id) == CONTENT
    assert await store.has_files()
    assert await store.check() == []


async def test_a_file_is_deleted_with_its_message(chat: Populated) -> None:
    store = chat.store
    alice, bob, pair = await chat.pair()
    kept = await stored(store, 1, alice)
    gone = await stored(store, 2, alice)
    for id in (kept, gone):
        await attached(chat, pair, alice, id)
    refused, done, repeated = await changed(
        store,
        NewRemoval(pair.key, 2, bob.key),
        NewRemoval(pair.key, 2, alice.key),
        NewRemoval(pair.key, 2, alice.key),
    )
    assert refused.outcome is Outcome.FORBIDDEN
    assert done.outcome is Outcome.DONE
    assert done.message is not None
    assert done.message.file is None
    assert repeated.outcome is Outcome.UNCHANGED
    assert await store.file(gone) is None
    with pytest.raises(StoreUnavailable):
        await content(store, gone)
    assert await content(store, kept) == CONTENT
    (message,) = await store.messages([(pair.key, 2)])
    assert message.removed
    assert message.file is None
    assert await store.file_bytes(alice.key) == len(CONTENT)
    assert await store.check() == []


async def test_a_file_is_deleted_with_its_room(chat: Populated) -> None:
    store = chat.store
    alice = await chat.account("alice")
    room = await store.create_room("art", "Art", alice.key)
    id = await stored(store, 1, alice)
    message = NewMessage(room.conversation, alice.key, None, 1, "", file=id)
    await store.commit([message])
    assert await store.has_files()
    await store.delete_room(room.conversation)
    if "chat.db" in store.location:
        # SQLite deletes rooms in idle time.
        while await store.has_files():
            await store.check_ready()
        await store.close()
        await store.open()
    assert await store.file(id) is None
    with pytest.raises(StoreUnavailable):
        await content(store, id)


@pytest.mark.parametrize("address", [pytest.param("mongodb", marks=MONGODB)], indirect=True)
@pytest.mark.parametrize("step", ["uploaded", "claimed", "sent", "marked"])
async def test_mongodb_finishes_what_a_killed_server_has_left(
    address: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = open_store(address)
    await killed.open()
    chat = Populated(killed)
    alice, _, pair = await chat.pair()
    if step == "uploaded":
        blob = await killed.new_blob("1" * 32)
        await blob.write(CONTENT)
        id = "1" * 32
    else:
        id = await stored(killed, 1, alice)
        method = {
            "claimed": ("_append", "_begin_claim"),
            "sent": ("_finish_claim", "_append"),
            "marked": ("_delete_marked", "_write_changes"),
        }[step][0]
        if step == "marked":
            await attached(chat, pair, alice, id)
        original = getattr(killed, method)
        calls = 0

        async def fail(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if step == "sent" and calls == 1:  # before the claim
                return await original(*arguments, **options)
            raise RuntimeError("killed")

        monkeypatch.setattr(killed, method, fail)
        if step == "marked":
            interrupted = changed(killed, NewRemoval(pair.key, 1, alice.key))
        else:
            interrupted = attached(chat, pair, alice, id, b"1" * 16)
        with pytest.raises(RuntimeError, match="killed"):
            await interrupted
    await killed.close()
    store = open_store(address)
    await store.open()
    try:
        file = await store.file(id)
        messages = await store.messages([(pair.key, 1)])
        assert await store.check() == []
        match step:
            case "uploaded" | "marked":
                assert file is None
                with pytest.raises(StoreUnavailable):
                    await content(store, id)
            case "claimed":
                assert file is not None
                assert file.message is None
                assert messages == []
            case "sent":
                assert file is not None
                assert file.message == (pair.key, 1)
                assert messages[0].file == file
    finally:
        await store.close()
