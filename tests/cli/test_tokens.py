"""Logins that are kept in files."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pychat.cli.credentials.tokens import keep_token, kept_token

SERVER = "http://127.0.0.1:3000"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pychat.cli.credentials.keyring.write", lambda *_: False)
    return tmp_path


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file can grow, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_token_that_cannot_be_written_is_one_line_and_leaves_nothing(
    home: Path, full_disk: None
) -> None:
    with pytest.raises(
        click.ClickException, match=r"cannot write the login token to /.*: File too large"
    ):
        keep_token(SERVER, "alice", "secret")
    assert [each for each in home.rglob("*") if each.is_file()] == []
    assert kept_token(SERVER, "alice") is None
