"""Files of other users in a shared folder are neither followed nor written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pychat.server import logs
from pychat.server.chat import audit
from pychat.server.ownfile import open_own
from pychat.server.store import StoreError, open_store

STRANGER = 65534

pytestmark = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root gives files to others"
)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder like /tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def plant(path: Path, kind: str, target: Path) -> None:
    if kind == "file":
        path.write_text("")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(target)
    os.lchown(path, STRANGER, STRANGER)


@pytest.mark.parametrize("kind", ["file", "pipe", "link"])
def test_what_another_user_has_put_there(shared: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    plant(shared / "audit.log", kind, target)
    with pytest.raises(PermissionError, match="the file belongs to another user"):
        audit.to_file(shared / "audit.log", logs.JsonFormatter())
    assert not target.exists()
    # One's own folder is nobody's to put things into.
    shared.chmod(0o755)
    if kind == "file":
        os.close(open_own(shared / "audit.log", os.O_WRONLY | os.O_APPEND))


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", "-lock"])
@pytest.mark.parametrize("kind", ["file", "link"])
async def test_a_store(shared: Path, tmp_path: Path, suffix: str, kind: str) -> None:
    target, file = tmp_path / "target", shared / "chat.db"
    plant(shared / f"chat.db{suffix}", kind, target)
    store = open_store(f"sqlite:///{file}")
    with pytest.raises(StoreError, match=f"{suffix}: the file belongs to another user"):
        await store.open()
    assert not target.exists()


async def test_ones_own_link_is_followed(shared: Path, tmp_path: Path) -> None:
    (shared / "chat.db").symlink_to(tmp_path / "elsewhere.db")
    store = open_store(f"sqlite:///{shared}/chat.db")
    await store.open()
    await store.close()
    assert (tmp_path / "elsewhere.db").exists()


def test_a_pipe_without_a_reader_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        open_own(tmp_path / "pipe", os.O_WRONLY)
