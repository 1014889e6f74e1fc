"""Two plots as one SVG, light or dark like the reader's system."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

from benchmarks.transports.measuring import TRANSPORTS, Measured

WIDTH, HEIGHT = 860, 330
LEFT, TOP, PLOT, TALL = 64, 56, 300, 210
"""Where the first plot begins, and its size."""
APART: Final = 420
STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #333 }
  .title { font-weight: 600; font-size: 15px }
  .ground { fill: #fff } .grid { stroke: #ddd }
  .polling { stroke: #b3541e; fill: #b3541e } .websocket { stroke: #17705e; fill: #17705e }
  polyline { fill: none !important; stroke-width: 2.5 } text.name { stroke: none; font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } .ground { fill: #1e2129 } .grid { stroke: #3a3f4b }
    .polling { stroke: #f0a070; fill: #f0a070 } .websocket { stroke: #66c7ae; fill: #66c7ae }
  }
"""


def draw(found: list[Measured]) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Latency and header bytes of polling and WebSocket">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
        *_plot(found, 0, "Latency (p50), ms", lambda each: each.p50, logarithmic=False),
        *_plot(found, APART, "Header bytes a message", lambda each: each.headers, logarithmic=True),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _plot(
    found: list[Measured],
    shift: int,
    title: str,
    value: Callable[[Measured], float],
    *,
    logarithmic: bool,
) -> list[str]:
    counts = sorted({each.clients for each in found})
    scale = math.log10 if logarithmic else float
    ticks = _powers(map(value, found)) if logarithmic else _steps(map(value, found))
    low, high = scale(ticks[0]), scale(ticks[-1])
    left = LEFT + shift

    def x(clients: int) -> float:
        return left + PLOT * counts.index(clients) / max(len(counts) - 1, 1)

    def y(amount: float) -> float:
        return TOP + TALL * (high - scale(amount)) / (high - low)

    parts = [f'<text class="title" x="{left}" y="30">{title}</text>']
    for tick in ticks:
        level = y(tick)
        parts.append(
            f'<line class="grid" x1="{left}" x2="{left + PLOT}" y1="{level:.1f}" y2="{level:.1f}"/>'
            f'<text x="{left - 8}" y="{level + 4:.1f}" text-anchor="end">{tick:,g}</text>'
        )
    parts += [
        f'<text x="{x(each):.1f}" y="{TOP + TALL + 22}" text-anchor="middle">{each:,}</text>'
        for each in counts
    ]
    middle = left + PLOT / 2
    parts.append(f'<text x="{middle}" y="{TOP + TALL + 44}" text-anchor="middle">clients</text>')
    aways = (-12, -12 if logarithmic else 22)  # above its line, or below
    for transport, name, away in zip(TRANSPORTS, ("polling", "WebSocket"), aways, strict=True):
        line = [each for each in found if each.transport == transport]
        points = [(x(each.clients), y(value(each))) for each in line]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline class="{transport}" points="{path}"/>')
        for a, b in points:
            parts.append(f'<circle class="{transport}" cx="{a:.1f}" cy="{b:.1f}" r="4"/>')
        a, b = points[0]
        parts.append(f'<text class="name {transport}" x="{a:.1f}" y="{b + away:.1f}">{name}</text>')
    return parts


def _powers(values: Iterable[float]) -> list[float]:
    """Powers of ten around the values."""
    found = list(values)
    low, high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
    return [10.0**power for power in range(low, high + 1)]


def _steps(values: Iterable[float]) -> list[float]:
    """Even steps from 0 to beyond the values."""
    top = max(values)
    step = 10.0 ** math.floor(math.log10(top))
    step = next(size for size in (step / 4, step / 2, step, 2 * step) if top / size <= 6)
    return [step * number for number in range(math.ceil(top / step) + 1)]
