"""The writer thread of the SQLite store: group commit, idle work, and the probe of readiness."""

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

from pychat.server.store.base import AlreadyExists, StoreLost, StoreUnavailable
from pychat.server.store.sqlite.file.connect import explain, free_bytes, is_full, unavailable
from pychat.server.store.sqlite.file.files import DatabaseFiles

T = TypeVar("T")

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.05
WINDOW_SECONDS = 0.1
LIGHT_LOAD = 1_500
"""Below this amount of writes per second, the thread also does idle work."""
FRESH_SECONDS = 1.0
"""A commit within this time proves that the store can be written."""
PROBE_SECONDS = 5.0
ENOUGH_BYTES = 1024 * 1024


class _Work(NamedTuple):
    run: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    amount: int


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    error: Exception | None


class WriterThread:
    """Runs submitted functions in transactions. Functions that are submitted while a transaction
    is being written share the next one; each result is set after its transaction is on disk.

    The thread checks ``files`` before it sets results. If files are lost, or the thread cannot
    continue for another reason, it ends, and all pending and later submissions raise StoreLost.
    ``idle_work`` runs in a transaction of its own while nothing is pending or the load is light;
    it returns whether there is more to do. ``rolled_back`` runs after a rollback, to drop what was
    cached. Both run in the thread.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        files: DatabaseFiles,
        *,
        idle_work: Callable[[sqlite3.Connection], bool],
        rolled_back: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._path = path
        self._files = files
        self._idle_work = idle_work
        self._rolled_back = rolled_back
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._batch: list[_Work] = []
        """Work that the thread has taken and not finished."""
        self._probe: asyncio.Future[None] | None = None
        self._committed_at = float("-inf")
        """Time of the last successful commit, minus infinity if a transaction has failed since."""
        self._was_full = False
        self.lost = ""
        """Why the thread ended before ``close``; empty while it runs."""
        self._window_start = monotonic()
        self._written = 0
        self._thread = threading.Thread(target=self._run, name="pychat-store-writer", daemon=True)
        self._thread.start()

    def submit(self, run: Callable[[sqlite3.Connection], T], amount: int) -> asyncio.Future[T]:
        """Run the function in the next transaction. The future raises what the function raised,
        or StoreUnavailable.

        A function that raises AlreadyExists must not have written anything. ``amount``: number of
        writes, to measure the load.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed:
            raise RuntimeError("the store is closed")
        self._queue.put(_Work(run, future, amount))
        if self.lost:
            self._refuse_waiting()
        return future

    async def check_writable(self) -> None:
        """Check that a transaction has just been written or can be. Raises StoreUnavailable."""
        if monotonic() - self._committed_at < FRESH_SECONDS:
            return
        if self._was_full:
            # The probe is small: it may succeed although messages still find no room.
            if free_bytes(self._path) < ENOUGH_BYTES:
                raise StoreUnavailable(f"the disk is full: {self._path} cannot grow")
            self._was_full = False
        if self._probe is None or self._probe.done():
            self._probe = self.submit(_count_a_probe, 0)
            # Retrieve its exception even if every caller has stopped waiting.
            self._probe.add_done_callback(lambda probe: probe.exception())
        try:
            # Concurrent callers wait for the same probe.
            async with asyncio.timeout(PROBE_SECONDS):
                await asyncio.shield(self._probe)
        except TimeoutError:
            raise StoreUnavailable(
                f"nothing could be written to {self._path} for {PROBE_SECONDS:g} seconds"
            ) from None

    async def close(self) -> None:
        """End the thread after all submitted work."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- in the thread ---

    def _run(self) -> None:
        try:
            self._serve()
        except StoreLost as lost:
            self._end(str(lost))
        except BaseException as error:
            logger.exception("writer thread failed: path=%s", self._path)
            self._end(f"{self._path} cannot be written any more ({error!r}): start again")

    def _end(self, lost: str) -> None:
        self._committed_at = float("-inf")
        # Set this first: then a later submission sees it, and an earlier one is in the queue.
        self.lost = lost
        for work in self._batch:
            self._queue.put(work)
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        """Refuse everything in the queue. May run in any thread."""
        outcomes = []
        while True:
            try:
                work = self._queue.get_nowait()
            except Empty:
                break
            if work is not None:
                outcomes.append(_Outcome(work.future, None, StoreLost(self.lost)))
        self._answer(outcomes)

    def _serve(self) -> None:
        idle_left = True
        while True:
            try:
                first = self._queue.get(timeout=IDLE_SECONDS if idle_left else None)
            except Empty:
                idle_left = self._idle()
                continue
            batch = self._batch = []
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
                self._batch = []
                if not closing and self._load_is_light():
                    self._idle()
            if closing:
                return

    def _write(self, batch: list[_Work]) -> None:
        outcomes = self._commit(batch)
        self._written += sum(work.amount for work in batch)
        self._answer(outcomes)

    def _answer(self, outcomes: list[_Outcome]) -> None:
        try:
            self._loop.call_soon_threadsafe(_answer, outcomes)
        except RuntimeError:
            # The event loop has ended, so no caller is left.
            return

    def _commit(self, batch: list[_Work]) -> list[_Outcome]:
        """Write the batch in one transaction. If it fails, write each function's work separately,
        so that one failure does not affect the others. Savepoints would allow that as well, but
        SQLite copies every page that is changed within one."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(work) for work in batch]
            self._connection.execute("COMMIT")
        except Exception as error:
            self._committed_at = float("-inf")
            self._files.check()
            self._was_full = is_full(error)
            self._undo(error)
            # Errors of the file (a full disk, a lock, damage), not of what was written.
            of_the_file = type(error) in (sqlite3.OperationalError, sqlite3.DatabaseError)
            if len(batch) > 1 and not of_the_file:
                return [outcome for work in batch for outcome in self._commit([work])]
            if isinstance(error, sqlite3.Error):
                error = unavailable(error, self._path)
            return [_Outcome(work.future, None, error) for work in batch]
        self._files.check()
        self._committed_at = monotonic()
        return outcomes

    def _attempt(self, work: _Work) -> _Outcome:
        try:
            return _Outcome(work.future, work.run(self._connection), None)
        except AlreadyExists as error:
            return _Outcome(work.future, None, error)

    def _undo(self, cause: Exception) -> None:
        # After some errors, such as a full disk, SQLite has already rolled back.
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                # In this state, the next commit might write half of this transaction.
                raise StoreLost(
                    f"{explain(error, self._path)}, and a failed transaction ({cause}) cannot be"
                    " rolled back: start again"
                ) from error
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
        except sqlite3.Error as error:
            # The next write will report the error. Idle work can wait until then.
            self._undo(error)
            return False
        except Exception as error:
            logger.exception(
                "idle work failed, next attempt after the next write: path=%s", self._path
            )
            self._undo(error)
            return False
        return more


def _count_a_probe(connection: sqlite3.Connection) -> None:
    # SQLite would not write an unchanged row.
    connection.execute(
        "INSERT INTO counter VALUES ('probes', 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1"
    )


def _answer(outcomes: list[_Outcome]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
