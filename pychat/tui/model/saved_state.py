"""What the terminal client remembers between runs, beside the client's cache."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from pychat.client.storage.userfile import read_own_file, set_aside


class _State(Struct, omit_defaults=True):
    muted: list[str] = []
    theme: str = ""


class SavedState:
    """In memory without a path. A file that cannot be used is set aside; one that cannot be written
    is not worth a word."""

    def __init__(self, path: Path | None = None, muted: list[str] | None = None) -> None:
        self._path = path
        self._state = _State()
        self.problems: list[str] = []
        """What to tell: a file that could not be used."""
        if path is not None:
            try:
                self._state = msgspec.json.decode(read_own_file(path), type=_State)
            except FileNotFoundError:
                pass
            except (OSError, msgspec.DecodeError, RecursionError):
                aside = set_aside(path)
                self.problems.append(
                    f"What was muted and the theme are forgotten: {path} is damaged"
                    + (f" and was set aside as {aside.name}." if aside is not None else ".")
                )
        self._always = frozenset(muted or ())

    @property
    def muted(self) -> frozenset[str]:
        """Conversations that do not notify: those of the settings and those muted here."""
        return self._always | frozenset(self._state.muted)

    def toggle_muted(self, name: str) -> bool:
        """Mutes or unmutes; True if it is muted now. Those of the settings stay muted."""
        if name in self._state.muted:
            self._state.muted.remove(name)
        elif name not in self._always:
            self._state.muted.append(name)
        self._save()
        return name in self.muted

    @property
    def theme(self) -> str:
        """The theme chosen last in the app; empty for the settings' own."""
        return self._state.theme

    @theme.setter
    def theme(self, name: str) -> None:
        if name != self._state.theme:
            self._state.theme = name
            self._save()

    def _save(self) -> None:
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.encode(self._state))
            os.replace(new, self._path)
        except OSError:
            return
