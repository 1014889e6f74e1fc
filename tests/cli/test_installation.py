"""``pychat completion``, ``pychat doctor`` and ``pychat --version --verbose``."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pexpect
import pytest
import trustme
from aiohttp import web

from tests.cli.invoke import Result, invoke, refusal
from tests.requirements import require_program
from tests.serving import serving


# --- completion ---
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell: str) -> None:
    result = invoke("completion", shell)
    assert result.status == 0
    assert f"_PYCHAT_COMPLETE={shell}_complete" in result.stdout


def test_another_shell_is_refused() -> None:
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in refusal("completion", "tcsh", status=2)


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["se"], ["serve", "send"]),
        (["room", "cr"], ["create"]),
        (["serve", "--acc"], ["--accounts"]),
        (["serve", "--accounts", "c"], ["claim", "closed"]),
        (["nothing", "--acc"], []),
    ],
)
def test_words_are_completed(
    monkeypatch: pytest.MonkeyPatch, words: list[str], completed: list[str]
) -> None:
    monkeypatch.setenv("_PYCHAT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["pychat", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    result = invoke()
    assert (result.status, result.stderr) == (0, "")
    assert [line.split(",")[1] for line in result.stdout.split()] == completed


@pytest.mark.e2e  # starts a shell
def test_bash_completes(tmp_path: Path) -> None:
    (tmp_path / "pychat").write_text(f'#!/bin/sh\nexec {sys.executable} -m pychat "$@"\n')
    (tmp_path / "pychat").chmod(0o755)
    (tmp_path / "script").write_text(invoke("completion", "bash").stdout)
    commands = 'COMP_WORDS=(pychat doc); COMP_CWORD=1; _pychat_completion pychat; echo "$COMPREPLY"'
    done = subprocess.run(
        [require_program("bash"), "-c", f"source {tmp_path}/script; {commands}"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("doctor\n", "")


# --- versions ---
@pytest.mark.parametrize("flags", [["--version", "--verbose"], ["--verbose", "--version"]])
def test_a_bug_report_has_all_versions(flags: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "my secret")
    result = invoke(*flags)
    assert result.status == 0
    first, *lines = result.stdout.splitlines()
    assert first.startswith("pychat ")
    shown = dict(line.split(maxsplit=1) for line in lines)
    assert shown["SQLite"] == sqlite3.sqlite_version
    assert {"Python", "system", "TLS", "engine", "terminal", "aiohttp", "picows"} <= set(shown)
    assert "missing" not in shown.values()
    assert "secret" not in result.stdout


# --- doctor ---
def doctor(*arguments: str | Path) -> Result:
    free = ["--port", "0"] if "--port" not in arguments else []
    return invoke("doctor", *free, *arguments)


def line(result: Result, subject: str) -> str:
    [found] = [each for each in result.stdout.splitlines() if each[6:].startswith(f"{subject} ")]
    return found


def fixes(result: Result, subject: str) -> str:
    """The one thing to fix."""
    assert result.status == 1, result
    [found] = [each for each in result.stdout.splitlines() if each.startswith("FIX")]
    assert found == line(result, subject)
    return found


def test_a_machine_on_which_all_is_well(tmp_path: Path) -> None:
    result = doctor("--store", f"sqlite:///{tmp_path}/chat.db")
    assert (result.status, result.stderr) == (0, "")
    assert line(result, "store").startswith("ok")
    assert not list(tmp_path.glob("chat.db*"))


async def test_a_running_server_is_no_problem(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    async with serving(store) as server:
        arguments = ("--store", store, "--port", str(server.port), server.url)
        result = await asyncio.to_thread(doctor, *arguments)
    assert result.status == 0, result.stdout
    assert "pychat is running" in line(result, "port")
    assert "answers" in line(result, "server")


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        port = listener.getsockname()[1]
        answering = asyncio.new_event_loop().run_in_executor(None, hang_up, listener)
        assert "choose another port" in fixes(doctor("--port", str(port)), "port")
        del answering


def hang_up(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.close()


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"no database at all, but a text" * 100, "chat.db"), (None, "newer pychat")],
)
def test_a_store_that_cannot_be_used(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "chat.db"
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE a (b)")
            connection.execute(f"PRAGMA application_id = {0x70794368}")
            connection.execute("PRAGMA user_version = 999")
        connection.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    assert problem in fixes(doctor("--store", f"sqlite:///{path}"), "store")
    assert path.read_bytes() == before


@pytest.fixture
def certificates(tmp_path: Path) -> dict[str, Path]:
    now, found = datetime.now(UTC), {}
    authority = trustme.CA()
    for name, days in (("good", 90), ("ending", 5), ("ended", -1)):
        made = authority.issue_cert(
            "chat.example.org",
            not_before=now - timedelta(days=30),
            not_after=now + timedelta(days=days, hours=1),
        )
        found[name] = tmp_path / f"{name}.pem"
        made.private_key_and_cert_chain_pem.write_to_path(found[name])
    return found


@pytest.mark.parametrize(
    ("name", "problem"),
    [("ending", "for 5 more days: renew it"), ("ended", "certificate has expired: renew it")],
)
def test_a_certificate_to_renew(certificates: dict[str, Path], name: str, problem: str) -> None:
    assert problem in fixes(doctor("--tls-cert", certificates[name]), "certificate")


def test_certificates(certificates: dict[str, Path], tmp_path: Path) -> None:
    assert "valid until" in line(doctor("--tls-cert", certificates["good"]), "certificate")
    wrong = doctor("--tls-cert", certificates["good"], "--tls-key", certificates["ending"])
    assert "the key does not belong to the certificate" in fixes(wrong, "certificate")
    assert "No such file" in fixes(doctor("--tls-cert", tmp_path / "none"), "certificate")


async def test_a_server_with_another_time() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="ok", headers={"Date": "Sat, 01 Jan 2022 00:00:00 GMT"})

    app = web.Application()
    app.router.add_get("/healthz", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    result = await asyncio.to_thread(doctor, url)
    await runner.cleanup()
    assert "its clock differs from this one by" in fixes(result, "server")
    assert "cannot be reached" in fixes(await asyncio.to_thread(doctor, url), "server")


def test_login_files_that_others_can_read(own_folders: Path) -> None:
    logins = own_folders / "data" / "pychat" / "logins"
    logins.mkdir(parents=True, mode=0o700)
    (logins / "a.token").touch(0o600)
    assert line(doctor(), "logins").startswith("ok")
    (logins / "a.token").chmod(0o644)
    assert f"chmod go= '{logins / 'a.token'}'" in fixes(doctor(), "logins")


@pytest.mark.e2e  # needs a terminal
@pytest.mark.parametrize(
    ("environment", "size", "found"),
    [
        ({"TERM": "xterm-256color"}, (24, 80), "ok    terminal    xterm-256color, 80 × 24"),
        ({"TERM": "dumb"}, (24, 80), "FIX   terminal    TERM=dumb"),
        ({"TERM": "xterm", "PYTHONIOENCODING": "latin-1"}, (24, 80), "FIX   terminal    its enc"),
        ({"TERM": "xterm"}, (5, 30), "FIX   terminal    30 × 5 is too small"),
    ],
)
def test_terminals(environment: dict[str, str], size: tuple[int, int], found: str) -> None:
    command = ["-m", "pychat", "doctor", "--port", "0"]
    terminal = pexpect.spawn(
        sys.executable, command, env={**os.environ, **environment}, dimensions=size, timeout=60
    )
    terminal.expect(pexpect.EOF)
    terminal.close()
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    assert found in terminal.before.decode(encoding)
    assert terminal.exitstatus == int(found.startswith("FIX"))
