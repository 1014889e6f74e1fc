"""A store that is lost ends the chat; one that fails for a while does not."""

from __future__ import annotations

import asyncio

import pytest

from pychat.server.chat.accounts import changes
from pychat.server.store.base import StoreLost, StoreUnavailable
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import chatting, logged_in
from tests.server.chat.peers import WAIT


class FailingStore(DelayedStore):
    """The counter of account changes fails with the next of ``errors``."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []
        self.read = asyncio.Event()

    async def account_changes(self) -> int:
        if self.errors:
            raise self.errors.pop(0)
        self.read.set()
        return await self.inner.account_changes()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.01)


class Fault(BaseException):
    """One that nothing handles."""


@pytest.mark.parametrize("error", [StoreLost("somebody else uses the store"), Fault("simulated")])
async def test_the_reason_is_told_and_nothing_is_waited_for(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    store = FailingStore()
    async with chatting(store) as chat:
        held = store.hold("find_accounts")
        alice = await logged_in(chat, "alice")
        alice.start("users")
        await held.called.wait()
        store.errors = [error]
        assert await asyncio.wait_for(chat.failed, WAIT) is error
    logged = [record.getMessage() for record in caplog.records]
    expected = ["background task ended: account watch"] if isinstance(error, Fault) else []
    assert logged == expected


async def test_it_is_read_again_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    store = FailingStore()
    async with chatting(store) as chat:
        for times, error in (
            (2, StoreUnavailable("away")),
            (1, RuntimeError("simulated")),
            (1, StoreUnavailable("away")),
        ):
            store.errors = [error] * times
            store.read.clear()
            await asyncio.wait_for(store.read.wait(), WAIT)
        assert not chat.failed.done()
    logged = [record.getMessage() for record in caplog.records]
    assert logged == [
        "account changes cannot be read: away",
        "account changes cannot be read",
        "account changes cannot be read: away",
    ]
