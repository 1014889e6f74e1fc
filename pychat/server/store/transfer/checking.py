"""Whether a store holds what it promises."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pychat.server.store.base import Store
from pychat.server.store.transfer.exporting import read_store
from pychat.server.store.transfer.lines import ConversationLine, End, MemberLine, MessageLine


async def check(store: Store) -> AsyncIterator[str]:
    """What is wrong with the store, a line each, after reading all of it; "" for every message
    that is right."""
    for problem in await store.check():
        yield problem
    name, expected, members = "", 1, list[MemberLine]()
    async for line in read_store(store):
        match line:
            case ConversationLine():
                name, expected, members = line.name, 1, line.members
            case MessageLine():
                if line.seq != expected:
                    yield f"{name}: after seq {expected - 1} comes {line.seq}"
                expected = line.seq + 1
                yield ""
            case End():
                for member in members:
                    if max(member.delivered_seq, member.read_seq) >= expected:
                        yield f"{name}: the cursors of {member.id} are beyond the last message"
