"""The one thread that writes: all that waits goes into one transaction (group commit)."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from pychat.server.store.base import AlreadyExists
from pychat.server.store.sqlite.connect import unavailable

T = TypeVar("T")

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.05
WINDOW_SECONDS = 0.1
LIGHT_LOAD = 1_500  # a second, of messages and whatever else is written


class _Work(NamedTuple):
    run: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    amount: int


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    error: Exception | None


class Writer:
    """``submit`` from the event loop; the answer comes once the transaction is on disk.

    ``idle_work`` is called, in a transaction of its own, when nothing waits or the load is light;
    it says whether it has more to do. ``rolled_back`` is called when what a transaction did is
    void. Both run in the thread.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        idle_work: Callable[[sqlite3.Connection], bool],
        rolled_back: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._path = path
        self._idle_work = idle_work
        self._rolled_back = rolled_back
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._window_start = monotonic()
        self._written = 0
        self._thread = threading.Thread(target=self._run, name="pychat-store-writer", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[sqlite3.Connection], T], amount: int) -> asyncio.Future[T]:
        """Runs it in the next transaction; raises what it raised, or StoreUnavailable.

        Raising AlreadyExists, it must not have written anything yet. ``amount``: how much it
        writes, to know the load.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            raise RuntimeError("the store is closed")
        self._queue.put(_Work(run, future, amount))
        return future

    async def close(self) -> None:
        """Returns when all that was submitted is written."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- in the thread ---

    def _run(self) -> None:
        idle_left = True
        while True:
            try:
                first = self._queue.get(timeout=IDLE_SECONDS if idle_left else None)
            except Empty:
                idle_left = self._idle()
                continue
            batch: list[_Work] = []
            closing = False
            while True:
                if first is None:
                    closing = True
                else:
                    batch.append(first)
                try:
                    first = self._queue.get_nowait()
                except Empty:
                    break
            if batch:
                idle_left = True
                self._write(batch)
                if not closing and self._load_is_light():
                    self._idle()
            if closing:
                return

    def _write(self, batch: list[_Work]) -> None:
        outcomes = self._commit(batch)
        self._written += sum(work.amount for work in batch)
        try:
            self._loop.call_soon_threadsafe(_answer, outcomes)
        except RuntimeError:
            # The event loop is gone: nobody is left to be told.
            return

    def _commit(self, batch: list[_Work]) -> list[_Outcome]:
        """The batch in one transaction; if that fails, each on its own, so that one does not harm
        the others. Savepoints would do it too, but SQLite copies every page changed in one."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(work) for work in batch]
            self._connection.execute("COMMIT")
        except Exception as error:
            self._undo()
            # These are of the file, not of what was written: a full disk, a lock, damage.
            of_the_file = type(error) in (sqlite3.OperationalError, sqlite3.DatabaseError)
            if len(batch) > 1 and not of_the_file:
                return [outcome for work in batch for outcome in self._commit([work])]
            if isinstance(error, sqlite3.Error):
                error = unavailable(error, self._path)
            return [_Outcome(work.future, None, error) for work in batch]
        return outcomes

    def _attempt(self, work: _Work) -> _Outcome:
        try:
            return _Outcome(work.future, work.run(self._connection), None)
        except AlreadyExists as error:
            return _Outcome(work.future, None, error)

    def _undo(self) -> None:
        # SQLite itself has rolled back after some errors (a full disk among them).
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._rolled_back()

    def _load_is_light(self) -> bool:
        now = monotonic()
        passed = now - self._window_start
        if passed < WINDOW_SECONDS:
            return False
        light = self._written < passed * LIGHT_LOAD
        self._window_start, self._written = now, 0
        return light

    def _idle(self) -> bool:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            more = self._idle_work(self._connection)
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            # Whoever writes next is told what is wrong; this can wait until then.
            self._undo()
            return False
        except Exception:
            logger.exception("indexing for search failed; it is tried again after the next write")
            self._undo()
            return False
        return more


def _answer(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
