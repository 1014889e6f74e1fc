"""What changes have added to messages in SQLite: revs, edit times and reactions.

They are in tables of their own: a reaction must not rewrite the pages of a long message, and a
conversation that was never changed must not cost more.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from msgspec.structs import replace

from pychat.server.store.records import MessageRecord, ReactionRecord


def last_rev(connection: sqlite3.Connection, conversation: int) -> int:
    """Return the number of the conversation's last change, 0 if there is none."""
    (rev,) = connection.execute(
        "SELECT max(rev) FROM change WHERE conversation = ?", (conversation,)
    ).fetchone()
    return rev or 0


def complete(
    connection: sqlite3.Connection, messages: Iterable[MessageRecord]
) -> list[MessageRecord]:
    """Return the messages with their revs, edit times and reactions, in the same order."""
    messages = list(messages)
    seqs: dict[int, list[int]] = {}
    for message in messages:
        seqs.setdefault(message.conversation, []).append(message.seq)
    details: dict[tuple[int, int], tuple[int, int | None]] = {}
    reactions: dict[tuple[int, int], list[ReactionRecord]] = {}
    for conversation, wanted in seqs.items():
        if not last_rev(connection, conversation):
            continue
        low, high = min(wanted), max(wanted)
        within = "seq BETWEEN ? AND ?"
        parameters: tuple[int | str, ...] = (conversation, low, high)
        if high - low >= 2 * len(wanted):
            within = "seq IN (SELECT value FROM json_each(?))"
            parameters = (conversation, json.dumps(wanted))
        for seq, rev, edited_at in connection.execute(
            f"SELECT seq, rev, edited_at FROM change WHERE conversation = ? AND {within}",
            parameters,
        ):
            details[conversation, seq] = (rev, edited_at)
        for seq, rev, emoji, account in connection.execute(
            "SELECT seq, rev, emoji, account FROM reaction"
            f" WHERE conversation = ? AND {within} ORDER BY conversation, seq, rev",
            parameters,
        ):
            found = reactions.setdefault((conversation, seq), [])
            found.append(ReactionRecord(rev, emoji, account))
    if not details:
        return messages
    return [_with_details(message, details, reactions) for message in messages]


def _with_details(
    message: MessageRecord,
    details: dict[tuple[int, int], tuple[int, int | None]],
    reactions: dict[tuple[int, int], list[ReactionRecord]],
) -> MessageRecord:
    place = message.conversation, message.seq
    if place not in details:
        return message
    rev, edited_at = details[place]
    return replace(message, rev=rev, edited_at=edited_at, reactions=tuple(reactions.get(place, ())))
