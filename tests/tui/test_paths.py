"""Paths that users type or drop on the terminal, and their completion."""

from __future__ import annotations

from pathlib import Path

from pychat.tui.model.paths import PathEntry, complete_path, path_from


def test_paths_as_people_and_terminals_write_them(tmp_path: Path) -> None:
    spaced = tmp_path / "a b.txt"
    spaced.write_text("x")
    for typed in (f"{spaced}", f" '{spaced}' ", str(spaced).replace(" ", "\\ "), spaced.as_uri()):
        assert path_from(typed) == spaced, typed
    (tmp_path / "alpha").mkdir()
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "a\x1b[2Jb").write_text("")
    assert complete_path(f"{tmp_path}/a") == [
        PathEntry(f"{tmp_path}/a b.txt", "a b.txt", False),
        PathEntry(f"{tmp_path}/alpha/", "alpha", True),
    ]
    assert [entry.name for entry in complete_path(f"{tmp_path}/.")] == [".hidden"]
    assert complete_path("/nowhere/x") == complete_path("~nobody-here/") == []
