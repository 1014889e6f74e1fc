"""The audit log: what commands do is in the file that the server writes too."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.invoke import invoke, refusal
from tests.processes import Serving


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Named once, for the server and the commands."""
    file = tmp_path / "audit.jsonl"
    monkeypatch.setenv("PYCHAT_AUDIT_LOG", str(file))
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    monkeypatch.delenv("SUDO_USER", raising=False)
    return file


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    address = f"sqlite:///{tmp_path}/chat.db"
    monkeypatch.setenv("PYCHAT_STORE", address)
    return address


@pytest.fixture
def server(log: Path, store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    with Serving("--store", store, "--admin", "root") as server:
        monkeypatch.setenv("PYCHAT_SERVER", server.url)
        yield server


def entries(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.e2e
def test_what_commands_do_beside_a_running_server(
    server: Serving, log: Path, store: str, tmp_path: Path
) -> None:
    assert invoke("user", "add", "root").status == 0
    assert invoke("user", "add", "mallory").status == 0
    assert invoke("send", "--user", "mallory", "--to", "root", "spam").status == 0
    history = invoke("history", "--user", "root", "--with", "mallory", "--json").stdout
    spam = json.loads(history)["id"]
    assert invoke("remove", "--user", "root", spam).status == 0
    assert invoke("user", "devices", "mallory").status == 0
    assert invoke("user", "devices", "mallory", "--revoke", "all").status == 0
    assert invoke("user", "passwd", "mallory").status == 0
    assert invoke("user", "disable", "mallory").status == 0
    assert invoke("user", "enable", "mallory").status == 0
    assert invoke("store", "check").status == 0
    assert invoke("export", str(tmp_path / "chat.jsonl")).status == 0
    found = entries(log)
    done = {"store": store, "by": pwd.getpwuid(os.getuid()).pw_name}
    by_commands = [
        (entry["message"], entry["through"], entry.get("id"))
        for entry in found
        if "through" in entry and entry.items() >= done.items()
    ]
    assert by_commands == [
        ("account made", "pychat user add", "root"),
        ("account made", "pychat user add", "mallory"),
        ("logins ended", "pychat user devices", "mallory"),
        ("password changed", "pychat user passwd", "mallory"),
        ("id disabled", "pychat user disable", "mallory"),
        ("id enabled", "pychat user enable", "mallory"),
        ("store checked", "pychat store check", None),
        ("store exported", "pychat export", None),
    ]
    (removal,) = [entry for entry in found if entry["message"] == "message removed"]
    assert (removal["id"], removal["removed"], removal["address"]) == ("root", spam, "127.0.0.1")
    assert "a good password" not in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_an_import_is_noted(log: Path, store: str, tmp_path: Path) -> None:
    assert invoke("user", "add", "alice").status == 0
    file = tmp_path / "chat.jsonl"
    assert invoke("export", str(file)).status == 0
    assert invoke("import", "--store", f"sqlite:///{tmp_path}/new.db", str(file)).status == 0
    last = entries(log)[-1]
    assert (last["message"], last["file"]) == ("store imported", str(file))
    assert last["store"] == f"sqlite:///{tmp_path}/new.db"


def test_nothing_is_done_that_could_not_be_noted(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    nowhere = str(tmp_path / "none" / "audit.jsonl")
    line = refusal("user", "add", "alice", "--audit-log", nowhere)
    assert line == f"{nowhere}: No such file or directory"
    assert not (tmp_path / "chat.db").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_a_full_disk_is_told(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    assert invoke("user", "add", "alice").status == 0
    line = refusal("user", "disable", "alice", "--audit-log", "/dev/full")
    assert line == "done (id disabled), but not recorded in /dev/full: No space left on device"
