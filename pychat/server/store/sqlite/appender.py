"""Appending messages: their seqs, their numbers, and which are there already."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from pychat.server.store.records import Appended, NewMessage
from pychat.server.store.sqlite.client_ids import ClientIds
from pychat.server.store.sqlite.conversations import last_seq
from pychat.server.store.sqlite.rows import counter

MAX_CACHED_SEQS = 100_000

_INSERT = (
    "INSERT INTO message (conversation, seq, number, sender, client_id, sent_at, data)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_LOG = "INSERT INTO log (number, conversation, seq) VALUES (?, ?, ?)"


class Appender:
    """Used in the writer's thread only, within its transactions.

    It remembers each conversation's last seq: nobody else appends to a store that a server holds.
    """

    def __init__(self) -> None:
        self.client_ids = ClientIds()
        self._last_seqs: dict[int, int] = {}
        self._number: int | None = None

    def forget(self) -> None:
        """A transaction was rolled back: what is remembered of it is void."""
        self.client_ids.forget()
        self._last_seqs.clear()
        self._number = None

    def append(self, connection: sqlite3.Connection, batch: Sequence[NewMessage]) -> list[Appended]:
        """The messages at the next seqs, but those whose client id is taken."""
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
            rows.append((conversation, seq, number, sender, client_id, sent_at, message.data))
            log.append((number, conversation, seq))
            answers.append(Appended(conversation, seq, sent_at))
        connection.executemany(_INSERT, rows)
        connection.executemany(_LOG, log)
        self._number = number
        self.client_ids.settle_if_many(connection)
        return answers

    def _last_number(self, connection: sqlite3.Connection) -> int:
        if self._number is None:
            (number,) = connection.execute("SELECT max(number) FROM log").fetchone()
            # Purging may have taken the last rows of the log, never those that are counted.
            self._number = max(
                number or 0,
                counter(connection, "indexed_number"),
                counter(connection, "client_id_number"),
            )
        return self._number
