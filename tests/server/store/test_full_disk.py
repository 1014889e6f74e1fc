"""A disk that is really full: a tmpfs of a few megabytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import require_program

# In a mount namespace of its own: the tmpfs ends with the process.
SCRIPT = """
mount -t tmpfs -o size=6m tmpfs "$1" || exit 77
head -c 2000000 /dev/zero > "$1/ballast"
exec "$2" -m tests.server.store.filling "sqlite:///$1/chat.db" "$1/ballast"
"""


@pytest.mark.e2e
def test_senders_are_told_and_it_goes_on_once_there_is_room(tmp_path: Path) -> None:
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", SCRIPT, "sh", str(tmp_path)]
    require_program("unshare")
    run = subprocess.run(
        [*command, sys.executable], capture_output=True, text=True, timeout=100, check=False
    )
    if run.returncode == 77 or "unshare failed" in run.stderr:
        pytest.skip(f"this machine lets nobody mount a tmpfs: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    assert all("the disk is full" in refusal for refusal in seen["refusals"])
    assert seen["answered"] > 100
    assert seen["stored"] == seen["answered"]
    assert seen["problems"] == []
