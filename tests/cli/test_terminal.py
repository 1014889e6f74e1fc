"""What the commands do for somebody at a terminal: prompts, tables, Ctrl+C."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.processes import PYCHAT, Serving, create_account

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Serving("--store", "memory:") as server:
        yield server.url


@pytest.fixture(autouse=True)
def no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")


def at_terminal(*arguments: str) -> pexpect.spawn[str]:
    return pexpect.spawn(
        *(PYCHAT[0], [*PYCHAT[1:], *arguments]),
        encoding="utf-8",
        dimensions=(24, 100),
        timeout=20,
    )


def ended(terminal: pexpect.spawn[str]) -> int | None:
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus


def test_a_password_is_asked_for_once_and_never_shown(url: str) -> None:
    create_account(url, "asked")
    command = ("users", "--user", "asked", "--server", url)
    first = at_terminal(*command)
    first.expect_exact("Password of asked")
    first.sendline("a good password")
    first.expect_exact("●")
    assert ended(first) == 0
    assert "a good password" not in str(first.before)
    second = at_terminal(*command)
    assert second.expect_exact(["Password", "●"]) == 1
    assert ended(second) == 0


def test_a_wrong_password_is_one_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(url, "claimed", "the right one")
    for password, line in (("the right one", "●"), ("wrong", "Error: wrong id or password")):
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / password))
        terminal = at_terminal("users", "--user", "claimed", "--server", url)
        terminal.expect_exact("Password")
        terminal.sendline(password)
        terminal.expect_exact(line)
        assert ended(terminal) == (0 if line == "●" else 1)


def test_an_account_is_created_after_a_question(url: str) -> None:
    command = ("connect", "--plain", "--user", "new", "--server", url)
    for answer in ("n", "y"):
        terminal = at_terminal(*command)
        terminal.expect_exact("Password of new")
        terminal.sendline("a good password")
        terminal.expect_exact(f"There is no account new on {url}. Create it? [y/N]")
        terminal.sendline(answer)
        if answer == "n":
            terminal.expect_exact("Error: no account was created")
            assert ended(terminal) == 1
        else:
            terminal.expect_exact("account new created")
            terminal.expect_exact(f"Connected to {url} as new.")
            terminal.sendline("/quit")
            assert ended(terminal) == 0


def test_a_new_password_is_typed_twice(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    terminal = at_terminal("user", "add", "alice", "--store", store)
    terminal.expect_exact("New password of alice")
    terminal.sendline("one")
    terminal.expect_exact("Repeat the password")
    terminal.sendline("another")
    terminal.expect_exact("do not match")
    terminal.expect_exact("New password of alice")
    terminal.sendline("one")
    terminal.expect_exact("Repeat the password")
    terminal.sendline("one")
    terminal.expect_exact("Created the account alice.")
    assert ended(terminal) == 0
    table = at_terminal("user", "list", "--store", store)
    table.expect(r"id +alias +state +last seen")
    table.expect(r"alice +alice +active")
    assert ended(table) == 0


def test_control_c_at_a_prompt_is_quiet(url: str) -> None:
    terminal = at_terminal("users", "--user", "leaving", "--server", url)
    terminal.expect_exact("Password")
    terminal.sendintr()
    assert ended(terminal) == 130
    assert "Traceback" not in str(terminal.before)
    assert "Error" not in str(terminal.before)


def test_plain_at_a_terminal(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    create_account(url, "reader")
    terminal = at_terminal("connect", "--plain", "--user", "reader", "--server", url)
    terminal.expect_exact(f"Connected to {url} as reader.")
    terminal.sendline("/msg reader note to self")
    terminal.sendline("/help")
    terminal.expect_exact("/quit")
    terminal.sendline("/quit")
    assert ended(terminal) == 0
    history = at_terminal("history", "--user", "reader", "--with", "reader", "--server", url)
    history.expect_exact("reader: note to self")
    assert ended(history) == 0


def test_plain_at_a_terminal_needs_to_know_who() -> None:
    terminal = at_terminal("connect", "--plain")
    terminal.expect_exact("--user (or PYCHAT_USER) is required")
    assert ended(terminal) == 2
