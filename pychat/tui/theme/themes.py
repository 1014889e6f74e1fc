"""The colours: two calm themes of ours, a choice of well-known ones, and the user's own."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from textual.color import Color, ColorParseError
from textual.theme import BUILTIN_THEMES, Theme

AUTO: Final = "auto"
"""Light or dark, by the terminal's background."""
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
"""What is offered; the others that Textual has are known by name all the same."""


class ThemeError(Exception):
    """A theme file cannot be used: one line that names the file and what is wrong."""


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
    """A theme from TOML: ``name``, ``dark``, and colours as ``"#rrggbb"`` or by name.

    Raises ThemeError.
    """
    try:
        given = msgspec.toml.decode(path.read_bytes(), type=_ThemeFile)
        if given.name in ("", AUTO) or not given.name.isprintable():
            raise ThemeError(f"{path}: name: {given.name!r} cannot be a theme's name")
        theme = Theme(**msgspec.structs.asdict(given))
        for color in theme.to_color_system().generate().values():
            if color.startswith("#"):
                Color.parse(color)
    except OSError as error:
        raise ThemeError(f"{path}: {error.strerror}") from None
    except (ValueError, ColorParseError) as error:  # not UTF-8, not TOML, no such key, no colour
        raise ThemeError(f"{path}: {error}") from None
    except RecursionError:
        raise ThemeError(f"{path}: tables or lists stand too deep in each other") from None
    return theme


def check_themes(wanted: str, files: list[str]) -> None:
    """Raises ThemeError for a file that is no theme, and for a wanted theme that there is not."""
    own = [load_theme(Path(name).expanduser()).name for name in files]
    if wanted not in {AUTO, *CHOICE, *own, *BUILTIN_THEMES}:
        offered = [AUTO, *CHOICE, *own]
        near = get_close_matches(wanted, offered, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(offered)}"
        raise ThemeError(f"there is no theme {wanted!r}; {hint}")
