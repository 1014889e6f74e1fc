"""TokenSearch: looks for a kept token, which may wait for somebody to unlock a keyring."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial


class TokenSearch:
    """One call of ``find``, in a thread that keeps no process from ending: asyncio's own are waited
    for. ``on_found`` gets what it has found, on the loop, unless the search was ended before."""

    def __init__(
        self, find: Callable[[], str | None], on_found: Callable[[str | None], None]
    ) -> None:
        self._find = find
        self._on_found = on_found
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def run(self, woken: asyncio.Event, patience: float | None) -> None:
        """Returns when it is over, ``woken``, or after so many seconds; the search goes on then.
        Raises what ``find`` raises."""
        self._task = asyncio.create_task(self._look())
        waking = asyncio.create_task(woken.wait())
        try:
            await asyncio.wait(
                (self._task, waking), timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waking.cancel()
        if self._task.done():
            self._task.result()

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str | None] = loop.create_future()

        def look() -> None:
            try:
                tell = partial(answer.set_result, self._find())
            except Exception as error:
                tell = partial(answer.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(lambda: answer.done() or tell())

        threading.Thread(target=look, name="pychat-find-token", daemon=True).start()
        self._on_found(await answer)
