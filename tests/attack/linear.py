"""Whether something takes linear time: measured on texts that double."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from random import Random

CASES = int(os.environ.get("ATTACK_CASES", "2000"))
THOROUGH = CASES > 2000
MEASURED = 0.02 if THOROUGH else 0.0004
"""Seconds of CPU that a text must take before its double is measured."""
SHORTEST, LONGEST = (1024, 1 << 18) if THOROUGH else (4096, 4096)
"""Characters. What takes less than MEASURED for the longest is quick enough, however it grows."""
MOST = 2.5
"""Twice the text may take so many times as long; the square would be 4."""

COMMON = [
    *("a", " ", "\n", "\t", "0", "/", ":", ".", ",", "-", "_", "*", "~", "`", '"', "'", "\\"),
    *('\\"', "\\n", "\\\\n", "[", "]", "[]", "{", "}", "(", ")", "<", "?", "#", "@", "://"),
    *("https://", "https://a)", "**", "~~", "```", "\x1b", "\x1b]11;rgb:", "\x1b[?1;", "\r\n"),
    *("\u0301", "\u0316", "\u0f73", "\u0301\u0316", "\u3099", "\u200b", "\u200d", "\ufe0f"),
    *("\U0001f468\u200d", "\U0001f1e9", "\U0001f3fd", "한", "ᄀ", "ᅡ", "漢", "é", "\ufdfa", "क्"),
    *("*\u200b*\u200b", "_\u200b_\u200b", "a ", " - at `$.", "x: ", "1:a", "\x1e4", "d=%5Cn"),
]
"""What hostile texts are made of."""


def texts(seed: str, count: int, extra: list[str]) -> Iterator[Callable[[int], str]]:
    """Ways to make a text of about so many characters: one piece repeated, with something before
    and behind. First every single piece, then ``count`` combinations of two or three."""
    pieces = extra + COMMON
    for piece in pieces:
        yield _repeated("", piece, "")
    random = Random(seed)
    for _ in range(count):
        unit = "".join(random.choices(pieces, k=random.choice((1, 2, 2, 3))))
        before, behind = random.choice(["", *pieces]), random.choice(["", *pieces])
        yield _repeated(before, unit, behind)


def _repeated(before: str, unit: str, behind: str) -> Callable[[int], str]:
    return lambda size: before + unit * (size // len(unit)) + behind


def check_linear(run: Callable[[str], object], text: Callable[[int], str]) -> None:
    """Fails if twice the text takes more than MOST times as long, at three sizes one after another.

    One size may meet a limit (of a cache, of the processor's caches), or other load on the machine.
    What grows like the square does so at every size.
    """
    size = SHORTEST
    while _cpu(run, text(size)) < MEASURED:
        size *= 2
        if size > LONGEST:
            return
    for larger in (size, 2 * size, 4 * size):
        growth = _growth(run, text(larger), text(2 * larger))
        if growth <= MOST:
            return
    raise AssertionError(
        f"{text(size)[:60]!a}…{text(size)[-20:]!a} of {larger:,}: the double takes {growth:.1f}×"
    )


def _growth(run: Callable[[str], object], once: str, twice: str) -> float:
    growth = 0.0
    for attempt in range(1, 6):
        growth = _least(run, twice, attempt) / _least(run, once, attempt)
        if growth <= MOST:
            break
    return growth


def _least(run: Callable[[str], object], text: str, times: int) -> float:
    return min(_cpu(run, text) for _ in range(times))


def _cpu(run: Callable[[str], object], text: str) -> float:
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = time.thread_time()
        run(text)
        return time.thread_time() - start
    finally:
        if collecting:
            gc.enable()
