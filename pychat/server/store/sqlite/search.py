"""Search in SQLite: the index of terms, and removing messages from it.

The index is built in idle time. Search scans the messages that are not indexed yet.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from operator import itemgetter

from pychat.server.store.base import LAST_NUMBER, decode_cursor, encode_cursor
from pychat.server.store.records import ConversationKind, MessageRecord
from pychat.server.store.sqlite.base import (
    MESSAGE,
    SQLitePart,
    complete,
    counter,
    set_counter,
    stored_message,
)
from pychat.server.store.sqlite.schema import PREFIX_LENGTHS
from pychat.server.store.terms import Query, Term, account_term, conversation_term, terms

INDEX_CHUNK = 200
INDEX_AT_ONCE = 10_000
PURGE_CHUNK = 200
LONG_WORD = 8

_COLUMNS = ", ".join(f"message.{column}" for column in MESSAGE.split(", "))

_TAIL = f"""
    SELECT log.number, {_COLUMNS}
    FROM log
    CROSS JOIN membership ON membership.account = ? AND membership.conversation = log.conversation
        AND log.seq >= membership.first_seq
    CROSS JOIN message ON message.conversation = log.conversation AND message.seq = log.seq
    WHERE log.number > ? AND log.number < ? AND message.data IS NOT NULL
    ORDER BY log.number DESC
"""
_INDEXED = f"""
    SELECT terms.rowid, {_COLUMNS}
    FROM terms
    CROSS JOIN log ON log.number = terms.rowid
    CROSS JOIN membership ON membership.account = ? AND membership.conversation = log.conversation
        AND log.seq >= membership.first_seq
    CROSS JOIN message ON message.conversation = log.conversation AND message.seq = log.seq
    WHERE terms MATCH ? AND terms.rowid < ? AND message.data IS NOT NULL
    ORDER BY terms.rowid DESC
"""
_UNINDEXED = """
    SELECT log.number, message.conversation, conversation.a, conversation.b, message.data
    FROM log
    LEFT JOIN message ON message.conversation = log.conversation AND message.seq = log.seq
    LEFT JOIN conversation ON conversation.key = log.conversation
    WHERE log.number > ? ORDER BY log.number LIMIT ?
"""
_INDEX = "INSERT INTO terms (rowid, text) VALUES (?, ?)"
_UNINDEX = "INSERT INTO terms (terms, rowid, text) VALUES ('delete', ?, ?)"
_ACCOUNTS = "SELECT a, b FROM conversation WHERE key = ?"


class SQLiteSearch(SQLitePart):
    """Implements search of ``base.Store``."""

    async def search(
        self,
        account: int,
        text: str,
        *,
        conversation: int | None,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[MessageRecord], str | None]:
        (end,) = decode_cursor(cursor, LAST_NUMBER)
        query = Query(text)
        if not query.terms:
            return [], None

        def read(connection: sqlite3.Connection) -> tuple[list[MessageRecord], str | None]:
            found: list[MessageRecord] = []
            last = 0
            following = None
            for number, message in _candidates(connection, account, query, conversation, end):
                if conversation in (None, message.conversation) and query.matches(message.data):
                    if len(found) == limit:
                        following = encode_cursor(last)
                        break
                    found.append(message)
                    last = number
            return complete(connection, found), following

        return await self._read(read)

    async def index(self) -> None:
        """Index now all messages that are not indexed yet."""
        while await self._write(_index_many, INDEX_AT_ONCE):
            pass


def index_some(connection: sqlite3.Connection) -> bool:
    """Index a few messages and return whether there are more."""
    rows = connection.execute(
        _UNINDEXED, (counter(connection, "indexed_number"), INDEX_CHUNK)
    ).fetchall()
    if not rows:
        return False
    connection.executemany(
        _INDEX,
        [
            (number, _row_of_terms(conversation, a, b, data))
            for number, conversation, a, b, data in rows
            if data is not None
        ],
    )
    set_counter(connection, "indexed_number", rows[-1][0])
    return len(rows) == INDEX_CHUNK


def _index_many(connection: sqlite3.Connection) -> bool:
    """Index as many messages as one transaction should, and return whether there are more."""
    return all(index_some(connection) for _ in range(INDEX_AT_ONCE // INDEX_CHUNK))


def purge_some(connection: sqlite3.Connection, deleted: list[str]) -> bool:
    """Delete a few messages of deleted rooms and return whether there may be more. The ids of their
    files are added to ``deleted``."""
    row = connection.execute(
        "SELECT key, a, b FROM conversation WHERE deleted = 1 LIMIT 1"
    ).fetchone()
    if row is None:
        return False
    conversation, a, b = row
    messages = connection.execute(
        "SELECT seq, number, sender, client_id, data FROM message WHERE conversation = ?"
        " ORDER BY seq LIMIT ?",
        (conversation, PURGE_CHUNK),
    ).fetchall()
    indexed = counter(connection, "indexed_number")
    for _, number, _, _, data in messages:
        if data is not None and number <= indexed:
            _unindex(connection, number, conversation, a, b, data)
    connection.executemany("DELETE FROM log WHERE number = ?", [(row[1],) for row in messages])
    connection.executemany(
        "DELETE FROM client_id WHERE sender = ? AND client_id = ?",
        [(sender, client_id) for _, _, sender, client_id, _ in messages if client_id is not None],
    )
    for table in ("message", "change", "reaction", "mention"):
        connection.executemany(
            f"DELETE FROM {table} WHERE conversation = ? AND seq = ?",
            [(conversation, seq) for seq, *_ in messages],
        )
    seqs = [seq for seq, *_ in messages]
    if seqs:
        deleted += (
            id
            for (id,) in connection.execute(
                "DELETE FROM file WHERE conversation = ? AND seq BETWEEN ? AND ? RETURNING id",
                (conversation, seqs[0], seqs[-1]),
            )
        )
    if len(messages) < PURGE_CHUNK:
        connection.execute("UPDATE conversation SET deleted = 2 WHERE key = ?", (conversation,))
    return True


def _candidates(
    connection: sqlite3.Connection,
    account: int,
    query: Query,
    conversation: int | None,
    end: int,
) -> Iterator[tuple[int, MessageRecord]]:
    """Yield number and record of messages that may match and that the account may read, newest
    first."""
    indexed = counter(connection, "indexed_number")
    for number, *row in connection.execute(_TAIL, (account, indexed, end)):
        yield number, stored_message(tuple(row))
    if conversation is not None:
        scope = [conversation_term(conversation)]
    else:
        scope = [account_term(account)]
        rooms = connection.execute(
            "SELECT membership.conversation FROM membership"
            " JOIN conversation ON conversation.key = membership.conversation"
            " WHERE membership.account = ? AND conversation.kind <> ?",
            (account, ConversationKind.PAIR),
        )
        scope += [conversation_term(key) for (key,) in rooms]
    match = " AND ".join([f"({' OR '.join(scope)})", *map(_match, query.terms)])
    for number, *row in connection.execute(_INDEXED, (account, match, end)):
        yield number, stored_message(tuple(row))


def _match(term: Term) -> str:
    # Terms contain only letters, digits, marks and symbols, so quoting the whole is enough.
    if not term.prefix:
        return f'"{term.text}"'
    # Prefixes of 1, 3 and 5 characters have an index (schema.py), which SQLite reads only as far
    # as needed. For another length, FTS5 first collects all matches: cheap only if they are few,
    # as with long words. A shortened prefix finds more; the caller checks the text.
    length = len(term.text)
    if length < LONG_WORD:
        length = max(n for n in PREFIX_LENGTHS if n <= length)
    return f'"{term.text[:length]}" *'


def _row_of_terms(conversation: int, a: int | None, b: int | None, data: str) -> str:
    scope = {conversation_term(conversation)}
    if a is not None and b is not None:
        scope |= {account_term(a), account_term(b)}
    return " ".join(scope | terms(data))


def reindex(
    connection: sqlite3.Connection, changes: Iterable[tuple[int, MessageRecord, MessageRecord]]
) -> None:
    """Index messages again whose text has changed: their numbers, and what they were and are."""
    indexed = counter(connection, "indexed_number")
    # FTS5 starts another segment at each row that is not in order.
    for number, before, after in sorted(changes, key=itemgetter(0)):
        if number > indexed:
            continue
        if after.removed:
            a, b = connection.execute(_ACCOUNTS, (before.conversation,)).fetchone()
            _unindex(connection, number, before.conversation, a, b, before.data)
        else:
            _reindex(connection, number, terms(before.data), terms(after.data))


def _reindex(connection: sqlite3.Connection, number: int, old: set[str], new: set[str]) -> None:
    """Replace the terms that differ.

    FTS5 keeps each term, and each prefix of a term, as an entry of its own. Terms with another
    first character share no entry with those that differ, so they stay as they are; the others
    are deleted and inserted as if they were a row of their own.
    """
    initials = {term[0] for term in old ^ new}
    if not initials:
        return
    gone, added = ([term for term in each if term[0] in initials] for each in (old, new))
    connection.execute(_UNINDEX, (number, " ".join(gone)))
    connection.execute(_INDEX, (number, " ".join(added)))


def _unindex(
    connection: sqlite3.Connection,
    number: int,
    conversation: int,
    a: int | None,
    b: int | None,
    data: str,
) -> None:
    """Remove a message from the index. As the index has no content, FTS5 needs the old text
    (https://sqlite.org/fts5.html#the_delete_command).

    The words stay in the file until FTS5 merges them. Its option ``secure-delete`` (SQLite 3.42)
    would overwrite them at once, but a removal would take 10 ms instead of 0.1 (200,000 messages),
    and earlier versions of SQLite could no longer read the index."""
    connection.execute(_UNINDEX, (number, _row_of_terms(conversation, a, b, data)))
