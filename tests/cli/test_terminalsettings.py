"""What is wrong in the table [tui] of pychat.toml is named in plain words."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from pychat.cli.settings import files as settings
from pychat.cli.settings.terminal import terminal_settings
from pychat.tui.themes import CHOICE


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    settings._found.cache_clear()
    settings._read.cache_clear()
    return tmp_path / "pychat.toml"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tui]\nthme = 'x'", "[tui]: unknown option thme. Did you mean theme?"),
        ("[tui]\nqqqqqq = 1", "[tui]: unknown option qqqqqq."),
        (
            "[tui]\nnotify = ['bel']",
            "[tui]: notify: 'bel' is not one of bell, osc9, osc777, desktop.",
        ),
        ("[tui]\npreviews = 'no'", "[tui]: previews must be true or false."),
        ("[tui]\nmuted = 'bob'", "[tui]: muted must be a list in [ ]."),
        ("[tui]\ntheme = 3", "[tui]: theme must be text in quotes."),
        (
            "[tui.keys]\nsearch = 'ctrl+k'",
            "[tui.keys], search: ctrl+k is already the key of switch. "
            "Choose another key, or change the key of switch too.",
        ),
        ("[tui]\nmuted = ['bob', 3]", "[tui]: each of muted must be text in quotes."),
        ("[tui]\nnotify = [3]", "[tui]: each of notify must be text in quotes."),
        ("[tui]\nkeys = 'x'", "[tui]: keys must be a table."),
        ("tui = 3", "tui: it must be a table, [tui]."),
        ("[tui]\ntheme = 'nrod'", "[tui]: theme: there is no theme 'nrod'; did you mean nord?"),
        ("[tui]\ntheme = ''", "[tui]: theme: there is no theme ''; there are auto, pychat-dark,"),
        ("[tui]\ntheme_files = ['no.toml']", "[tui]: theme_files: no.toml: No such file"),
        ("[tui]\ntheme_files = ['.']", "[tui]: theme_files: .: Is a directory"),
        ("[tui]\ntheme_files = ['bad.toml']", "[tui]: theme_files: bad.toml: "),
        ("[tui]\ntheme_files = ['auto.toml']", "[tui]: theme_files: auto.toml: name: 'auto'"),
        (
            "[tui.keys]\nserch = 'f4'",
            "[tui.keys], unknown action serch. Did you mean search? F1 lists all actions.",
        ),
        ("[tui.keys]\nsearch = 4", "[tui]: each of keys must be text in quotes."),
        ("[tui.keys]\nsearch = ''", "[tui.keys], search: there is no key ''."),
        ("[tui.keys]\nsearch = 'f4,'", "[tui.keys], search: there is no key ''."),
        ("[tui.keys]\nsearch = 'escpe'", "[tui.keys], search: there is no key 'escpe'; did you"),
        (
            "[tui.keys]\nsearch = 'Ctrl+T'",
            "[tui.keys], search: 'Ctrl+T' is not a key; did you",
        ),
        ("[tui.keys]\nsearch = 'strg+t'", "[tui.keys], search: 'strg+t' is not a key; write"),
        (
            "[tui.keys]\nsearch = 'shift+alt+t'",
            "[tui.keys], search: 'shift+alt+t' is not a key;",
        ),
        ("[tui.keys]\nswitch = 'k'", "[tui.keys], switch: k could not be typed in messages any"),
        ("[tui.keys]\nswitch = 'shift+at'", "[tui.keys], switch: shift+at could not be typed"),
        (
            "[tui.keys]\nswitch = 'f5, ctrl+f'",
            "[tui.keys], switch: ctrl+f is already the key of search.",
        ),
    ],
)
def test_what_is_wrong_is_named(file: Path, text: str, problem: str) -> None:
    file.write_text(text)
    file.with_name("bad.toml").write_bytes(b"name = '\xff'")
    file.with_name("auto.toml").write_text("name = 'auto'\nprimary = 'red'")
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


def test_a_wrong_value_in_ones_own_folder_is_told_of_that_file(
    file: Path, own_folders: Path
) -> None:
    own = own_folders / "config" / "pychat"
    own.mkdir(parents=True)
    (own / "pychat.toml").write_text("[tui.keys]\nserch = 'f4'")
    file.write_text("[tui.keys]\nlinks = 'f6'")
    with pytest.raises(click.UsageError, match=str(own)):
        terminal_settings()


def test_every_theme_that_is_listed_is_taken(file: Path) -> None:
    file.with_name("mine.toml").write_text("name = 'mine'\nprimary = 'red'")
    for name in ["auto", *CHOICE, "dracula", "mine"]:
        file.write_text(f"[tui]\ntheme = '{name}'\ntheme_files = ['mine.toml']")
        settings._found.cache_clear()
        settings._read.cache_clear()
        assert terminal_settings().theme == name
