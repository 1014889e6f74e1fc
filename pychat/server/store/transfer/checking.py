"""Check the content of a store."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pychat.server.store.base import Store
from pychat.server.store.transfer.exporting import read_store
from pychat.server.store.transfer.lines import ConversationLine, End, MemberLine, MessageLine


async def check(store: Store) -> AsyncIterator[str]:
    """Read the whole store. Yields one line for each inconsistency, and "" for each correct
    message, so that the caller can show progress."""
    for problem in await store.check():
        yield problem
    name, expected, members = "", 1, list[MemberLine]()
    async for line in read_store(store):
        match line:
            case ConversationLine():
                name, expected, members = line.name, 1, line.members
            case MessageLine():
                if line.seq != expected:
                    yield f"{name}: seq {line.seq} follows seq {expected - 1}"
                expected = line.seq + 1
                yield ""
            case End():
                for member in members:
                    if max(member.delivered_seq, member.read_seq) >= expected:
                        yield f"{name}: the cursors of {member.id} are beyond the last message"
