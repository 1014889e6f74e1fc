"""What the suite tried and what became of it: one row an attack, printed as a table at the end."""

from __future__ import annotations

from collections.abc import Callable

PROPERTY = "attack"

Row = tuple[str, int, str]
"""What was tried, how often, and what happened."""

Tell = Callable[[str, int, str], None]


def table(rows: list[Row]) -> list[str]:
    """The lines of the table."""
    width = max(len(what) for what, _, _ in rows)
    lines = [f"{'tried':<{width}}  {'times':>7}  what happened"]
    lines += [f"{what:<{width}}  {times:>7,}  {became}" for what, times, became in rows]
    total = sum(times for _, times, _ in rows)
    lines.append(f"{len(rows)} kinds of attack, {total:,} attempts")
    return lines
