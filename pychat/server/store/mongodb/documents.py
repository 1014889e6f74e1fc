"""Documents of messages as records, and back."""

from __future__ import annotations

from pychat.server.store.mongodb.schema import Document, message_id
from pychat.server.store.records import MessageRecord, NewMessage
from pychat.server.store.terms import terms


def stored_message(document: Document) -> MessageRecord:
    """The record of a document of ``messages``."""
    client_id = document["client_id"]
    return MessageRecord(
        conversation=document["conversation"],
        seq=document["seq"],
        sender=document["sender"],
        client_id=bytes(client_id) if client_id is not None else None,
        sent_at=document["sent_at"],
        data=document["data"],
        removed=document["removed"],
    )


def new_document(message: NewMessage, number: int, scope: list[str]) -> Document:
    """Without its place: ``place`` gives it one. ``scope``: who may find it."""
    return {
        "conversation": message.conversation,
        "sender": message.sender,
        "client_id": message.client_id,
        "sent_at": message.sent_at,
        "data": message.data,
        "removed": False,
        "number": number,
        "terms": scope + sorted(terms(message.data)),
    }


def place(document: Document, seq: int) -> Document:
    """The document at this seq of its conversation."""
    key = message_id(document["conversation"], seq)
    sender, client_id = document["sender"], document["client_id"]
    unique = f"m{key}" if client_id is None else unique_key(sender, client_id)
    return {"_id": key, "seq": seq, "unique": unique, **document}


def unique_key(sender: int, client_id: bytes) -> str:
    """What no two messages share: sent again, it is the same message."""
    return f"{sender}-{client_id.hex()}"


def conversation_term(conversation: int) -> str:
    """The term of every message in it; no word begins with an underscore."""
    return f"_c{conversation}"


def account_term(account: int) -> str:
    """The term of every message in one of its pairs."""
    return f"_a{account}"
