"""A process that appends and edits messages until a test kills it, and prints what was stored.

Usage: python -m tests.server.store.appending ADDRESS. Each line of the output is a stored message:
conversation, seq, client id; or a change of one, with its rev and the new text besides.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import pairwise
from uuid import uuid4

from pychat.server.store import open_store
from pychat.server.store.records import ChangeResult, NewEdit, NewMessage

ACCOUNTS = 6


async def main(address: str) -> None:
    store = open_store(address)
    await store.open()
    keys = []
    for n in range(ACCOUNTS):
        account = await store.account(f"user{n}") or await store.create_account(
            f"user{n}", "", None, 1
        )
        keys.append(account.key)
    pairs = [(a, (await store.open_pair(a, b)).key) for a, b in pairwise(keys)]
    sizes = (1, 3, 40, 7)
    n = 0
    while True:
        batch = [
            NewMessage(pairs[i % len(pairs)][1], pairs[i % len(pairs)][0], uuid4().bytes, n, f"{n}")
            for i in range(sizes[n % len(sizes)])
        ]
        # Repeat one, as clients do that got no answer.
        answers = await store.append([*batch, batch[0]])
        for message, answer in zip(batch, answers, strict=False):
            assert message.client_id is not None
            print(answer.conversation, answer.seq, message.client_id.hex())
        sys.stdout.flush()
        # Each message once, so that every rev is the newest of its message.
        edits = [
            NewEdit(answer.conversation, answer.seq, message.sender, f"edited-{n}", n + 1)
            for message, answer in zip(batch[:5], answers, strict=False)
        ]
        changed = await store.commit(edits)
        for message, result in zip(batch, changed, strict=False):
            assert isinstance(result, ChangeResult)
            assert result.message is not None
            assert message.client_id is not None
            after = result.message
            place = after.conversation, after.seq, message.client_id.hex()
            print(*place, after.rev, after.data)
        sys.stdout.flush()
        n += 1


asyncio.run(main(sys.argv[1]))
