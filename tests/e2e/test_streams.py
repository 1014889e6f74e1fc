"""Commands whose standard streams are closed, full, or have no process at the other end."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.invoke import invoke
from tests.processes import PYCHAT, Serving

pytestmark = pytest.mark.e2e

CLOSED = "Error: cannot write to standard output: it is closed\n"
FULL = "Error: cannot write to standard output: No space left on device\n"
NO_INPUT = "Error: cannot read standard input: it is closed\n"

_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with Serving("--store", "memory:", "--no-limits") as server:
        yield server


@pytest.fixture(autouse=True)
def account(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHAT_SERVER", server.url)
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")


@pytest.fixture
def people() -> tuple[str, str]:
    """Two ids of this test's own, known to the server; the first has written to the second."""
    number = next(_numbers)
    alice, bob = f"alice{number}", f"bob{number}"
    for id in (alice, bob):
        assert invoke("connect", "--user", id).status == 0
    assert invoke("send", "--user", alice, "--to", bob, "hello").status == 0
    return alice, bob


def shell(redirection: str, *command: str) -> tuple[int, str, str]:
    """The exit status, standard output and standard error of ``pychat``, and so redirected."""
    line = f"{shlex.join([*PYCHAT, *command])} {redirection}"
    done = subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("redirection", "error"),
    [(">&-", CLOSED), (">/dev/full", FULL), ("| true", "")],
    ids=["closed", "full", "gone"],
)
def test_what_could_not_be_printed_is_a_failure(
    people: tuple[str, str], redirection: str, error: str
) -> None:
    """With a line, but where the reader wants no more; and nothing counts as delivered."""
    alice, bob = people
    history = ("history", "--user", alice, "--with", bob)
    assert shell(redirection, *history) == (1, "", error)
    assert shell(redirection, "listen", "--user", bob) == (1, "", error)
    assert '"hello"' in shell("", "listen", "--user", bob, "--count", "1")[1]


@pytest.mark.parametrize(
    ("redirection", "command", "error"),
    [
        (">&-", "users --user somebody", CLOSED),
        (">/dev/full", "users --user somebody --json", FULL),
        (">&-", "room list --user somebody", CLOSED),
        (">&-", "connect --plain --user somebody", CLOSED),
        ("<&-", "connect --plain --user somebody", NO_INPUT),
        ("<&-", "send --user somebody --to nobody -", NO_INPUT),
        ("<&-", "import --store sqlite:///new.db -", NO_INPUT),
        (">&-", "export --store sqlite:///chat.db -", CLOSED),
        (">/dev/full", "export --store sqlite:///chat.db -", FULL),
        (">&-", "user list --store sqlite:///chat.db", CLOSED),
        (">/dev/full", "config path", FULL),
        (">&-", "--help", CLOSED),
        # Nobody can be told, and the status says it all the same.
        (">&- 2>&-", "users --user somebody", ""),
        ("2>/dev/full", "send --user somebody --to nobody hi", ""),
    ],
)
def test_one_line_and_no_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    redirection: str,
    command: str,
    error: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if "chat.db" in command:
        assert invoke("user", "add", "carol", "--store", "sqlite:///chat.db").status == 0
    elif "--user" in command:
        assert invoke("connect", "--user", "somebody").status == 0
    assert shell(redirection, *command.split()) == (1, "", error)


def test_what_needs_no_stream_does_without(people: tuple[str, str]) -> None:
    """And nothing it opens is taken for a stream: the message is all that arrives."""
    alice, bob = people
    assert shell("<&- >&- 2>&-", "send", "--user", alice, "--to", bob, "silent") == (0, "", "")
    status, said, _ = shell("2>/dev/full", "history", "--user", bob, "--with", alice, "--json")
    assert status == 0
    assert [json.loads(line)["data"] for line in said.splitlines()] == ["hello", "silent"]


def test_a_reader_that_goes_leaves_the_rest_for_the_next(people: tuple[str, str]) -> None:
    """``head -1`` gets one message each time, though all were there to be written at once."""
    alice, bob = people
    lines = "".join(f"{number}\n" for number in range(6))
    plain = [*PYCHAT, "connect", "--user", alice, "--with", bob]
    subprocess.run(plain, input=lines, text=True, check=True, timeout=100)
    heard = [shell("| head -1", "listen", "--user", bob)[1] for _ in range(3)]
    status, more, error = shell("", "listen", "--user", bob, "--count", "2")
    assert (status, error) == (0, "")
    _, rest, _ = shell("| head -2", "listen", "--user", bob)
    told = [json.loads(line)["data"] for line in [*heard, *more.splitlines(), *rest.splitlines()]]
    assert told == ["hello", "0", "1", "2", "3", "4", "5"]


def test_what_is_not_read_yet_is_not_delivered(people: tuple[str, str]) -> None:
    """The pipe has the line, its reader ends without a look at it."""
    _, bob = people
    reading, writing = os.pipe()
    listener = subprocess.Popen(
        [*PYCHAT, "listen", "--user", bob], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    while not os.read(reading, 1):
        pass  # it is there; the rest of the line stays where it is
    os.close(reading)
    assert listener.stderr is not None
    with listener.stderr:
        assert listener.stderr.read() == b""
    assert listener.wait() == 1
    assert '"hello"' in shell("", "listen", "--user", bob, "--count", "1")[1]
