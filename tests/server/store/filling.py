"""A process that fills its disk with messages, then frees some space.

Usage: python -m tests.server.store.filling ADDRESS BALLAST. It removes the file BALLAST when the
disk is full, and prints what happened as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from uuid import uuid4

from pychat.server.store import Store, StoreUnavailable, open_store
from pychat.server.store.records import NewMessage

TEXT = "filling the disk " * 100


async def is_ready(store: Store) -> bool:
    try:
        await store.check_ready()
    except StoreUnavailable:
        return False
    return True


async def main(address: str, ballast: Path) -> None:
    store = open_store(address)
    await store.open()
    account = await store.create_account("alice", "", None, 1)
    pair = await store.open_pair(account.key, account.key)
    answered = 0

    async def send(count: int) -> int:
        batch = [NewMessage(pair.key, account.key, uuid4().bytes, 1, TEXT) for _ in range(count)]
        return len(await store.append(batch))

    refusals: list[str] = []
    while len(refusals) < 3:
        try:
            answered += await send(5)
        except StoreUnavailable as error:
            refusals.append(str(error))
    ready = await is_ready(store)
    before = answered
    await asyncio.to_thread(ballast.unlink)
    while answered == before:
        try:
            answered += await send(1)
        except StoreUnavailable:
            await asyncio.sleep(0.05)
    ready_again = await is_ready(store)
    await store.close()

    store = open_store(address)
    await store.open()
    print(
        json.dumps(
            {
                "refusals": refusals,
                "ready": [ready, ready_again],
                "answered": answered,
                "stored": await store.last_seq(pair.key),
                "problems": await store.check(),
            }
        )
    )
    await store.close()


asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
