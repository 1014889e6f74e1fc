"""What a store has of one person, as lines of JSON for that person to read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from pychat.protocol import EVERYONE, ROOM_PREFIX
from pychat.server.store.base import Store
from pychat.server.store.records import Account
from pychat.server.store.transfer.exporting import Lost, read_store
from pychat.server.store.transfer.lines import (
    AccountLine,
    ConversationLine,
    FileLine,
    MessageLine,
    ReactionLine,
)


async def person_lines(
    store: Store, account: Account, lost: Lost, files: list[FileLine]
) -> AsyncIterator[dict[str, Any]]:
    """Yield the account, the conversations it is in, its messages and its reactions.

    Messages of others, passwords and tokens are left out. ``files`` receives the files of the
    messages. ``lost``: see ``read_store``. Raises StoreDamaged.
    """
    conversation = ""
    unused: list[FileLine] = []  # of everybody
    async for line in read_store(store, lost, unused):
        match line:
            case AccountLine(id=account.id):
                yield _account(line)
            case ConversationLine():
                conversation = _name(line, account.id)
                part = _part(line, conversation, account.id)
                if part is not None:
                    yield part
            case MessageLine():
                if line.sender == account.id:
                    yield _message(line, conversation)
                for reaction in line.reactions or ():
                    if reaction.id == account.id:
                        yield _reaction(reaction, line, conversation)
                if line.sender == account.id and line.file is not UNSET:
                    files.append(line.file)
                unused.clear()


def _account(line: AccountLine) -> dict[str, Any]:
    return {
        "type": "account",
        "id": line.id,
        "alias": line.alias,
        "created": _time(line.created_at),
        "lastSeen": None if line.last_seen_at is None else _time(line.last_seen_at),
        "disabled": line.disabled,
        "status": line.status or "online",
        "statusText": line.status_text or "",
        "blocked": line.blocked,
        "devices": [
            {
                "device": each.device,
                "since": _time(each.since),
                "lastSeen": _time(each.last_seen_at),
                "expires": _time(each.expires_at),
            }
            for each in line.sessions
        ],
    }


def _name(line: ConversationLine, id: str) -> str:
    if line.kind == "everyone":
        return EVERYONE
    if line.kind == "room":
        return ROOM_PREFIX + line.room_id
    return next((other for other in line.between if other != id), id)


def _part(line: ConversationLine, name: str, id: str) -> dict[str, Any] | None:
    """What the person is in a conversation, None if there is nothing."""
    if line.kind == "pair" and id not in line.between:
        return None
    found: dict[str, Any] = {"type": "conversation", "name": name}
    if line.kind == "room":
        found["title"] = line.room_name
        if line.room_owner == id:
            found["role"] = "owner"
        for standing in line.standings or ():
            if standing.id == id:
                found["role"] = standing.standing
    for member in line.members:
        if member.id == id:
            found |= {"deliveredSeq": member.delivered_seq, "readSeq": member.read_seq}
            found["notify"] = member.notify or "all"
    return found if len(found) > 2 + (line.kind == "room") else None


def _message(line: MessageLine, conversation: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "message",
        "conversation": conversation,
        "seq": line.seq,
        "sentAt": _time(line.sent_at),
        "text": line.data,
    }
    if line.removed:
        found["removed"] = True
    if line.edited_at is not UNSET:
        found["editedAt"] = _time(line.edited_at)
    if line.reply_to is not UNSET:
        found["replyTo"] = line.reply_to
    if line.mentions is not UNSET:
        found["mentions"] = line.mentions
    if line.file is not UNSET:
        file = line.file
        found["file"] = {"id": file.id, "name": file.name, "size": file.size, "mime": file.mime}
    return found


def _reaction(line: ReactionLine, to: MessageLine, conversation: str) -> dict[str, Any]:
    place = {"conversation": conversation, "seq": to.seq}
    return {"type": "reaction", **place, "emoji": line.emoji}


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
