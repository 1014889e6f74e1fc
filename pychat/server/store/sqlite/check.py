"""What could be wrong inside the file, in words."""

from __future__ import annotations

import sqlite3

MAX_PROBLEMS = 20

_UNLOGGED = """
    SELECT count(*) FROM message LEFT JOIN log USING (number)
    WHERE log.seq IS NOT message.seq OR log.conversation IS NOT message.conversation
"""
_UNWRITTEN = (
    "SELECT count(*) FROM log LEFT JOIN message USING (conversation, seq) WHERE sender IS NULL"
)
_MISPLACED = """
    SELECT count(*) FROM client_id LEFT JOIN message USING (conversation, seq)
    WHERE message.client_id IS NOT client_id.client_id OR message.sender IS NOT client_id.sender
"""
_UNKNOWN = """
    SELECT count(*) FROM log CROSS JOIN message USING (conversation, seq)
    LEFT JOIN client_id USING (sender, client_id)
    WHERE log.number <= (SELECT value FROM counter WHERE name = 'client_id_number')
        AND message.client_id IS NOT NULL AND client_id.seq IS NULL
"""


def problems(connection: sqlite3.Connection) -> list[str]:
    """Reads every page of the file; an empty list if it is sound."""
    found = [
        text
        for (text,) in connection.execute(f"PRAGMA integrity_check({MAX_PROBLEMS})")
        if text != "ok"
    ]
    if found:
        return found
    for sql, text in (
        (_UNLOGGED, "messages are not in the log"),
        (_UNWRITTEN, "entries of the log have no message"),
        (_MISPLACED, "client ids belong to another message"),
        (_UNKNOWN, "messages have a client id that is not known as taken"),
    ):
        (count,) = connection.execute(sql).fetchone()
        if count:
            found.append(f"{count} {text}")
    return found
