"""Colours: the themes that an app offers, and which of them it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pychat.tui.theme.themes import CHOICE, DARK, LIGHT, load_theme

if TYPE_CHECKING:
    from pychat.tui.app import ChatApp

TEXTUALS: Final = "textual-dark"
"""The theme that an app has until it takes another one; none of those that are offered."""


class ThemeSelector:
    """The one chosen in the app goes before that of the settings, and that before the one that
    suits the terminal. The settings have been checked, see ``themes.check_themes``."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self._wanted = app.settings.theme
        self._own = DARK.name
        """By the settings and the terminal, whatever was chosen since."""
        self._offer(app.settings.theme_files)

    def _offer(self, files: list[str]) -> None:
        app, own = self._app, []
        app.register_theme(DARK)
        app.register_theme(LIGHT)
        for name in files:
            theme = load_theme(Path(name).expanduser())
            app.register_theme(theme)
            own.append(theme.name)
        offered = {*CHOICE, *own}
        for name in set(app.available_themes) - offered - {self._wanted, TEXTUALS}:
            app.unregister_theme(name)

    def take(self) -> None:
        """By what the terminal has answered."""
        app, wanted = self._app, self._wanted
        if wanted not in app.available_themes:
            wanted = LIGHT.name if app.answers.is_light else DARK.name
        self._own = wanted
        self.take_remembered()
        if app.theme != TEXTUALS != self._wanted:
            app.unregister_theme(TEXTUALS)

    def take_remembered(self) -> None:
        """What was chosen last in this account, if anything was."""
        chosen = self._app.remembered.theme
        self._app.theme = chosen if chosen in self._app.available_themes else self._own

    def follow_settings(self) -> None:
        """Whatever was chosen since."""
        self._app.theme = self._own

    def remember(self) -> None:
        """What was chosen now."""
        theme = self._app.theme
        self._app.remembered.theme = "" if theme == self._own else theme
