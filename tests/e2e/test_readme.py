"""The README's commands and programs, run as they stand there, in a fresh checkout."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pychat.client import ChatClient
from tests.e2e.checkout import ROOT, fresh_checkout
from tests.e2e.tmux import Terminal
from tests.processes import Serving, create_account

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def block(language: str, mark: str) -> str:
    """The one block with this text in it."""
    [found] = [each for each in blocks(language) if mark in each]
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installed as the README says; the last line of that block starts the server."""
    folder = fresh_checkout(tmp_path_factory.mktemp("checkout"))
    *install, serve = block("sh", "pip install .").splitlines()
    assert serve == ".venv/bin/pychat serve"
    for line in install:
        done = subprocess.run(shlex.split(line), cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def server(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    with Serving(program=[str(checkout / ".venv/bin/pychat")], port=free_port()) as serving:
        # What is literal in the README is port 3000, which may be taken here.
        monkeypatch.setenv("PYCHAT_SERVER", serving.url)
        yield serving


async def test_connect(checkout: Path, server: Serving, tmp_path: Path) -> None:
    command = block("sh", "pychat connect").split()
    with Terminal([str(checkout / command[0]), *command[1:]], tmp_path / "tmux") as terminal:
        await terminal.expect("alice", "Password")
        terminal.write("a good password")
        terminal.press("Enter")
        await terminal.expect("Create account alice")
        terminal.press("Enter")
        await terminal.expect("Everyone")
        terminal.press("C-q")
        assert await terminal.exit_status() == 0


async def test_demo(checkout: Path, tmp_path: Path) -> None:
    command = block("sh", "pychat demo").split()
    with Terminal([str(checkout / command[0]), *command[1:]], tmp_path / "tmux") as terminal:
        # A long path is wrapped between any two words.
        await terminal.expect("I am Pip, a bot", "http://127.0.0.1:", "--user", "--server")
        terminal.write("reverse one two three")
        terminal.press("Enter")
        await terminal.expect("three two one")
        terminal.press("C-q")
        assert await terminal.exit_status() == 0


async def test_tour(checkout: Path, server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout / ".venv/bin"), prepend=os.pathsep)
    for user in ("alice", "bob"):
        create_account(server.url, user)
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    said = {}
    for line in block("sh", "pychat send").splitlines():
        if "listen" not in line:  # it would go on for ever
            said[line] = await asyncio.to_thread(output_of, line)
    *others, (history, last) = said.items()
    assert "history" in history
    assert last.endswith("] alice: The build is green\n")
    assert {output for _, output in others} == {""}
    piped = await asyncio.to_thread(output_of, "pychat history --user bob --with '#builds'")
    assert "] alice: " in piped


async def test_bot(checkout: Path, server: Serving) -> None:
    program = block("python", "ChatClient(").replace("3000", str(server.port))
    async with ChatClient(server.url, user="parrot", password="4 crackers"):
        pass
    async with ChatClient(server.url, user="alice", password="a good password") as alice:
        with running(checkout / ".venv/bin/python", "-c", program):
            await alice.send("parrot", "Is there an echo?")
            async for message in alice.messages():
                assert (message.sender, message.text) == ("parrot", "Is there an echo?")
                break


async def test_attached_to_an_application(checkout: Path, tmp_path: Path) -> None:
    port = free_port()
    program = block("python", "attach(").replace("3001", str(port))
    with running(checkout / ".venv/bin/python", "-u", "-c", program, folder=tmp_path) as process:
        assert process.stdout is not None
        assert "Running on" in process.stdout.readline()
        url = f"http://127.0.0.1:{port}"
        async with ChatClient(url, user="alice", password="a good password") as alice:
            assert (await alice.send("ALL", "hello")).seq == 1


def output_of(command: str) -> str:
    """In a shell: some of the commands are pipes."""
    return subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True, check=True).stdout


@contextmanager
def running(*command: str | Path, folder: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """A program that is ended at the end."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def test_ci_runs_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    lines = [line.replace(" --quiet", "") for line in script]
    for line in block("sh", "bin/nox").splitlines():
        assert line in lines
