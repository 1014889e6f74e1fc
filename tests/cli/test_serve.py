"""``pychat serve``: what it says, how it ends, and one line for everything that is wrong."""

import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.cli.invoke import refusal
from tests.processes import PYCHAT, Serving

pytestmark = pytest.mark.e2e


def test_says_where_everything_is(own_folders: Path) -> None:
    with Serving() as server:
        assert f"Page      {server.url}/" in server.said
        assert f"pychat connect --user alice --server {server.url}" in server.said
        assert str(own_folders / "data" / "pychat" / "server.db") in server.said
        with urllib.request.urlopen(f"{server.url}/healthz") as answer:
            assert answer.status == 200
    assert (own_folders / "data" / "pychat").stat().st_mode & 0o777 == 0o700


def test_names_the_command_that_works_here(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("pychat")
    for path, command in ((tmp_path, script), (script.parent, "pychat")):
        environment = {"PATH": str(path)}
        with Serving(
            "--store", "memory:", program=[str(script)], environment=environment
        ) as server:
            assert f"Terminal  {command} connect --user alice" in server.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stops_with_status_0(number: signal.Signals) -> None:
    with Serving("--store", "memory:") as server:
        assert server.stop(number) == 0
    assert server.log[-1] == "Stopped.\n"


@pytest.mark.parametrize("early", [True, False])
def test_a_reader_of_standard_error_who_has_gone_changes_nothing(
    unused_tcp_port: int, early: bool
) -> None:
    options = ["--port", str(unused_tcp_port), "--store", "memory:", "--log-level", "debug"]
    process = subprocess.Popen([*PYCHAT, "serve", *options], stderr=subprocess.PIPE)
    assert process.stderr is not None
    while not early and not process.stderr.readline().startswith(b"Ctrl+C"):
        pass
    process.stderr.close()
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{unused_tcp_port}/readyz").close()
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_what_is_dangerous_is_said_loudly() -> None:
    with Serving("--store", "memory:", "--accounts", "open", "--no-limits") as server:
        assert "! Accounts are OPEN" in server.said
        assert "! There are NO LIMITS" in server.said


def test_serves_a_folder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("hello")
    with (
        Serving("--store", "memory:", "--public", tmp_path) as server,
        urllib.request.urlopen(f"{server.url}/public/hello.txt") as answer,
    ):
        assert answer.read() == b"hello"


def refuse(*arguments: str | Path, status: int = 1) -> str:
    return refusal("serve", "--port", "0", *arguments, status=status)


def test_port_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refuse("--store", "memory:", "--port", str(port))
    assert f"127.0.0.1:{port} is in use: choose another port (--port)" in line


def test_store_in_use_by_another_server(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    with Serving("--store", store):
        assert "is in use by another pychat server" in refuse("--store", store)


def test_store_is_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Remember the milk. " * 100)
    assert f"{path} is not a SQLite database" in refuse("--store", f"sqlite:///{path}")
    assert path.read_text() == "Remember the milk. " * 100


def test_store_is_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table recipes (name)")
    connection.close()
    assert str(path) in refuse("--store", f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("recipes",)]
    connection.close()


def test_store_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with Serving("--store", f"sqlite:///{path}"):
        pass
    with sqlite3.connect(path) as connection:
        (version,) = connection.execute("pragma user_version").fetchone()
        connection.execute(f"pragma user_version = {version + 1}")
    connection.close()
    line = refuse("--store", f"sqlite:///{path}")
    assert str(path) in line
    assert "newer" in line


def test_store_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    line = refuse("--store", f"sqlite:///{tmp_path}/nowhere/chat.db")
    assert f"{tmp_path}/nowhere" in line


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["--store", "postgres://db"], 2, "not a store address: postgres://db"),
        (["--port", "99999"], 2, "--port: 99999 is not in the range"),
        (["--host", "192.0.2.1", "--store", "memory:"], 1, "192.0.2.1 is not an address of this"),
        (["--accounts", "anyone"], 2, "--accounts: 'anyone' is not one of"),
        (["--public", "/nowhere"], 2, "--public: Directory '/nowhere' does not exist"),
        (["--cors-origin", "example.org"], 2, "--cors-origin: 'example.org' is not an origin"),
        (["--store", "/tmp/chat.db"], 2, "--store: not a store address: /tmp/chat.db"),
        (["--port", "abc"], 2, "--port: 'abc' is not a valid whole number."),
        (["--cors-origin", "x"], 2, "as https://example.org. See 'pychat serve --help'."),
        (["--trusted-proxy", "foo"], 2, "--trusted-proxy: 'foo' is not an address or network"),
        (["--admin", "#root"], 2, "--admin: '#root': must not start with #."),
        (["--prot", "1"], 2, "There is no option --prot. Did you mean"),
    ],
)
def test_one_line_for_what_is_wrong(arguments: list[str], status: int, line: str) -> None:
    assert line in refuse(*arguments, status=status)
