"""SavedState: what the user chose in the app, kept between runs: theme, layout, reactions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from pychat.client.storage.userfile import read_own_file, set_aside

MAX_REACTIONS: Final = 12


Layout = Literal["comfortable", "compact"]
LAYOUTS: Final[tuple[Layout, ...]] = ("comfortable", "compact")


class _State(Struct, omit_defaults=True):
    muted: list[str] = []
    theme: str = ""
    reactions: list[str] = []
    layout: Layout = "comfortable"


class SavedState:
    """The state of one account, in a JSON file, or in memory if ``path`` is None.

    An unusable file is renamed and reported in ``problems``. A failed write is ignored: it costs a
    setting that is easy to make again.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._state = _State()
        self.problems: list[str] = []
        """Lines to show to the user."""
        if path is not None:
            try:
                self._state = msgspec.json.decode(read_own_file(path), type=_State)
            except FileNotFoundError:
                pass
            except (OSError, msgspec.DecodeError, RecursionError):
                aside = set_aside(path)
                self.problems.append(
                    f"The theme is reset: {path} is damaged"
                    + (f" and was renamed to {aside.name}" if aside is not None else "")
                )

    @property
    def muted(self) -> list[str]:
        """Conversations that an older version muted here. The server keeps this now: mute them
        there, then call ``forget_muted``."""
        return list(self._state.muted)

    def forget_muted(self, name: str) -> None:
        """Forget one of them."""
        self._state.muted.remove(name)
        self._save()

    @property
    def theme(self) -> str:
        """The theme chosen in the app; empty for the default."""
        return self._state.theme

    @theme.setter
    def theme(self, name: str) -> None:
        if name != self._state.theme:
            self._state.theme = name
            self._save()

    @property
    def layout(self) -> Layout:
        """The layout of the log."""
        return self._state.layout

    @layout.setter
    def layout(self, layout: Layout) -> None:
        self._state.layout = layout
        self._save()

    @property
    def reactions(self) -> list[str]:
        """The emoji of the last reactions, the last one first."""
        return list(self._state.reactions)

    def used_reaction(self, emoji: str) -> None:
        """Remember the emoji of a reaction."""
        others = [each for each in self._state.reactions if each != emoji]
        self._state.reactions = [emoji, *others][:MAX_REACTIONS]
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
