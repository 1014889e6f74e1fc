"""What is wrong with a damaged file, and what in it can still be read. Changes nothing in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

MAX_PROBLEMS = 10

_TABLES = (
    ("accounts", "account", "key"),
    ("rooms", "room", "canonical"),
    ("conversations", "conversation", "key"),
    ("messages", "message", "conversation, seq"),
)


class Readable(NamedTuple):
    """``rows`` of them can be read; ``whole``: these are all."""

    name: str
    rows: int
    whole: bool


class Damage(NamedTuple):
    """``problems`` are SQLite's own words, a line each."""

    problems: list[str]
    readable: list[Readable]


def survey(path: Path) -> Damage:
    """Reads all of it that can be read. Raises nothing: what fails is in the answer."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return Damage(_problems(connection), [_readable(connection, *t) for t in _TABLES])
    except sqlite3.Error as error:
        return Damage([str(error)], [])


def _problems(connection: sqlite3.Connection) -> list[str]:
    # The check itself may stumble over the damage; it says more when it is to find less.
    for limit in (MAX_PROBLEMS, 1):
        try:
            rows = connection.execute(f"PRAGMA integrity_check({limit})").fetchall()
        except sqlite3.Error as error:
            problems = [str(error)]
        else:
            lines = [line for (text,) in rows for line in text.splitlines()]
            return [line for line in lines if not line.startswith("***")][:MAX_PROBLEMS]
    return problems


def _readable(connection: sqlite3.Connection, name: str, table: str, key: str) -> Readable:
    """From the beginning up to the damage, then from the end down to it."""
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
