"""``pychat config``: the file it writes changes nothing, names everything, and is not replaced."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import click
import msgspec
import pytest

from pychat.cli.settings import files as settings
from pychat.tui.commands.keys import KEYS
from pychat.tui.settings import Settings
from scripts.settings_page import PAGE, page
from tests.cli.invoke import invoke, refusal


@pytest.fixture
def file(own_folders: Path) -> Path:
    """The user's own pychat.toml."""
    return own_folders / "config" / "pychat" / "pychat.toml"


def uncommented(text: str) -> dict[str, object]:
    """What the file says with every setting's # taken away."""
    return tomllib.loads(re.sub(r"^#(?=[\w\[])", "", text, flags=re.MULTILINE))


def test_init_writes_a_file_that_changes_nothing(file: Path) -> None:
    before = invoke("serve", "--help")
    result = invoke("config", "init")
    assert (result.status, result.stdout) == (0, "")
    assert str(file) in result.stderr
    assert invoke("config", "path").stdout == f"{file}\n"
    assert tomllib.loads(file.read_text()) == {"tui": {"keys": {}}}
    assert invoke("serve", "--help") == before


def test_init_leaves_a_file_that_is_there(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text('user = "alice"\n')
    assert "already exists" in refusal("config", "init")
    assert file.read_text() == 'user = "alice"\n'


def test_init_says_where_it_cannot_write(file: Path) -> None:
    file.parent.parent.mkdir(parents=True)
    file.parent.write_text("a file where the folder would be")
    assert "cannot write" in refusal("config", "init")


def test_every_setting_is_there_with_its_default(file: Path) -> None:
    invoke("config", "init")
    written = uncommented(file.read_text())
    terminal = written.pop("tui")
    assert isinstance(terminal, dict)
    assert terminal.pop("keys") == {key.id: key.keys for key in KEYS}
    assert msgspec.convert(terminal, Settings) == Settings()
    assert written.pop("profiles") == {
        "work": {
            "user": "ID",
            "server": "http://127.0.0.1:3000",
            "password-file": "FILE",
            "password-command": "COMMAND",
        }
    }
    options = {option.key: option for _, option in settings.all_settings()}
    assert written.keys() == options.keys()
    for key, option in options.items():
        default = option.get_default(click.Context(click.Command("any")), call=False)
        if isinstance(default, str | int) and not callable(default):
            assert written[key] == default, key


def test_uncommented_settings_are_taken(file: Path) -> None:
    invoke("config", "init")
    file.write_text(file.read_text().replace("#port = 3000", "port = 4000"))
    assert "default: 4000" in invoke("serve", "--help").stdout


def test_a_key_means_one_thing() -> None:
    """One that several commands have is of the same kind in all of them."""
    kinds: dict[str, set[tuple[str, bool, bool]]] = {}
    for _, option in settings.all_settings():
        kind = (option.type.name, option.multiple, option.is_flag)
        kinds.setdefault(option.key, set()).add(kind)
    assert {key: found for key, found in kinds.items() if len(found) > 1} == {}


def test_the_page_shows_what_init_writes() -> None:
    text = PAGE.read_text("utf-8")
    assert page(text) == text, "run python -m scripts.settings_page"


def test_profiles_are_listed(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(
        '[profiles.home]\nuser = "alice"\n[profiles.work]\nserver = "https://chat.example.org"\n'
    )
    assert invoke("config", "profiles").stdout == (
        "home\talice\t\nwork\t\thttps://chat.example.org\n"
    )
    lines = invoke("config", "profiles", "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"name": "home", "user": "alice"},
        {"name": "work", "server": "https://chat.example.org"},
    ]
