"""Which client ids are taken: a table on disk, and in memory those not yet in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain, islice

from pychat.server.store.sqlite.rows import counter, set_counter

SETTLE_CHUNK = 500
MAX_UNSETTLED = 50_000
SETTLE_AT_ONCE = 25_000
LOOKUP_CHUNK = 64

Key = tuple[int, bytes]
"""The sender and its client id."""

Place = tuple[int, int, int, int]
"""Where its message is: conversation, seq, time sent, number (0 if it came from the table)."""


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
    """Used in the writer's thread only, within its transactions."""

    def __init__(self) -> None:
        self._unsettled: dict[Key, Place] | None = None

    def forget(self) -> None:
        """A transaction was rolled back: what it added is void."""
        self._unsettled = None

    def unsettled(self, connection: sqlite3.Connection) -> dict[Key, Place]:
        """Those not in the table, oldest first; whoever appends a message adds its own."""
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
        """Those of the keys that are in the table."""
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
        """Moves a few into the table: whether there are more."""
        return self._settle(connection, SETTLE_CHUNK)

    def settle_if_many(self, connection: sqlite3.Connection) -> None:
        """Many at once share their pages: what a busy server does, which is never idle."""
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
