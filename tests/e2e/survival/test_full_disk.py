"""The disk is full while the server serves: senders are told, and it goes on once there is room."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.survival.counting import count_all
from tests.e2e.survival.load import talking
from tests.processes import PYCHAT, Serving
from tests.requirements import require_program, unavailable

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

# In a mount namespace of its own: the tmpfs ends with the process.
UNSHARE = ("unshare", "--mount", "--map-root-user", "sh", "-c")
MOUNT = 'mount -t tmpfs -o size=6m tmpfs "$0" && head -c 4000000 /dev/zero > "$0/ballast"'


def require_mounting(folder: Path) -> None:
    tried = subprocess.run([*UNSHARE, MOUNT, folder], capture_output=True, text=True)
    if tried.returncode:
        unavailable(f"this machine lets nobody mount a tmpfs: {tried.stderr.strip()}")


async def test_senders_are_told_and_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_program("unshare")
    disk = tmp_path / "disk"
    disk.mkdir()
    require_mounting(disk)
    store = f"sqlite:///{disk}/chat.db"
    program = (*UNSHARE, f'{MOUNT} && exec "$@"', str(disk), *PYCHAT)
    server = Serving("--store", store, "--no-limits", program=program)
    # What this process sees there is another folder: the server's is reached through it.
    there = os.open(f"/proc/{server.pid}/root{disk}", os.O_DIRECTORY)
    async with talking(server.url) as town:
        await town.ledger.refused_more(20)
        assert any(terminal.client.status.waiting for terminal in town.terminals)
        os.unlink("ballast", dir_fd=there)
        await town.ledger.acknowledged_more(20)
        await town.stop()
    assert await asyncio.to_thread(server.stop) == 0
    shutil.copyfile(f"/proc/self/fd/{there}/chat.db", tmp_path / "chat.db")
    os.close(there)
    counts = await count_all(f"sqlite:///{tmp_path}/chat.db", town.ledger)
    log = "".join(server.log)
    with capsys.disabled():
        print(f"\ndisk full: {counts}")
    assert f"the disk is full: {disk}/chat.db cannot grow" in log
    assert "messages are stored again" in log
    assert "Traceback" not in log
    town.assert_nothing_wrong()
    counts.assert_nothing_wrong()
