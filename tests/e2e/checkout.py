"""A fresh checkout of this project, and what a machine without Node has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_CHECKED_OUT = (
    *(".git", ".nox", ".venv", "vendor", "node_modules", "dist", "build"),
    *("__pycache__", ".*_cache", ".hypothesis", ".coverage*"),
)


def fresh_checkout(folder: Path) -> Path:
    """The project's files without what was built or installed in them."""
    ignored = shutil.ignore_patterns(*NOT_CHECKED_OUT)
    return Path(shutil.copytree(ROOT, folder / "pychat", ignore=ignored))


def path_without_node(folder: Path) -> str:
    """A PATH with a Python, and with the programs that a shell script needs, but no Node."""
    folder.mkdir()
    base = (
        Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    )
    for name in ("python3", base.name):
        (folder / name).symlink_to(base if base.exists() else sys.executable)
    for name in ("bash", "sh", "env", "cat", "uname"):
        program = shutil.which(name)
        if program:
            (folder / name).symlink_to(program)
    path = str(folder)
    assert shutil.which("node", path=path) is None
    assert shutil.which("npm", path=path) is None
    return path


def run(*command: str | Path, path: str, folder: Path) -> str:
    """What the command printed on both outputs; it must succeed."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
