"""Check the file: find inconsistencies, or survey what a damaged file still contains."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

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
_UNRECORDED = """
    SELECT count(*) FROM log CROSS JOIN message USING (conversation, seq)
    LEFT JOIN client_id USING (sender, client_id)
    WHERE log.number <= (SELECT value FROM counter WHERE name = 'client_id_number')
        AND message.client_id IS NOT NULL AND client_id.seq IS NULL
"""
_UNCHANGED = (
    "SELECT count(*) FROM change LEFT JOIN message USING (conversation, seq) WHERE sender IS NULL"
)
_UNCOUNTED = """
    SELECT count(*) FROM reaction LEFT JOIN change USING (conversation, seq)
    WHERE change.rev IS NULL OR reaction.rev > change.rev
"""
_UNSAID = (
    "SELECT count(*) FROM mention LEFT JOIN message USING (conversation, seq) WHERE sender IS NULL"
)


def problems(connection: sqlite3.Connection) -> list[str]:
    """Read every page of the file and return the inconsistencies, one line each."""
    found = [
        text
        for (text,) in connection.execute(f"PRAGMA integrity_check({MAX_PROBLEMS})")
        if text != "ok"
    ]
    if found:
        return found
    for sql, text in (
        (_UNLOGGED, "messages are missing from the log"),
        (_UNWRITTEN, "log entries have no message"),
        (_MISPLACED, "client ids belong to another message"),
        (_UNRECORDED, "messages have a client id that is not recorded"),
        (_UNCHANGED, "changes have no message"),
        (_UNCOUNTED, "reactions are missing from the changes"),
        (_UNSAID, "mentions have no message"),
    ):
        (count,) = connection.execute(sql).fetchone()
        if count:
            found.append(f"{count} {text}")
    return found


MAX_DAMAGE_LINES = 10

_TABLES = (
    ("accounts", "account", "key"),
    ("rooms", "room", "canonical"),
    ("conversations", "conversation", "key"),
    ("messages", "message", "conversation, seq"),
)


class Readable(NamedTuple):
    """Number of readable ``rows`` of one kind; ``whole``: the number is complete."""

    name: str
    rows: int
    whole: bool


class Damage(NamedTuple):
    """``problems``: what SQLite reports, one line each."""

    problems: list[str]
    readable: list[Readable]


def survey(path: Path) -> Damage:
    """Read as much of the file as possible. Failures are part of the result; raises nothing."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return Damage(_problems(connection), [_readable(connection, *t) for t in _TABLES])
    except sqlite3.Error as error:
        return Damage([str(error)], [])


def _problems(connection: sqlite3.Connection) -> list[str]:
    # The damage may stop the check itself. With a lower limit it may still return a result.
    for limit in (MAX_DAMAGE_LINES, 1):
        try:
            rows = connection.execute(f"PRAGMA integrity_check({limit})").fetchall()
        except sqlite3.Error as error:
            problems = [str(error)]
        else:
            lines = [line for (text,) in rows for line in text.splitlines()]
            return [line for line in lines if not line.startswith("***")][:MAX_DAMAGE_LINES]
    return problems


def _readable(connection: sqlite3.Connection, name: str, table: str, key: str) -> Readable:
    """Count the rows from the start up to the damage, then from the end down to it."""
    rows, whole = _count(connection, f"SELECT * FROM {table} ORDER BY {key}")
    if not whole:
        downwards = ", ".join(f"{column} DESC" for column in key.split(", "))
        rows += _count(connection, f"SELECT * FROM {table} ORDER BY {downwards}")[0]
    return Readable(name, rows, whole)


def _count(connection: sqlite3.Connection, sql: str) -> tuple[int, bool]:
    rows = 0
    try:
        for _ in connection.execute(sql):
            rows += 1
    except sqlite3.Error:
        return rows, False
    return rows, True
