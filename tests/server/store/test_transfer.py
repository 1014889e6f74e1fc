"""Export, import and check between all kinds of stores."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from pychat.protocol import Availability, NotifyLevel
from pychat.server.store import Store, StoreError, open_store
from pychat.server.store.records import (
    ALL_MEMBERS,
    CursorMove,
    HookRecord,
    LoginToken,
    NewEdit,
    NewMessage,
    NewReaction,
    NewRemoval,
    Standing,
)
from pychat.server.store.transfer import importing
from pychat.server.store.transfer.exporting import check, export_lines
from pychat.server.store.transfer.importing import Importer
from pychat.server.store.transfer.lines import decode_lines
from tests.server.store.conftest import Populated, removed


async def fill(store: Store) -> None:
    """Fill a store with at least one of everything it can contain."""
    chat = Populated(store)
    everyone = await store.everyone()
    alice, bob, pair = await chat.pair("Alice", "bob")
    await chat.say(everyone, alice, "to all")
    carol = await chat.account("carol", "Carol C.")
    await store.update_account(carol.key, disabled=True, last_seen_at=77)
    await store.create_account("dave", "", None, 5)
    await store.block(alice.key, carol.key)
    await store.add_login_token(
        LoginToken("s1", alice.key, b"\1" * 32, "Firefox", 1, 2, 4_000_000_000_000)
    )
    await chat.say(pair, alice, "한국어 \0 <b>", "two", "three")
    await store.append([chat.message(pair, bob, "without a client id")])
    await removed(store, pair.key, 2)
    await store.move_cursors(
        [CursorMove(pair.key, bob.key, 3, 1), CursorMove(everyone.key, alice.key, 1)]
    )
    await chat.say(await store.open_pair(alice.key, alice.key), alice, "note to self")
    gone = await store.create_room("gone", "Gone", alice.key)
    await chat.say(gone.conversation, alice, "forgotten")
    await store.delete_room(gone.conversation)
    room = await store.create_room("Lounge", "The lounge", bob.key)
    await chat.say(room.conversation, bob, "hello", "lounge")
    await store.join_room(room.conversation, carol.key)
    await store.update_room(room.conversation, topic="Tea")
    await store.set_standing(room.conversation, carol.key, Standing.MODERATOR)
    await store.set_standing(room.conversation, alice.key, Standing.BARRED)
    for n in range(2):
        await store.add_hook(HookRecord(f"h{n}", bytes([n]) * 32, room.conversation, bob.key, 6))
    hidden = await store.create_room("x4711", "Board", alice.key, private=True)
    await store.set_standing(hidden.conversation, bob.key, Standing.INVITED)
    await chat.say(room.conversation, bob, "welcome")
    await store.set_notify(room.conversation, carol.key, NotifyLevel.MENTIONS)
    await store.set_notify(pair.key, bob.key, NotifyLevel.MUTED)
    await store.update_account(carol.key, status=Availability.AWAY)
    await store.update_account(bob.key, status_text="on the train")
    thanks = NewMessage(room.conversation, carol.key, None, 1_700_000_100_000, "thanks @ALL @bob")
    thanks.reply_to, thanks.mentions = 3, (ALL_MEMBERS, bob.key)
    await store.append([thanks])
    await chat.change(
        NewReaction(room.conversation, 3, carol.key, "👍", True),
        NewReaction(room.conversation, 3, bob.key, "🎉", True),
        NewEdit(room.conversation, 1, bob.key, "hello everybody", 1_700_000_200_000),
        NewReaction(room.conversation, 1, carol.key, "👍", True),
        NewRemoval(room.conversation, 2, bob.key),
    )


async def exported(store: Store) -> list[bytes]:
    return [line async for line in export_lines(store)]


async def imported(store: Store, lines: list[bytes]) -> None:
    importer = Importer(store)
    for line in decode_lines(lines):
        await importer.put(line)


async def problems(store: Store) -> list[str]:
    return [problem async for problem in check(store) if problem]


@pytest.fixture
async def lines(tmp_path: Path) -> list[bytes]:
    store = open_store(f"sqlite:///{tmp_path}/source.db")
    await store.open()
    await fill(store)
    found = await exported(store)
    await store.close()
    return found


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[Store]:
    store = open_store(f"sqlite:///{tmp_path}/target.db")
    await store.open()
    yield store
    await store.close()


async def test_importing_and_exporting_gives_the_same_file(
    store: Store, lines: list[bytes]
) -> None:
    await imported(store, lines)
    assert await exported(store) == lines
    assert await problems(store) == []


async def test_all_kinds_of_stores_export_the_same(store: Store) -> None:
    await fill(store)
    first = await exported(store)
    assert len([line for line in first if b'"type":"message"' in line]) == 10
    assert await problems(store) == []
    memory = open_store("memory:")
    await imported(memory, first)
    assert await exported(memory) == first


async def test_changes_during_an_export_do_not_affect_it(store: Store) -> None:
    """A server creates accounts and stores messages after the start of the export."""
    await fill(store)
    everyone = (await store.everyone()).key
    lounge, _ = await store.rooms()
    bob = await store.account("bob")
    assert bob
    lines: list[bytes] = []
    async for line in export_lines(store):
        lines.append(line)
        if b'"type":"account","id":"Alice"' in line:
            zoe = await store.create_account("zoe", "", None, 6)
            await store.block(bob.key, zoe.key)
            await store.join_room(lounge.conversation, zoe.key)
            pair = await store.open_pair(bob.key, zoe.key)
            for key in (everyone, lounge.conversation, pair.key):
                await store.append([NewMessage(key, zoe.key, None, 7, "too late")])
                await store.move_cursors([CursorMove(key, bob.key, await store.last_seq(key))])
    assert len([line for line in lines if b'"type":"message"' in line]) == 10
    assert not [line for line in lines if b"zoe" in line or b"too late" in line]
    target = open_store("memory:")
    await imported(target, lines)
    assert await exported(target) == lines
    assert await problems(target) == []


async def test_an_import_that_was_interrupted_anywhere_can_be_repeated(
    store: Store, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small enough for writes in the middle of conversations.
    monkeypatch.setattr(importing, "MAX_LINES", 2)
    for count in range(0, len(lines), 3):
        with pytest.raises(StoreError, match="ends too early"):
            await imported(store, lines[:count])
    await imported(store, lines)
    await imported(store, lines)
    assert await exported(store) == lines


@pytest.mark.parametrize("more", ["", "other"])
async def test_messages_since_an_import_are_kept(target: Store, tmp_path: Path, more: str) -> None:
    """Repeating it would put the file's messages after them, and remove later members."""
    source = open_store(f"sqlite:///{tmp_path}/source.db")
    await source.open()
    await fill(source)
    await imported(target, await exported(source))
    for store, text in ((source, more), (target, "since")):
        room, bob = await store.room("lounge"), await store.account("bob")
        assert room
        assert bob
        if text:
            await store.append([NewMessage(room.conversation, bob.key, None, 7, text)])
    lines, before = await exported(source), await exported(target)
    await source.close()
    with pytest.raises(StoreError, match="has other messages in #Lounge"):
        await imported(target, lines)
    assert await exported(target) == before


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b'"data":"two"', b'"data":"2"', None),  # removed: not in the file
        (b"without a client id", b"with a client id", "was changed"),
        (b'"alias":"bob"', b'"alias":"Bob"', "was changed"),
        (b'"type":"account"', b'"type":"acount"', "line 2 is not a line of an export"),
        (b'"version":1', b'"version":9', "not an export of a version that this pychat can read"),
        (b'"rev":4', b'"rev":2', "a rev is wrong"),
        (b'"rev":4,', b"", "a changed message needs a rev"),
        ("👍".encode(), b" ", "emoji: must not contain"),
        (b'"id":"carol"}]', b'"id":"eve"}]', "no account with the id 'eve'"),
        (b'{"type":"pychat"', b'{"typ":"pychat"', "line 1 is not a line of an export"),
    ],
)
def test_a_changed_file_is_refused(
    lines: list[bytes], old: bytes, new: bytes, complaint: str | None
) -> None:
    changed = b"".join(lines).replace(old, new, 1).splitlines(keepends=True)
    if complaint is None:
        assert list(decode_lines(changed))
        return
    with pytest.raises(StoreError, match=complaint):
        list(decode_lines(changed))


async def test_a_store_with_other_data_stays_unchanged(target: Store, lines: list[bytes]) -> None:
    other = await target.create_account("alice", "", None, 1)
    with pytest.raises(StoreError, match="has another account alice"):
        await imported(target, lines)
    assert await target.account("alice") == other


async def test_a_check_finds_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    store = open_store(f"sqlite:///{path}")
    await store.open()
    chat = Populated(store)
    alice, _, pair = await chat.pair()
    await chat.say(pair, alice, *(str(uuid4()) for _ in range(5)))
    await store.move_cursors([CursorMove(pair.key, alice.key, 99)])
    assert await problems(store) == [
        "alice and bob: the cursors of alice are beyond the last message"
    ]
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM message WHERE seq = 3")
    connection.execute("INSERT INTO mention VALUES (?, ?, 3)", (alice.key, pair.key))
    connection.commit()
    connection.close()
    found = await problems(store)
    assert "alice and bob: seq 4 follows seq 2" in found
    assert "1 log entries have no message" in found
    assert "1 mentions have no message" in found
    await store.close()


NUMBER_TOO_LARGE = 2**63
YEAR_10000 = 253_402_300_800_000


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"id":"carol"', '"id":"car\\u001bol"', "control"),
        ('"id":"carol"', '"id":"ALL"', "reserved"),
        ('"sender":"bob"', '"sender":"nobody"', "there is no account with the id 'nobody'"),
        ('"blocked":["carol"]', '"blocked":["nobody"]', "there is no account with the id"),
        ('"between":["Alice","bob"]', '"between":["Alice"]', "a pair needs two ids"),
        ('"between":["Alice","bob"]', '"between":["Alice","eve"]', "there is no account"),
        ('"status":"away"', '"status":"asleep"', "Invalid enum value 'asleep'"),
        ('"notify":"muted"', '"notify":"loud"', "Invalid enum value 'loud'"),
        ('"standing":"invited"', '"standing":"king"', "Invalid enum value 'king'"),
        (
            '{"id":"bob","standing"',
            '{"id":"eve","standing"',
            "there is no account with the id 'eve'",
        ),
        ('"account":"bob"', '"account":"eve"', "there is no account with the id 'eve'"),
        ('"id":"h0"', '"id":"h1"', "a webhook belongs to one room"),
        ('"roomOwner":"bob"', '"roomOwner":"eve"', "there is no account with the id 'eve'"),
        ('"roomId":"Lounge"', '"roomId":"#\\u202e"', "must not start with #"),
        ('"deliveredSeq":1', f'"deliveredSeq":{NUMBER_TOO_LARGE}', "<= 9223372036854775807"),
        ('"createdAt":5', f'"createdAt":{YEAR_10000}', f"<= {YEAR_10000 - 1}"),
        ('"createdAt":5', '"createdAt":-1', ">= 0"),
        ('"tokenHash":"01', '"tokenHash":"zz', "matching regex"),
    ],
)
async def test_a_hostile_file_is_refused_with_the_line(old: str, new: str, reason: str) -> None:
    """Checksums do not help, because the author of a hostile file can compute them."""
    source, target = open_store("memory:"), open_store("memory:")
    await source.open()
    await target.open()
    await fill(source)
    lines = [line.decode() for line in await exported(source)]
    hostile = [line.replace(old, new).encode() for line in lines]
    assert hostile != [line.encode() for line in lines]
    with pytest.raises(StoreError, match=r"^line [0-9]+ is not a line of an export: ") as refused:
        await imported(target, hostile)
    assert reason in str(refused.value)


@pytest.mark.parametrize("kind", ["message", "end", "conversation", "account"])
async def test_a_line_in_the_wrong_place_is_refused(lines: list[bytes], kind: str) -> None:
    line = next(line for line in lines if f'"type":"{kind}"'.encode() in line)
    inside = next(n for n, line in enumerate(lines) if b'"type":"message"' in line)
    place = inside if kind in ("conversation", "account") else 1
    with pytest.raises(StoreError, match=rf"^line {place + 1} .* in the wrong place"):
        await imported(open_store("memory:"), [*lines[:place], line, *lines[place:]])
