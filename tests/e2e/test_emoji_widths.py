"""A row with emoji is not shifted in a terminal that counts code points: it is asked first."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from pychat.client import ChatClient
from pychat.tui.text.graphemes import SAMPLES
from tests.e2e.pseudoterminal import PseudoTerminal
from tests.e2e.tmux import Terminal
from tests.processes import PYCHAT, Serving

pytestmark = pytest.mark.e2e

TEXT = "thumb 👍🏽 heart ❤️ end"


def terminal_that_counts(width: Callable[[str], int]) -> Callable[[bytes], bytes]:
    """Answers where its cursor is after each sample, and what it is."""
    samples = "|".join(map(re.escape, SAMPLES.values()))
    question = re.compile(rf"({samples})\x1b\[6n")

    def answer(written: bytes) -> bytes:
        said = "".join(
            f"\x1b[1;{width(sample) + 1}R" for sample in question.findall(written.decode())
        )
        return (said + "\x1b[?62c").encode() if b"\x1b[c" in written else b""

    return answer


def code_points(text: str) -> int:
    return sum(2 if "\U0001f3fb" <= each <= "\U0001f3ff" else cell_len(each) for each in text)


async def tell_alice(url: str) -> None:
    async with (
        ChatClient(url, user="alice", password=""),
        ChatClient(url, user="bob", password="") as bob,
    ):
        await bob.send("alice", TEXT)


@pytest.mark.parametrize(
    ("width", "shown", "never"),
    [(cell_len, "thumb 👍🏽 heart ❤️ end", []), (code_points, "thumb 👍 heart ❤  end", ["🏽", "️"])],
    ids=["graphemes", "code points"],
)
async def test_what_is_shown_has_the_width_that_the_terminal_gives_it(
    monkeypatch: pytest.MonkeyPatch, width: Callable[[str], int], shown: str, never: list[str]
) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    with Serving("--store", "memory:", "--accounts", "open") as server:
        await tell_alice(server.url)
        connect = [*PYCHAT, "connect", "--user", "alice", "--with", "bob", "--server", server.url]
        with PseudoTerminal(connect, answer=terminal_that_counts(width)) as terminal:
            await terminal.until(lambda: b"\x1b[?1049h" in terminal.written, "nothing is drawn")
            start = terminal.written.index(b"\x1b[?1049h")
            await terminal.expect(shown, start=start)
            assert not [each for each in never if each in terminal.text(start)]
            terminal.press("\x11")
            assert await terminal.exit_status() == 0


async def test_tmux(tmp_path: Path) -> None:
    with Serving("--store", "memory:", "--accounts", "open") as server:
        await tell_alice(server.url)
        connect = [*PYCHAT, "connect", "--user", "alice", "--with", "bob", "--server", server.url]
        environment = {"PYCHAT_PASSWORD": "a good password"}
        with Terminal(connect, tmp_path / "terminal", environment=environment) as terminal:
            screen = await terminal.expect("● alice", "thumb", "end")
            # In the log, and for a moment also in the list.
            rows = [row for row in screen.splitlines() if "thumb" in row and "heart" in row]
            assert rows
            for row in rows:
                # Where tmux has put the words is where they belong by their widths.
                assert code_points(row[: row.index("heart")]) == cell_len(
                    row[: row.index("thumb")] + TEXT[: TEXT.index("heart")]
                )
