"""Caches in memory and in a file."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pychat.client import CacheUnusable
from pychat.client.models import ConversationInfo, DeliveryStatus, MessageInfo
from pychat.client.storage.cache import Cache, MemoryCache
from pychat.client.storage.sqlite import SQLiteCache

SERVER, USER = "http://127.0.0.1:3000", "alice"


def message(
    seq: int, text: str = "", *, conversation: str = "bob", own: bool = False
) -> MessageInfo:
    return MessageInfo(
        conversation=conversation,
        sender="alice" if own else "bob",
        text=text or f"number {seq}",
        client_id=f"id-{text}-{seq}",
        seq=seq,
        own=own,
        delivery=DeliveryStatus.SENDING if own else None,
    )


@pytest.fixture(params=["memory", "sqlite"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    cache = MemoryCache() if request.param == "memory" else SQLiteCache(tmp_path / "cache.db")
    cache.open(SERVER, USER)
    yield cache
    cache.close()


class TestEveryCache:
    def test_messages_are_returned_by_seq(self, cache: Cache) -> None:
        cache.save_messages("bob", [message(seq) for seq in (4, 3, 5)])
        cache.save_messages("carol", [message(9, conversation="carol")])
        assert [each.seq for each in cache.messages("bob", limit=10)] == [3, 4, 5]
        assert [each.seq for each in cache.messages("bob", limit=2)] == [4, 5]
        assert [each.seq for each in cache.messages("bob", before=5, limit=1)] == [4]
        assert (cache.oldest_seq("bob"), cache.newest_seq("bob")) == (3, 5)
        assert cache.newest_seq("nobody") is None
        after = cache.messages_after("bob", 3)
        assert after is not None
        assert [each.seq for each in after] == [4, 5]
        assert cache.messages_after("bob", 1) is None

    def test_a_message_is_replaced_by_seq(self, cache: Cache) -> None:
        cache.save_messages("bob", [message(1), message(2)])
        cache.save_messages("bob", [message(1, "other")])
        assert [each.text for each in cache.messages("bob", limit=9)] == ["other", "number 2"]

    def test_the_oldest_messages_are_dropped_first(self, cache: Cache) -> None:
        cache.save_messages("bob", [message(seq) for seq in range(1, 12_001)])
        kept = cache.messages("bob", limit=20_000)
        assert 250 <= len(kept) < 12_000
        assert [each.seq for each in kept] == list(range(12_001 - len(kept), 12_001))

    def test_the_outbox_keeps_its_order(self, cache: Cache) -> None:
        first, second, third = (message(0, text, own=True) for text in ("a", "b", "c"))
        for each in (first, second, third):
            cache.save_outgoing(each)
        first.delivery = DeliveryStatus.FAILED
        cache.save_outgoing(first)
        cache.drop_outgoing(second.client_id)
        assert cache.outbox() == [first, third]

    def test_dropping_a_conversation_drops_its_messages(self, cache: Cache) -> None:
        cache.save_conversation(ConversationInfo("bob", "Bob", unread=3))
        cache.save_messages("bob", [message(1)])
        assert cache.conversations() == [ConversationInfo("bob", "Bob", unread=3)]
        cache.drop_conversation("bob")
        assert cache.conversations() == []
        assert cache.messages("bob", limit=9) == []

    def test_an_empty_draft_is_deleted(self, cache: Cache) -> None:
        assert cache.draft("bob") == ""
        cache.save_draft("bob", "half a sen")
        assert cache.draft("bob") == "half a sen"
        cache.save_draft("bob", "")
        assert cache.draft("bob") == ""


class TestTheFile:
    def test_everything_is_there_after_reopening(self, tmp_path: Path) -> None:
        path = tmp_path / "deeper" / "cache.db"
        cache = SQLiteCache(path)
        cache.open(SERVER, USER)
        cache.save_conversation(ConversationInfo("bob", "Bob", online=True, typing=("bob",)))
        cache.save_messages("bob", [message(1)])
        cache.save_draft("bob", "half")
        cache.close()

        again = SQLiteCache(path)
        again.open(SERVER, USER)
        assert again.conversations() == [ConversationInfo("bob", "Bob")]
        assert again.messages("bob", limit=9) == [message(1)]
        assert again.draft("bob") == "half"
        again.close()

    def test_other_users_cannot_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "cache.db"
        cache = SQLiteCache(path)
        cache.open(SERVER, USER)
        cache.save_outgoing(message(0, "secret", own=True))
        for file in tmp_path.glob("cache.db*"):
            assert file.stat().st_mode & 0o077 == 0, file
        cache.close()

    @pytest.mark.e2e
    def test_the_outbox_survives_a_killed_process(self, tmp_path: Path) -> None:
        path = tmp_path / "cache.db"
        program = f"""
import os, signal
from tests.client.test_cache import *
cache = SQLiteCache({str(path)!r})
cache.open(SERVER, USER)
cache.save_outgoing(message(0, "typed", own=True))
os.kill(os.getpid(), signal.SIGKILL)
"""
        run = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
        assert run.returncode == -9
        cache = SQLiteCache(path)
        cache.open(SERVER, USER)
        assert [each.text for each in cache.outbox()] == ["typed"]
        cache.close()

    def test_only_one_process_can_open_it(self, tmp_path: Path) -> None:
        owner, other = SQLiteCache(tmp_path / "cache.db"), SQLiteCache(tmp_path / "cache.db")
        owner.open(SERVER, USER)
        with pytest.raises(CacheUnusable, match=r"cache\.db is in use by another pychat"):
            other.open(SERVER, USER)
        owner.close()
        other.open(SERVER, USER)
        other.close()

    def test_it_belongs_to_one_user_on_one_server(self, tmp_path: Path) -> None:
        cache = SQLiteCache(tmp_path / "cache.db")
        cache.open(SERVER, USER)
        cache.close()
        with pytest.raises(CacheUnusable, match="belongs to alice on http://127"):
            SQLiteCache(tmp_path / "cache.db").open(SERVER, "bob")

    def test_a_file_that_is_not_a_cache_is_left_unchanged(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("my notes, which are no database at all\n" * 50)
        with pytest.raises(CacheUnusable, match="not a pychat cache"):
            SQLiteCache(path).open(SERVER, USER)
        assert path.read_text().startswith("my notes")

        other = tmp_path / "other.db"
        with closing(sqlite3.connect(other)) as database, database:
            database.execute("CREATE TABLE precious (thing)")
        with pytest.raises(CacheUnusable, match="is not a pychat cache"):
            SQLiteCache(other).open(SERVER, USER)

    def test_a_newer_version_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "cache.db"
        cache = SQLiteCache(path)
        cache.open(SERVER, USER)
        cache.close()
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA user_version = 999")
        with pytest.raises(CacheUnusable, match="newer pychat"):
            SQLiteCache(path).open(SERVER, USER)

    def test_an_unwritable_path_is_reported_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(CacheUnusable, match="cannot be opened"):
            SQLiteCache(tmp_path / "file" / "cache.db").open(SERVER, USER)
        with pytest.raises(CacheUnusable, match="cannot be opened"):
            SQLiteCache(tmp_path).open(SERVER, USER)
        assert os.listdir(tmp_path) == ["file"]

    def test_damage_of_local_data_is_reported_when_it_is_opened(self, tmp_path: Path) -> None:
        path = tmp_path / "cache.db"
        cache = SQLiteCache(path)
        cache.open(SERVER, USER)
        cache.save_outgoing(message(0, "unsent " * 3_000, own=True))
        cache.close()
        damage(path)
        with pytest.raises(CacheUnusable, match="is damaged"):
            SQLiteCache(path).open(SERVER, USER)

    def test_damage_found_later_switches_to_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "cache.db"
        cache = SQLiteCache(path)
        cache.open(SERVER, USER)
        cache.save_conversation(ConversationInfo("bob", "Bob"))
        cache.save_outgoing(message(0, "unsent", own=True))
        cache.save_messages("bob", [message(seq, "long " * 200) for seq in range(1, 200)])
        cache.close()
        damage(path)
        lost: list[str] = []
        again = SQLiteCache(path, lost.append)
        again.open(SERVER, USER)
        assert again.messages("bob", limit=250) == []
        assert lost == [f"{path} can no longer be used (database disk image is malformed)"]
        again.save_messages("bob", [message(200)])
        again.save_draft("bob", "half")
        again.flush()
        assert again.messages("bob", limit=9) == [message(200)]
        assert again.conversations() == [ConversationInfo("bob", "Bob")]
        assert [each.text for each in again.outbox()] == ["unsent"]
        assert again.draft("bob") == "half"
        assert len(lost) == 1
        again.close()

    @pytest.mark.e2e
    def test_a_full_disk_switches_to_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "cache.db"
        program = f"""
import resource
from tests.client.test_cache import *
lost = []
cache = SQLiteCache({str(path)!r}, lost.append)
cache.open(SERVER, USER)
cache.save_draft("bob", "half")
cache.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for number in range(300):
    cache.save_outgoing(message(number, "long " * 200, own=True))
    cache.drop_outgoing(f"id-{{'long ' * 200}}-{{number}}")
    cache.save_messages("bob", [message(number)])
assert cache.draft("bob") == "half"
assert [each.seq for each in cache.messages("bob", limit=2)] == [298, 299]
cache.close()
print(len(lost))
"""
        run = subprocess.run(
            [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True
        )
        assert (run.stdout, run.stderr) == (b"1\n", b"")


def damage(path: Path) -> None:
    """Overwrite all pages except those of the schema and of tables with one page."""
    content = bytearray(path.read_bytes())
    for page in range(12, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    path.write_bytes(content)
