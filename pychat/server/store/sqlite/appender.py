"""Append messages in SQLite: assign seqs and numbers, and recognize client ids already stored."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain, islice

from pychat.server.store.records import Appended, NewMessage
from pychat.server.store.sqlite.base import MENTION, counter, set_counter
from pychat.server.store.sqlite.conversations import last_seq

SETTLE_CHUNK = 500
MAX_UNSETTLED = 50_000
SETTLE_AT_ONCE = 25_000
LOOKUP_CHUNK = 64

Key = tuple[int, bytes]
"""Sender and client id of a message."""

Place = tuple[int, int, int, int]
"""Conversation, seq, sent_at and number of a message. The number is 0 if it is not known."""


def _lookup(count: int) -> str:
    return (
        f"WITH wanted (sender, client_id) AS (VALUES {', '.join(['(?, ?)'] * count)})"
        " SELECT taken.sender, taken.client_id, message.conversation, message.seq,"
        " message.sent_at FROM wanted"
        " CROSS JOIN client_id AS taken USING (sender, client_id)"
        " CROSS JOIN message USING (conversation, seq)"
    )


_LOOKUPS = {count: _lookup(count) for count in (LOOKUP_CHUNK, 8, 1)}


class ClientIds:
    """The client ids of stored messages. The writer thread uses it within its transactions.

    Client ids are random, so each row of the table ``client_id`` usually changes another page.
    Writing them with each message would double the cost. So the newest ones are kept in memory
    (*unsettled*) and written later, many at once.
    """

    def __init__(self) -> None:
        self._unsettled: dict[Key, Place] | None = None

    def forget(self) -> None:
        """Drop what is cached, after a rollback."""
        self._unsettled = None

    def unsettled(self, connection: sqlite3.Connection) -> dict[Key, Place]:
        """Return those that are not in the table, oldest first. The caller adds new messages."""
        if self._unsettled is None:
            rows = connection.execute(
                "SELECT sender, client_id, conversation, seq, sent_at, number"
                " FROM log CROSS JOIN message USING (conversation, seq, number)"
                " WHERE number > ? AND client_id IS NOT NULL ORDER BY number",
                (counter(connection, "client_id_number"),),
            )
            self._unsettled = {
                (sender, client_id): (conversation, seq, sent_at, number)
                for sender, client_id, conversation, seq, sent_at, number in rows
            }
        return self._unsettled

    def settled(self, connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, Place]:
        """Return those of the keys that are in the table."""
        found: dict[Key, Place] = {}
        start = 0
        while start < len(keys):
            left = len(keys) - start
            count = next(count for count in _LOOKUPS if count <= left)
            wanted = tuple(chain.from_iterable(keys[start : start + count]))
            for sender, client_id, *place in connection.execute(_LOOKUPS[count], wanted):
                conversation, seq, sent_at = place
                found[sender, client_id] = (conversation, seq, sent_at, 0)
            start += count
        return found

    def settle_some(self, connection: sqlite3.Connection) -> bool:
        """Move a few into the table and return whether there are more."""
        return self._settle(connection, SETTLE_CHUNK)

    def settle_if_many(self, connection: sqlite3.Connection) -> None:
        """Move many into the table if there are too many. A busy server is never idle, and many
        rows at once share pages."""
        if len(self.unsettled(connection)) > MAX_UNSETTLED:
            self._settle(connection, SETTLE_AT_ONCE)

    def _settle(self, connection: sqlite3.Connection, count: int) -> bool:
        unsettled = self.unsettled(connection)
        oldest = list(islice(unsettled.items(), count))
        if not oldest:
            return False
        connection.executemany(
            "INSERT OR IGNORE INTO client_id VALUES (?, ?, ?, ?)",
            sorted((*key, *place[:2]) for key, place in oldest),
        )
        set_counter(connection, "client_id_number", oldest[-1][1][3])
        for key, _ in oldest:
            del unsettled[key]
        return bool(unsettled)


MAX_CACHED_SEQS = 100_000

_INSERT = (
    "INSERT INTO message (conversation, seq, number, sender, client_id, sent_at, data, reply_to)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_LOG = "INSERT INTO log (number, conversation, seq) VALUES (?, ?, ?)"


class Appender:
    """Appends messages. The writer thread uses it within its transactions.

    It caches the last seq of each conversation: while a server holds the store, no other process
    appends.
    """

    def __init__(self) -> None:
        self.client_ids = ClientIds()
        self._last_seqs: dict[int, int] = {}
        self._number: int | None = None

    def forget(self) -> None:
        """Drop what is cached, after a rollback."""
        self.client_ids.forget()
        self._last_seqs.clear()
        self._number = None

    def append(self, connection: sqlite3.Connection, batch: Sequence[NewMessage]) -> list[Appended]:
        """Store the messages at the next seqs, except those whose client id is already stored."""
        if len(self._last_seqs) > MAX_CACHED_SEQS:
            self._last_seqs.clear()
        last_seqs = self._last_seqs
        number = self._last_number(connection)
        unsettled = self.client_ids.unsettled(connection)
        settled = self.client_ids.settled(
            connection, [(m.sender, m.client_id) for m in batch if m.client_id is not None]
        )
        rows = []
        log = []
        mentions = []
        answers = []
        for message in batch:
            conversation, sender, client_id = (
                message.conversation,
                message.sender,
                message.client_id,
            )
            if client_id is not None:
                key = (sender, client_id)
                taken = unsettled.get(key) or settled.get(key)
                if taken is not None:
                    answers.append(Appended(taken[0], taken[1], taken[2], duplicate=True))
                    continue
            seq = last_seqs.get(conversation)
            if seq is None:
                seq = last_seq(connection, conversation)
            last_seqs[conversation] = seq = seq + 1
            number += 1
            sent_at = message.sent_at
            if client_id is not None:
                unsettled[key] = (conversation, seq, sent_at, number)
            place = (conversation, seq, number, sender, client_id, sent_at)
            rows.append((*place, message.data, message.reply_to))
            log.append((number, conversation, seq))
            if message.mentions:
                mentions += [(account, conversation, seq) for account in message.mentions]
            answers.append(Appended(conversation, seq, sent_at))
        connection.executemany(_INSERT, rows)
        connection.executemany(_LOG, log)
        if mentions:
            connection.executemany(MENTION, mentions)
        self._number = number
        self.client_ids.settle_if_many(connection)
        return answers

    def known(self, connection: sqlite3.Connection, message: NewMessage) -> Appended | None:
        """Return the place of a message that was stored before, None if it was not."""
        if message.client_id is None:
            return None
        key = (message.sender, message.client_id)
        unsettled = self.client_ids.unsettled(connection)
        place = unsettled.get(key) or self.client_ids.settled(connection, [key]).get(key)
        return None if place is None else Appended(*place[:3], duplicate=True)

    def _last_number(self, connection: sqlite3.Connection) -> int:
        if self._number is None:
            (number,) = connection.execute("SELECT max(number) FROM log").fetchone()
            # Purging may have deleted the last rows of the log. The counters are still right.
            self._number = max(
                number or 0,
                counter(connection, "indexed_number"),
                counter(connection, "client_id_number"),
            )
        return self._number
