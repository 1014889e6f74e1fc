"""Where a token is kept: in a real Secret Service, and in a file where none can be used."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.tmux import Terminal
from tests.processes import PYCHAT, Serving, create_account
from tests.requirements import require_program

pytestmark = pytest.mark.e2e

LOCKED = """
import threading
from keyring.backend import KeyringBackend

class Locked(KeyringBackend):
    priority = 5

    def wait(self, *arguments):
        threading.Event().wait()

    get_password = set_password = delete_password = wait
"""
"""As on a desktop where nobody answers the question to unlock it."""

UNLOCKED = "printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; "


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Serving("--store", "memory:") as server:
        yield server.url


@pytest.fixture
def logins(own_folders: Path) -> Path:
    return own_folders / "data" / "pychat" / "logins"


def in_session(
    *arguments: str, before: str = UNLOCKED, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs pychat in a D-Bus session of its own."""
    require_program("gnome-keyring-daemon")
    screens = {"DISPLAY", "WAYLAND_DISPLAY"}
    names = screens | {"DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND"}
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    # Not in the test's own folder: a socket's path must be short.
    with tempfile.TemporaryDirectory() as runtime:
        return subprocess.run(
            [
                *(require_program("dbus-run-session"), "--", "sh", "-c"),
                *(f'{before}exec "$@"', "sh", *PYCHAT, *arguments),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**inherited, "XDG_RUNTIME_DIR": runtime, **environment},
        )


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def suffixes(folder: Path) -> list[str]:
    return sorted(path.suffix for path in files(folder))


def test_the_keyring_has_the_token_and_no_file_has_it(
    url: str, logins: Path, own_folders: Path
) -> None:
    create_account(url, "alice")
    command = ("users", "--user", "alice", "--server", url)
    first = in_session(*command, DISPLAY=":0", PYCHAT_PASSWORD="a good password")
    assert first.returncode == 0, first.stderr
    assert suffixes(logins) == [".keyring"]
    assert [path.stat().st_size for path in logins.iterdir()] == [0]
    again = in_session(*command, DISPLAY=":0")
    assert again.returncode == 0, again.stderr
    assert "alice" in again.stdout
    # Somebody over ssh: no screen, but the keyring is open.
    assert in_session(*command).returncode == 0


def test_a_locked_one_without_a_screen_neither_hangs_nor_is_talked_about(
    url: str, logins: Path
) -> None:
    create_account(url, "bob")
    command = ("users", "--user", "bob", "--server", url)
    began = time.monotonic()
    done = in_session(*command, before="", PYCHAT_PASSWORD="a good password")
    assert (done.returncode, "keyring" in done.stderr.replace("dbus-daemon", "")) == (0, False)
    assert suffixes(logins) == [".token"]
    assert next(logins.iterdir()).stat().st_mode & 0o777 == 0o600
    assert in_session(*command, before="").returncode == 0
    assert time.monotonic() - began < 30  # it hangs for ever, if at all


def test_a_token_in_a_keyring_that_cannot_be_unlocked_is_as_good_as_none(
    url: str, logins: Path
) -> None:
    create_account(url, "carol")
    command = ("users", "--user", "carol", "--server", url)
    password = {"PYCHAT_PASSWORD": "a good password"}
    assert in_session(*command, DISPLAY=":0", **password).returncode == 0
    assert suffixes(logins) == [".keyring"]
    locked = in_session(*command, before="")
    assert locked.returncode == 1
    assert "Error: carol needs a password: set PYCHAT_PASSWORD" in locked.stderr
    assert in_session(*command, before="", **password).returncode == 0
    assert suffixes(logins) == [".token"]
    assert in_session(*command, before="").returncode == 0


async def test_a_locked_one_holds_up_neither_a_typed_password_nor_the_end(
    url: str, logins: Path, tmp_path: Path
) -> None:
    (tmp_path / "locked.py").write_text(LOCKED)
    environment = {
        "PYTHONPATH": str(tmp_path),
        "PYTHON_KEYRING_BACKEND": "locked.Locked",
        "DISPLAY": ":0",
    }
    create_account(url, "dora")
    connect = [*PYCHAT, "connect", "--user", "dora", "--server", url]
    # Its patience with a keyring, 30 s, is longer than that of the terminal here with pychat.
    with Terminal(connect, tmp_path / "first", environment=environment) as terminal:
        await terminal.expect("Log in")
        terminal.write("a good password")
        terminal.press("Enter")
        await terminal.expect("Welcome, dora", "● dora")
        terminal.press("C-q")
        assert await terminal.exit_status() == 0
    (kept,) = (path for path in files(logins) if path.suffix == ".token")
    assert kept.stat().st_mode & 0o777 == 0o600
    with Terminal(connect, tmp_path / "again", environment=environment) as terminal:
        await terminal.expect("Welcome, dora", "● dora")
        terminal.press("C-q")
        assert await terminal.exit_status() == 0
    kept.rename(kept.with_suffix(".keyring"))  # where a token says that it is in the keyring
    with Terminal(connect, tmp_path / "asked", environment=environment) as terminal:
        await terminal.expect("Log in", "unlock the keyring")
        terminal.write("a good password")
        terminal.press("Enter")
        await terminal.expect("Welcome, dora", "● dora")
        terminal.press("C-q")
        assert await terminal.exit_status() == 0
