"""Run a server in its own process: event loop, signals, file descriptor limit."""

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

    @property
    def has_certificate(self) -> bool: ...

    def reload_certificate(self) -> None: ...


def run(server: RunnableServer, port: int, host: str, ready: Callable[[], None] | None) -> None:
    """Run the server until SIGINT or SIGTERM. A second signal ends the process at once.

    SIGHUP reloads the certificate. Without one it stops the server too, so that a server does not
    outlive its terminal. ``nohup`` works: an ignored SIGHUP stays ignored.

    ``ready`` is called when the server listens. Raises ServeError or StoreError if the server
    cannot start or cannot go on.
    """
    _raise_limit()
    ignore_signals()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(server, port, host, ready))


def ignore_signals() -> None:
    """Ignore SIGUSR1 and SIGUSR2, which mean nothing to a server and would kill the process."""
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

    signals = [signal.SIGINT, signal.SIGTERM]
    await server.start(port, host)
    # Objects made until now live as long as the process. Garbage collections can skip them.
    gc.freeze()
    try:
        if sys.platform != "win32":
            if server.has_certificate:
                loop.add_signal_handler(signal.SIGHUP, server.reload_certificate)
            elif signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
                signals.append(signal.SIGHUP)
            for number in signals:
                loop.add_signal_handler(number, stop_once)
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
    message: str = context["message"]
    # asyncio repeats this every second. The gate logs it once.
    out_of_descriptors = message == "socket.accept() out of system resource"
    # A second later asyncio listens again, also on a socket that was closed meanwhile.
    closed = "._start_serving(" in message and isinstance(context.get("exception"), ValueError)
    if not (out_of_descriptors or closed):
        loop.default_exception_handler(context)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Any = uvloop.new_event_loop
    return factory  # type: ignore[no-any-return]  # uvloop's type hint is its own Loop class


def _raise_limit() -> None:
    """Raise the soft limit of open files to the hard one. The usual 1,024 are too few."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # macOS reports its hard limit as unlimited and allows 10,240.
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 10_240), hard))
