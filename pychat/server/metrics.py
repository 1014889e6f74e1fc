"""``/metrics`` in the format of Prometheus, on a port of its own that is not for the public."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pychat.server.engine import is_bent

Read = Callable[[], dict[str, float]]

GAUGES = {
    "connections": "Clients that are connected.",
    "users_online": "Users who are logged in.",
    "messages_waiting": "Messages that wait to be stored.",
    "rooms": "Rooms there are.",
}
COUNTERS = {
    "messages": "Messages stored.",
    "logins": "Logins that succeeded.",
    "logins_refused": "Logins that were refused.",
    "too_fast": "Requests refused for coming too fast.",
    "failures": "Requests that failed through a fault of the server.",
}


class Metrics(Collector):
    """Everything is read when it is asked for: nothing is counted twice."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def collect(self) -> Iterable[Metric]:
        values = self._read()
        for name, what in GAUGES.items():
            yield GaugeMetricFamily(f"pychat_{name}", what, value=values.get(name, 0))
        for name, what in COUNTERS.items():
            yield CounterMetricFamily(f"pychat_{name}", what, value=values.get(name, 0))


async def serve_metrics(read: Read, sockets: Sequence[socket.socket]) -> web.AppRunner:
    """Listens on these sockets until the runner is cleaned up. Raises OSError.

    Who has reached a loopback address must say an address or ``localhost`` as its ``Host``: a page
    whose name was made to lead to this machine (DNS rebinding) could read the answer.
    """
    metrics = Metrics(read)

    async def answer(request: web.Request) -> web.Response:
        reached_at = request.transport.get_extra_info("sockname") if request.transport else None
        if reached_at is None or is_bent(request.host, str(reached_at[0])):
            return web.Response(status=403, text="403: say localhost or an address as Host\n")
        return web.Response(
            body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        for sock in sockets:
            await web.SockSite(runner, sock).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner
