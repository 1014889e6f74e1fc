"""Themes: pychat's two, well-known ones and the user's own; which is used, and its Rich styles."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.app import App

AUTO: Final = "auto"
"""Light or dark, like the terminal's background."""
DARK: Final = Theme(
    name="pychat-dark",
    dark=True,
    background="#15171c",
    surface="#1b1e25",
    panel="#262a33",
    foreground="#d5d8df",
    primary="#7ea6d9",
    secondary="#8ab8a8",
    accent="#d6a777",
    success="#8fbf8f",
    warning="#d8b56f",
    error="#dc8484",
    variables={
        "border": "#3a404d",
        "border-blurred": "#262a33",
        "scrollbar": "#2c313c",
        "scrollbar-hover": "#3a404d",
        "scrollbar-active": "#4a5160",
        "scrollbar-background": "#15171c",
        "scrollbar-background-hover": "#15171c",
        "scrollbar-background-active": "#15171c",
        "input-cursor-background": "#d5d8df",
        "input-cursor-foreground": "#15171c",
        "input-selection-background": "#7ea6d9 30%",
        "screen-selection-background": "#7ea6d9 30%",
        "block-cursor-background": "#2f3846",
        "block-cursor-foreground": "#e7e9ee",
        "block-cursor-text-style": "none",
    },
)
LIGHT: Final = Theme(
    name="pychat-light",
    dark=False,
    background="#fcfbf9",
    surface="#f3f1ed",
    panel="#e7e4de",
    foreground="#2b2e35",
    primary="#2c66a8",
    secondary="#2f7462",
    accent="#9a5f22",
    success="#39763f",
    warning="#8a6114",
    error="#b23f3f",
    variables={
        "border": "#cbc7bf",
        "border-blurred": "#e7e4de",
        "scrollbar": "#dcd8d1",
        "scrollbar-hover": "#cbc7bf",
        "scrollbar-active": "#b5b1a9",
        "scrollbar-background": "#fcfbf9",
        "scrollbar-background-hover": "#fcfbf9",
        "scrollbar-background-active": "#fcfbf9",
        "input-cursor-background": "#2b2e35",
        "input-cursor-foreground": "#fcfbf9",
        "input-selection-background": "#2c66a8 20%",
        "screen-selection-background": "#2c66a8 20%",
        "block-cursor-background": "#dbe4ee",
        "block-cursor-foreground": "#1f2228",
        "block-cursor-text-style": "none",
    },
)
CHOICE: Final = (
    DARK.name,
    LIGHT.name,
    *("nord", "gruvbox", "catppuccin-mocha", "catppuccin-latte", "rose-pine", "rose-pine-dawn"),
    *("solarized-dark", "solarized-light", "textual-ansi"),
)
"""The themes that are listed. Textual's others can be set by name."""


class ThemeError(Exception):
    """Unusable theme file or unknown theme; the text is one line that names it and the fault."""


class _ThemeFile(Struct, forbid_unknown_fields=True):
    name: str
    primary: str
    dark: bool = True
    secondary: str | None = None
    accent: str | None = None
    foreground: str | None = None
    background: str | None = None
    surface: str | None = None
    panel: str | None = None
    success: str | None = None
    warning: str | None = None
    error: str | None = None
    variables: dict[str, str] = {}


def load_theme(path: Path) -> Theme:
    """Read a theme from TOML: ``name``, ``dark``, and colours as ``"#rrggbb"`` or by name.

    Raises ThemeError.
    """
    try:
        given = msgspec.toml.decode(path.read_bytes(), type=_ThemeFile)
        if given.name in ("", AUTO) or not given.name.isprintable():
            raise ThemeError(f"{path}: name: {given.name!r} is not allowed as a theme's name")
        theme = Theme(**msgspec.structs.asdict(given))
        for color in theme.to_color_system().generate().values():
            if color.startswith("#"):
                Color.parse(color)
    except OSError as error:
        raise ThemeError(f"{path}: {error.strerror}") from None
    except (ValueError, ColorParseError) as error:  # not UTF-8, not TOML, no such key, no colour
        raise ThemeError(f"{path}: {error}") from None
    except RecursionError:
        raise ThemeError(f"{path}: tables or lists are nested too deeply") from None
    return theme


def check_themes(wanted: str, files: list[str]) -> None:
    """Raise ThemeError for an unusable theme file, or if the wanted theme does not exist."""
    own = [load_theme(Path(name).expanduser()).name for name in files]
    if wanted not in {AUTO, *CHOICE, *own, *BUILTIN_THEMES}:
        offered = [AUTO, *CHOICE, *own]
        near = get_close_matches(wanted, offered, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(offered)}"
        raise ThemeError(f"there is no theme {wanted!r}; {hint}")


TEXTUAL_DEFAULT: Final = "textual-dark"
"""The theme that Textual sets at the start. It is offered only if the settings name it."""


class ThemeSelector:
    """Register the themes of an app and choose one.

    The theme chosen in the app comes before the one of the settings, and that before the one that
    matches the terminal. ``setting`` and ``files`` have passed ``check_themes``.
    """

    def __init__(self, app: App[None], setting: str, files: list[str]) -> None:
        self._app = app
        self._setting = setting
        self._default = DARK.name
        """The theme of the settings or the terminal, whatever was chosen since."""
        app.register_theme(DARK)
        app.register_theme(LIGHT)
        offered = {*CHOICE, setting, TEXTUAL_DEFAULT}
        for name in files:
            theme = load_theme(Path(name).expanduser())
            app.register_theme(theme)
            offered.add(theme.name)
        for name in set(app.available_themes) - offered:
            app.unregister_theme(name)

    def start(self, *, light: bool, chosen: str) -> None:
        """Set the first theme. ``light``: the terminal has a light background; ``chosen``: as for
        ``use``."""
        if self._setting in self._app.available_themes:
            self._default = self._setting
        else:
            self._default = LIGHT.name if light else DARK.name
        self.use(chosen)
        if self._app.theme != TEXTUAL_DEFAULT != self._setting:
            self._app.unregister_theme(TEXTUAL_DEFAULT)

    def use(self, chosen: str) -> None:
        """Set the theme that was chosen in the app; the default if the name is empty or unknown."""
        self._app.theme = chosen if chosen in self._app.available_themes else self._default

    def follow_settings(self) -> None:
        """Set the theme of the settings or the terminal."""
        self._app.theme = self._default

    @property
    def chosen(self) -> str:
        """The theme chosen in the app; empty if it is the default."""
        return "" if self._app.theme == self._default else self._app.theme


def component_style(widget: Widget, name: str) -> Style:
    """Return the style of a component class, to be combined with the style of the widget.

    Textual's partial Rich styles ignore the alpha of a colour (``$foreground 50%``). Here it is
    blended with the widget's background.
    """
    styles = widget.get_component_styles(name)
    _, background = widget.background_colors
    color = bgcolor = None
    if styles.has_rule("background"):
        background = background + styles.background
        bgcolor = background.rich_color
    if styles.has_rule("color"):
        color = (background + styles.color).rich_color
    style = Style(color=color, bgcolor=bgcolor)
    return style + styles.text_style if styles.has_rule("text_style") else style
