"""The tables of the SQLite store, and the migrations from older versions."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from pychat.server.store.base import StoreError
from pychat.server.store.lookalikes import lookalike_form
from pychat.server.store.records import EVERYONE
from pychat.server.store.terms import terms

APPLICATION_ID = 0x70794368
""""pyCh": distinguishes the file from other SQLite databases."""
PREFIX_LENGTHS = (1, 3, 5)
"""Lengths of the word prefixes that the full-text index has, in characters."""
NEW_EPOCH = "lower(hex(randomblob(16)))"
"""SQL expression for the id of new content (``base.Store.epoch``)."""

_VERSION_1 = (
    """CREATE TABLE account (
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        canonical TEXT NOT NULL UNIQUE,
        lookalike TEXT NOT NULL UNIQUE,
        alias TEXT NOT NULL,
        password_hash TEXT,
        disabled INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        last_seen_at INTEGER
    )""",
    """CREATE TABLE account_term (
        term TEXT NOT NULL,
        account INTEGER NOT NULL,
        PRIMARY KEY (term, account)
    ) WITHOUT ROWID""",
    "CREATE INDEX account_term_account ON account_term (account)",
    """CREATE TABLE session (
        token_hash BLOB PRIMARY KEY,
        id TEXT NOT NULL,
        account INTEGER NOT NULL,
        device TEXT NOT NULL,
        since INTEGER NOT NULL,
        last_seen_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX session_account ON session (account)",
    """CREATE TABLE block (
        account INTEGER NOT NULL,
        other INTEGER NOT NULL,
        PRIMARY KEY (account, other)
    ) WITHOUT ROWID""",
    # deleted: 1 for a deleted room whose messages still exist, 2 once they are deleted.
    """CREATE TABLE conversation (
        key INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        a INTEGER,
        b INTEGER,
        room_id TEXT NOT NULL DEFAULT '',
        deleted INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE UNIQUE INDEX conversation_pair ON conversation (a, b) WHERE a IS NOT NULL",
    "CREATE INDEX conversation_to_purge ON conversation (key) WHERE deleted = 1",
    f"INSERT INTO conversation (key, kind) VALUES ({EVERYONE.key}, 2)",
    """CREATE TABLE room (
        canonical TEXT PRIMARY KEY,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        owner INTEGER NOT NULL,
        conversation INTEGER NOT NULL UNIQUE
    ) WITHOUT ROWID""",
    """CREATE TABLE membership (
        account INTEGER NOT NULL,
        conversation INTEGER NOT NULL,
        first_seq INTEGER NOT NULL,
        delivered_seq INTEGER NOT NULL,
        read_seq INTEGER NOT NULL,
        PRIMARY KEY (account, conversation)
    ) WITHOUT ROWID""",
    "CREATE INDEX membership_conversation ON membership (conversation, account)",
    # Clustered by conversation, so that a page of history is contiguous in the file.
    # number: counts the messages of the whole store in the order of their commits.
    # data: NULL once the message is removed.
    """CREATE TABLE message (
        conversation INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        number INTEGER NOT NULL,
        sender INTEGER NOT NULL,
        client_id BLOB,
        sent_at INTEGER NOT NULL,
        data TEXT,
        PRIMARY KEY (conversation, seq)
    ) WITHOUT ROWID""",
    # The place of the message with a client id. Rows are written later than the messages, many at
    # once (appender.ClientIds), up to the message with the number in counter client_id_number.
    """CREATE TABLE client_id (
        sender INTEGER NOT NULL,
        client_id BLOB NOT NULL,
        conversation INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (sender, client_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE log (
        number INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL,
        seq INTEGER NOT NULL
    )""",
    # One row per message, by its number. It contains only the terms, not the text.
    """CREATE VIRTUAL TABLE terms USING fts5 (
        text, content = '', detail = none, columnsize = 0, prefix = '1 3 5',
        tokenize = "ascii tokenchars '_'"
    )""",
    "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO counter VALUES ('account_changes', 0), ('indexed_number', 0),"
    " ('client_id_number', 0)",
)

# What a blocked user continues to see of the blocking account.
_VERSION_2 = (
    "ALTER TABLE block ADD COLUMN since INTEGER",
    "ALTER TABLE block ADD COLUMN alias TEXT NOT NULL DEFAULT ''",
    """UPDATE block SET (since, alias) = (
        SELECT coalesce(last_seen_at, created_at), alias FROM account WHERE key = block.account
    )""",
    "CREATE INDEX block_other ON block (other)",
)

# Search terms and look-alike forms cover more characters (terms.py, lookalikes.py). Messages are
# indexed in idle time, and scanned until then. Of existing accounts that look alike, only one gets
# the form that they share.
_VERSION_3 = (
    "INSERT INTO terms (terms) VALUES ('delete-all')",
    "UPDATE counter SET value = 0 WHERE name = 'indexed_number'",
    "DELETE FROM account_term",
    "INSERT INTO account_term SELECT term.value, account.key"
    " FROM account, json_each(account_terms(account.id, account.alias)) AS term",
    "UPDATE OR IGNORE account SET lookalike = lookalike_form(id)"
    " WHERE lookalike <> lookalike_form(id)",
)

# Changes of messages. ``change`` has the newest rev of each changed message. A conversation whose
# messages were never changed has no row there, and costs nothing.
_VERSION_4 = (
    "ALTER TABLE message ADD COLUMN reply_to INTEGER",
    """CREATE TABLE change (
        conversation INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        rev INTEGER NOT NULL,
        edited_at INTEGER,
        PRIMARY KEY (conversation, seq)
    ) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX change_rev ON change (conversation, rev)",
    """CREATE TABLE reaction (
        conversation INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        rev INTEGER NOT NULL,
        emoji TEXT NOT NULL,
        account INTEGER NOT NULL,
        PRIMARY KEY (conversation, seq, rev)
    ) WITHOUT ROWID""",
    "CREATE TABLE property (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    f"INSERT INTO property VALUES ('epoch', {NEW_EPOCH})",
)

_VERSION_5 = (
    """CREATE TABLE hook (
        token_hash BLOB PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        conversation INTEGER NOT NULL,
        account INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
)

# Whom messages mention; account 0 is all members of the room. Older messages have no rows: they
# mention nobody. ``standing``: as in records.Standing; most members have no row.
# Messages may have a file.
_VERSION_6 = (
    """CREATE TABLE mention (
        account INTEGER NOT NULL,
        conversation INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (account, conversation, seq)
    ) WITHOUT ROWID""",
    "CREATE INDEX mention_message ON mention (conversation, seq)",
    "ALTER TABLE room ADD COLUMN topic TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE room ADD COLUMN private INTEGER NOT NULL DEFAULT 0",
    """CREATE TABLE standing (
        conversation INTEGER NOT NULL,
        account INTEGER NOT NULL,
        standing INTEGER NOT NULL,
        PRIMARY KEY (conversation, account)
    ) WITHOUT ROWID""",
    # The content is in a folder beside the database. conversation and seq: NULL until the file is
    # attached to a message.
    """CREATE TABLE file (
        id TEXT PRIMARY KEY,
        account INTEGER NOT NULL,
        name TEXT NOT NULL,
        size INTEGER NOT NULL,
        mime TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        width INTEGER,
        height INTEGER,
        blurhash TEXT NOT NULL,
        conversation INTEGER,
        seq INTEGER
    ) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX file_message ON file (conversation, seq) WHERE conversation IS NOT NULL",
    "CREATE INDEX file_account ON file (account)",
    "CREATE INDEX file_unattached ON file (created_at) WHERE conversation IS NULL",
    # status: a protocol.Availability.
    "ALTER TABLE account ADD COLUMN status TEXT NOT NULL DEFAULT 'online'",
    "ALTER TABLE account ADD COLUMN status_text TEXT NOT NULL DEFAULT ''",
    # A protocol.NotifyLevel, NULL for all.
    "ALTER TABLE membership ADD COLUMN notify TEXT",
)

MIGRATIONS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5, _VERSION_6)
"""The statements that migrate each schema version to the next. Do not change released ones."""

VERSION = len(MIGRATIONS)


def prepare(connection: sqlite3.Connection, path: Path, *, may_migrate: bool) -> None:
    """Create the tables in a new file, or migrate an older one.

    Raises StoreError if the file is not a pychat store or has a newer schema, or if it has an
    older one and ``may_migrate`` is false.
    """
    version = checked_version(connection, path)
    if version == VERSION:
        return
    if version and not may_migrate:
        raise StoreError(f"{path} was made by an older pychat: start the server once to upgrade it")
    connection.create_function("lookalike_form", 1, lookalike_form, deterministic=True)
    connection.create_function("account_terms", 2, _account_terms, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have migrated it meanwhile.
        for migration in MIGRATIONS[checked_version(connection, path) :]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def renew_epoch(connection: sqlite3.Connection) -> None:
    """Give the content a new epoch, in the caller's transaction if there is one."""
    connection.execute(f"UPDATE property SET value = {NEW_EPOCH} WHERE name = 'epoch'")


def _account_terms(id: str, alias: str) -> str:
    return json.dumps(sorted(terms(f"{id} {alias}")))


def checked_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version of the file, 0 if it is empty. Raises StoreError if the file is
    not a pychat store or has a newer schema."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application_id == 0 and version == 0 and tables == 0:
        return 0
    if application_id != APPLICATION_ID:
        raise StoreError(
            f"{path} is a SQLite database, but not a pychat store: choose another file"
        )
    if version > VERSION:
        raise StoreError(
            f"{path} was made by a newer pychat (schema {version}, this one knows {VERSION}):"
            " upgrade pychat"
        )
    return int(version)
