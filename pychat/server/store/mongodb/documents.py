"""Documents of messages, conversations and memberships: their ids, construction and records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pychat.protocol import NotifyLevel
from pychat.server.store.records import (
    ConversationKind,
    ConversationRecord,
    FileRecord,
    Membership,
    MessageRecord,
    NewMessage,
    ReactionRecord,
)
from pychat.server.store.terms import terms

FILE_FIELDS = tuple(name for name in FileRecord.__struct_fields__ if name != "message")
MAX_SEQ = 2**32 - 1

Document = dict[str, Any]
"""A BSON document. The driver does not know the types of its values."""


def message_id(conversation: int, seq: int) -> int:
    """Return the ``_id`` of a message. The ids of a conversation are one range, in order."""
    return conversation << 32 | min(seq, MAX_SEQ)


def of_conversation(conversation: int, after: int = 0, before: int | None = None) -> Document:
    """Return the condition on ``_id`` for the messages between two seqs, both exclusive."""
    end = message_id(conversation + 1, 0) if before is None else message_id(conversation, before)
    return {"$gt": message_id(conversation, after), "$lt": end}


def unique_key(sender: int, client_id: bytes) -> str:
    """Return the value of ``unique``, which makes a message that is sent again a duplicate."""
    return f"{sender}-{client_id.hex()}"


def new_message(
    message: NewMessage, number: int, scope: list[str], file: Document | None
) -> Document:
    """Return a document of ``messages`` without its place. ``scope``: terms that limit a search to
    conversations and accounts. ``file``: the value of the field."""
    optional: Document = {} if message.reply_to is None else {"reply_to": message.reply_to}
    if message.mentions:
        optional["mentions"] = list(message.mentions)
    if file is not None:
        optional["file"] = file
    return {
        **optional,
        "conversation": message.conversation,
        "sender": message.sender,
        "client_id": message.client_id,
        "sent_at": message.sent_at,
        "data": message.data,
        "removed": False,
        "number": number,
        "terms": scope + sorted(terms(message.data)),
    }


def placed(document: Document, seq: int) -> Document:
    """Return the document of a new message at this seq of its conversation."""
    key = message_id(document["conversation"], seq)
    sender, client_id = document["sender"], document["client_id"]
    unique = f"m{key}" if client_id is None else unique_key(sender, client_id)
    return {"_id": key, "seq": seq, "unique": unique, **document}


def message_record(document: Document) -> MessageRecord:
    """Return the record of a document of ``messages``."""
    client_id = document["client_id"]
    file = document.get("file")
    return MessageRecord(
        conversation=document["conversation"],
        seq=document["seq"],
        sender=document["sender"],
        client_id=bytes(client_id) if client_id is not None else None,
        sent_at=document["sent_at"],
        data=document["data"],
        removed=document["removed"],
        reply_to=document.get("reply_to"),
        rev=document.get("rev", 0),
        edited_at=document.get("edited_at"),
        reactions=tuple(
            ReactionRecord(each["rev"], each["emoji"], each["account"])
            for each in document.get("reactions", ())
        ),
        mentions=tuple(document.get("mentions", ())),
        file=None if not file else file_record(file, (document["conversation"], document["seq"])),
    )


def file_document(file: FileRecord) -> Document:
    """Return the value of the field ``file`` of a message."""
    document = msgspec.structs.asdict(file)
    del document["message"]
    return document


def file_record(document: Document, message: tuple[int, int] | None) -> FileRecord:
    """Return the record of a file."""
    return FileRecord(**{name: document[name] for name in FILE_FIELDS}, message=message)


def reaction_documents(reactions: Iterable[ReactionRecord]) -> list[Document]:
    """Return the value of the field ``reactions`` of a message."""
    return [msgspec.structs.asdict(reaction) for reaction in reactions]


def pair_id(low: int, high: int) -> str:
    """Return the ``_id`` of a document of ``pairs``. ``low`` is the smaller key."""
    return f"{low}-{high}"


def new_conversation(conversation: ConversationRecord) -> Document:
    """Return a document of ``conversations`` without messages."""
    return {
        "_id": conversation.key,
        "kind": int(conversation.kind),
        "accounts": list(conversation.accounts),
        "room_id": conversation.room_id,
        "deleted": False,
        "last_seq": 0,
        "last_number": 0,
    }


def conversation_record(document: Document) -> ConversationRecord:
    """Return the record of a document of ``conversations``."""
    return ConversationRecord(
        document["_id"],
        ConversationKind(document["kind"]),
        tuple(document["accounts"]),
        document["room_id"],
    )


def member_id(conversation: int, account: int) -> str:
    """Return the ``_id`` of a membership."""
    return f"{conversation}-{account}"


def new_member(conversation: int, kind: ConversationKind, account: int, before: int) -> Document:
    """Return a document of ``memberships`` whose first readable message is the one after the seq
    ``before``."""
    return {
        "_id": member_id(conversation, account),
        "conversation": conversation,
        "account": account,
        "kind": int(kind),
        "first_seq": before + 1,
        "delivered_seq": before,
        "read_seq": before,
    }


def member_fields(membership: Membership) -> Document:
    """Return the fields of a document of ``memberships`` that the record has. ``notify`` is missing
    in a new document, which stands for all messages."""
    return msgspec.structs.asdict(membership) | {"notify": membership.notify.value}


def membership_record(document: Document) -> Membership:
    """Return the record of a document of ``memberships``."""
    return Membership(
        document["conversation"],
        document["account"],
        document["first_seq"],
        document["delivered_seq"],
        document["read_seq"],
        NotifyLevel(document.get("notify", NotifyLevel.ALL)),
    )
