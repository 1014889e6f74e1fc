"""Erasure of a person: their messages, files, reactions, logins and names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from msgspec import Struct

from pychat.protocol import Availability
from pychat.server.store.base import Store
from pychat.server.store.records import (
    Account,
    MessageRecord,
    NewChange,
    NewReaction,
    NewRemoval,
)

PAGE = 500


class Erased(Struct):
    """What was erased."""

    messages: int = 0
    reactions: int = 0


async def owned_rooms(store: Store, account: Account) -> list[str]:
    """Return the ids of the rooms that an account owns."""
    return [room.id for room in await store.rooms() if room.owner == account.key]


async def erase(
    store: Store, account: Account, password_hash: str, advance: Callable[[int], None]
) -> Erased:
    """Erase what the store has of a person who owns no room. Only with exclusive access.

    The account stays, disabled and without an alias, so that nobody else can take its id.
    ``password_hash``: of a password that nobody knows. ``advance`` is called with the number of
    messages read. If this is interrupted, it can be repeated.
    """
    key = account.key
    # First: nobody must get in again if this is interrupted.
    await store.update_account(key, password_hash=password_hash, disabled=True)
    tokens = await store.login_tokens(key)
    await store.revoke_login_tokens(key, [token.id for token in tokens])
    for hook in await store.hooks():
        if hook.account == key:
            await store.remove_hook(hook.id)
    erased = Erased()
    rooms = [room.conversation for room in await store.rooms()]
    pairs = [pair.key for pair in await store.pairs(key)]
    for conversation in ((await store.everyone()).key, *rooms, *pairs):
        async for page in _pages(store, conversation):
            await _erase_page(store, key, page, erased)
            advance(len(page))
    for conversation in rooms:
        await store.leave_room(conversation, key)
    for other in await store.blocked(key):
        await store.unblock(key, other)
    await store.update_account(
        key, alias=account.id, status=Availability.ONLINE, status_text="", last_seen_at=0
    )
    return erased


async def _pages(store: Store, conversation: int) -> AsyncIterator[list[MessageRecord]]:
    after, more = 0, True
    while more:
        page = await store.history(conversation, first_seq=1, before=None, after=after, limit=PAGE)
        if page.messages:
            yield page.messages
            after = page.messages[-1].seq
        more = page.more and bool(page.messages)


async def _erase_page(store: Store, key: int, page: list[MessageRecord], erased: Erased) -> None:
    changes: list[NewChange] = []
    for message in page:
        place = (message.conversation, message.seq)
        if message.sender == key and not message.removed:
            changes.append(NewRemoval(*place, key))
            erased.messages += 1
        for reaction in message.reactions:
            if reaction.account == key and not message.removed and message.sender != key:
                changes.append(NewReaction(*place, key, reaction.emoji, on=False))
                erased.reactions += 1
    if changes:
        await store.commit(changes)
