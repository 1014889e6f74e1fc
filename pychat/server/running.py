"""A server that has the process to itself: its event loop, and the signals that end it."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from typing import Any, Protocol

from pychat.server.memory import return_memory


class RunnableServer(Protocol):
    """A server that ``run`` can start and stop."""

    async def start(self, port: int, host: str) -> None: ...

    async def stop(self) -> None: ...

    async def failure(self) -> Exception: ...

    def reload_certificate(self) -> None: ...


def run(server: RunnableServer, port: int, host: str, ready: Callable[[], None] | None) -> None:
    """Until SIGINT or SIGTERM; what ``ChatServer.listen`` does. Raises ServeError or StoreError if
    it cannot start, or cannot go on."""
    _raise_limit()
    ignore_signals()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(server, port, host, ready))


def ignore_signals() -> None:
    """Those that would kill the process, and that a hand or a script slips to: they say nothing to
    a server."""
    if sys.platform != "win32":
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, signal.SIG_IGN)


async def _serve(
    server: RunnableServer, port: int, host: str, ready: Callable[[], None] | None
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report)

    def stop_once() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    signals = (signal.SIGINT, signal.SIGTERM)
    await server.start(port, host)
    # What is here now lives as long as the process: no collection need hold up everyone for it.
    gc.freeze()
    try:
        if sys.platform != "win32":
            for number in signals:
                loop.add_signal_handler(number, stop_once)
            loop.add_signal_handler(signal.SIGHUP, server.reload_certificate)
        if ready is not None:
            ready()
        memory = asyncio.create_task(return_memory())
        failure = asyncio.create_task(server.failure())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((failure, stopped), return_when=asyncio.FIRST_COMPLETED)
        failed = failure.result() if failure.done() else None
        memory.cancel()
        failure.cancel()
        stopped.cancel()
    finally:
        await server.stop()
    if failed is not None:
        raise failed


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # asyncio's own loop tells each second that it cannot accept: the gate has said it once.
    if context["message"] != "socket.accept() out of system resource":
        loop.default_exception_handler(context)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Any = uvloop.new_event_loop
    return factory  # type: ignore[no-any-return]  # uvloop types it as its own Loop


def _raise_limit() -> None:
    """The soft limit up to the hard one: 1,024, which is usual, is soon reached by connections."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # macOS calls its hard limit unlimited and allows 10,240.
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 10_240), hard))
