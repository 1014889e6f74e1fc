"""The rule for changes of messages, which all stores share: what is allowed, and what results."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from pychat.protocol import MAX_REACTION_KINDS, MAX_REACTIONS
from pychat.server.store.records import (
    ChangeResult,
    MessageRecord,
    NewChange,
    NewEdit,
    NewReaction,
    NewRemoval,
    Outcome,
    ReactionRecord,
)


def decide(change: NewChange, message: MessageRecord | None, rev: int) -> ChangeResult:
    """Return the outcome of a change of this message. ``rev``: the number of the change if it is
    done. A change that is repeated leaves the message unchanged."""
    if message is None:
        return ChangeResult(Outcome.MISSING, None)
    match change:
        case NewEdit():
            return _edit(change, message, rev)
        case NewRemoval():
            return _remove(change, message, rev)
        case NewReaction():
            return _react(change, message, rev)


def _edit(edit: NewEdit, message: MessageRecord, rev: int) -> ChangeResult:
    if message.sender != edit.account:
        return ChangeResult(Outcome.FORBIDDEN, message)
    if message.removed:
        return ChangeResult(Outcome.REMOVED, message)
    if message.data == edit.data:
        return ChangeResult(Outcome.UNCHANGED, message)
    if edit.base is not UNSET and edit.base != message.edited_at:
        return ChangeResult(Outcome.CONFLICT, message)
    # The time identifies the text for ``base``, so two edits never have the same.
    edited_at = max(edit.edited_at, (message.edited_at or 0) + 1)
    return ChangeResult(
        Outcome.DONE,
        replace(message, data=edit.data, edited_at=edited_at, mentions=edit.mentions, rev=rev),
    )


def _remove(removal: NewRemoval, message: MessageRecord, rev: int) -> ChangeResult:
    if not removal.of_others and message.sender != removal.account:
        return ChangeResult(Outcome.FORBIDDEN, message)
    if message.removed:
        return ChangeResult(Outcome.UNCHANGED, message)
    return ChangeResult(
        Outcome.DONE,
        replace(
            message,
            data="",
            removed=True,
            edited_at=None,
            reactions=(),
            mentions=(),
            file=None,
            rev=rev,
        ),
    )


def _react(reaction: NewReaction, message: MessageRecord, rev: int) -> ChangeResult:
    if message.sender in reaction.blocked:
        return ChangeResult(Outcome.MISSING, None)
    if message.removed:
        return ChangeResult(Outcome.REMOVED, message)
    others = tuple(
        each
        for each in message.reactions
        if (each.emoji, each.account) != (reaction.emoji, reaction.account)
    )
    if (len(others) < len(message.reactions)) == reaction.on:
        return ChangeResult(Outcome.UNCHANGED, message)
    if not reaction.on:
        return ChangeResult(Outcome.DONE, replace(message, reactions=others, rev=rev))
    kinds = {each.emoji for each in others}
    new_kind = reaction.emoji not in kinds
    if len(others) >= MAX_REACTIONS or (new_kind and len(kinds) >= MAX_REACTION_KINDS):
        return ChangeResult(Outcome.FULL, message)
    added = ReactionRecord(rev, reaction.emoji, reaction.account)
    return ChangeResult(Outcome.DONE, replace(message, reactions=(*others, added), rev=rev))
