"""The rule for changes of messages, which all stores share: what is allowed, and what results."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from pychat.protocol import MAX_REACTION_KINDS, MAX_REACTIONS
from pychat.server.store.records import (
    Changed,
    MessageRecord,
    NewChange,
    NewEdit,
    NewReaction,
    NewRemoval,
    Outcome,
    ReactionRecord,
)


def decide(change: NewChange, message: MessageRecord | None, rev: int) -> Changed:
    """Return the outcome of a change of this message. ``rev``: the number of the change if it is
    done. A change that is repeated leaves the message unchanged."""
    if message is None:
        return Changed(Outcome.MISSING, None)
    match change:
        case NewEdit():
            return _edit(change, message, rev)
        case NewRemoval():
            return _remove(change, message, rev)
        case NewReaction():
            return _react(change, message, rev)


def _edit(edit: NewEdit, message: MessageRecord, rev: int) -> Changed:
    if message.sender != edit.account:
        return Changed(Outcome.FORBIDDEN, message)
    if message.removed:
        return Changed(Outcome.REMOVED, message)
    if message.data == edit.data:
        return Changed(Outcome.UNCHANGED, message)
    if edit.base is not UNSET and edit.base != message.edited_at:
        return Changed(Outcome.CONFLICT, message)
    # The time identifies the text for ``base``, so two edits never have the same.
    edited_at = max(edit.edited_at, (message.edited_at or 0) + 1)
    return Changed(Outcome.DONE, replace(message, data=edit.data, edited_at=edited_at, rev=rev))


def _remove(removal: NewRemoval, message: MessageRecord, rev: int) -> Changed:
    if not removal.of_others and message.sender != removal.account:
        return Changed(Outcome.FORBIDDEN, message)
    if message.removed:
        return Changed(Outcome.UNCHANGED, message)
    return Changed(
        Outcome.DONE,
        replace(message, data="", removed=True, edited_at=None, reactions=(), rev=rev),
    )


def _react(reaction: NewReaction, message: MessageRecord, rev: int) -> Changed:
    if message.sender in reaction.blocked:
        return Changed(Outcome.MISSING, None)
    if message.removed:
        return Changed(Outcome.REMOVED, message)
    others = tuple(
        each
        for each in message.reactions
        if (each.emoji, each.account) != (reaction.emoji, reaction.account)
    )
    if (len(others) < len(message.reactions)) == reaction.on:
        return Changed(Outcome.UNCHANGED, message)
    if not reaction.on:
        return Changed(Outcome.DONE, replace(message, reactions=others, rev=rev))
    kinds = {each.emoji for each in others}
    new_kind = reaction.emoji not in kinds
    if len(others) >= MAX_REACTIONS or (new_kind and len(kinds) >= MAX_REACTION_KINDS):
        return Changed(Outcome.FULL, message)
    added = ReactionRecord(rev, reaction.emoji, reaction.account)
    return Changed(Outcome.DONE, replace(message, reactions=(*others, added), rev=rev))
