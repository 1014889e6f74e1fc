"""``/metrics`` in the Prometheus format, on a port that is not public."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pychat.server.engine import is_rebinding

Read = Callable[[], dict[str, float]]

GAUGES = {
    "connections": "Connected clients.",
    "users_online": "Logged-in users.",
    "messages_waiting": "Messages waiting to be stored.",
    "rooms": "Rooms.",
}
COUNTERS = {
    "messages": "Messages stored.",
    "logins": "Successful logins.",
    "logins_refused": "Refused logins.",
    "too_fast": "Requests refused because of a rate limit.",
    "failures": "Requests that failed because of a server error.",
}


class Metrics(Collector):
    """Reads every value when it is asked for."""

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
    """Listen on these sockets until the returned runner is cleaned up. Raises OSError.

    On a loopback address, ``Host`` must be an address or ``localhost``. Otherwise a page whose name
    resolves to this machine (DNS rebinding) could read the metrics.
    """
    metrics = Metrics(read)

    async def answer(request: web.Request) -> web.Response:
        reached_at = request.transport.get_extra_info("sockname") if request.transport else None
        if reached_at is None or is_rebinding(request.host, str(reached_at[0])):
            return web.Response(status=403, text="403: use localhost or an IP address as host\n")
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
