"""What is wrong in the table [tui] of pychat.toml is named in plain words."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from pychat.cli import settings
from pychat.cli.terminalsettings import terminal_settings


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    settings._found.cache_clear()
    settings._read.cache_clear()
    return tmp_path / "pychat.toml"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tui]\nthme = 'x'", "[tui]: there is no option thme. Did you mean theme?"),
        ("[tui]\nqqqqqq = 1", "[tui]: there is no option qqqqqq."),
        (
            "[tui]\nnotify = ['bel']",
            "[tui]: notify: 'bel' is none of bell, osc9, osc777, desktop.",
        ),
        ("[tui]\npreviews = 'no'", "[tui]: previews must be true or false."),
        ("[tui]\nmuted = 'bob'", "[tui]: muted must be a list in [ ]."),
        ("[tui]\ntheme = 3", "[tui]: theme must be text in quotes."),
        (
            "[tui.keys]\nsearch = 'ctrl+k'",
            "[tui.keys], search: ctrl+k is the key of switch. "
            "Choose another, or give switch another one, too.",
        ),
        ("[tui.keys]\nswitch = 'f5, ctrl+f'", "[tui.keys], switch: ctrl+f is the key of search."),
    ],
)
def test_what_is_wrong_is_named(file: Path, text: str, problem: str) -> None:
    file.write_text(text)
    with pytest.raises(click.UsageError) as refused:
        terminal_settings()
    assert str(refused.value).startswith(f"pychat.toml, {problem}")


def test_keys_may_be_exchanged(file: Path) -> None:
    file.write_text("[tui.keys]\nswitch = 'ctrl+f'\nsearch = 'ctrl+k'")
    assert terminal_settings().keys == {"switch": "ctrl+f", "search": "ctrl+k"}


def test_a_working_directory_goes_first_key_by_key(file: Path, own_folders: Path) -> None:
    own = own_folders / "config" / "pychat"
    own.mkdir(parents=True)
    (own / "pychat.toml").write_text(
        "[tui]\npreviews = false\nmuted = ['bob']\n[tui.keys]\nsearch = 'f4'\nlinks = 'f5'"
    )
    file.write_text("[tui]\nmuted = ['eve']\n[tui.keys]\nlinks = 'f6'\nretry = 'f7'")
    read = terminal_settings()
    assert (read.previews, list(read.muted)) == (False, ["eve"])
    assert read.keys == {"search": "f4", "links": "f6", "retry": "f7"}
