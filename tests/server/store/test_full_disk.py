"""A full disk: the store is on a tmpfs of a few megabytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import require_program

# In a separate mount namespace, so that the tmpfs disappears with the process.
SCRIPT = """
mount -t tmpfs -o size=6m tmpfs "$1" || exit 77
head -c 2000000 /dev/zero > "$1/ballast"
exec "$2" -m tests.server.store.filling "sqlite:///$1/chat.db" "$1/ballast"
"""
FULL_AT_START = """
mount -t tmpfs -o size=1m tmpfs "$1" || exit 77
"$2" -m pychat user add alice --password-file "$1.password" --store "sqlite:///$1/chat.db"
eval "$3"
cat /dev/zero > "$1/ballast"
exec "$2" -m pychat serve --port 0 --store "sqlite:///$1/chat.db"
"""


def run(script: str, disk: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the script with the folder as ``$1`` and Python as ``$2``."""
    require_program("unshare")
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh"]
    run = subprocess.run(
        [*command, str(disk), sys.executable, *more], capture_output=True, text=True, timeout=100
    )
    if run.returncode == 77 or "unshare failed" in run.stderr:
        pytest.skip(f"this machine lets nobody mount a tmpfs: {run.stderr.strip()}")
    return run


@pytest.mark.e2e
def test_writes_are_refused_and_succeed_again_once_there_is_room(tmp_path: Path) -> None:
    done = run(SCRIPT, tmp_path)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert all("the disk is full" in refusal for refusal in seen["refusals"])
    assert seen["ready"] == [False, True]
    assert seen["answered"] > 100
    assert seen["stored"] == seen["answered"]
    assert seen["problems"] == []


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("served_before", "complaint"),
    [
        (True, "the disk is full: {store} cannot grow"),
        (False, "cannot write {store}-lock: No space left on device"),
    ],
)
def test_full_when_the_server_starts(tmp_path: Path, served_before: bool, complaint: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "disk.password").write_text("a password of some length")
    done = run(FULL_AT_START, disk, f"echo 1 > {disk}/chat.db-lock" if served_before else ":")
    assert done.returncode == 1
    expected = complaint.format(store=f"{disk}/chat.db")
    assert done.stderr.splitlines()[-1] == f"Error: {expected}"
    assert "Traceback" not in done.stderr
