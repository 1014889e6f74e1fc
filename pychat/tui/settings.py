"""What a user may set for the terminal client: the ``[tui]`` table of pychat.toml, typed."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

Notifier = Literal["bell", "osc9", "osc777", "desktop"]
"""``desktop`` is notify-send, where there is one."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``msgspec.convert(table, Settings)`` names the key that is wrong."""

    theme: str = "auto"
    """A theme's name, or ``auto``: light or dark by the terminal's background."""
    theme_files: list[str] = []
    """TOML files with themes of one's own."""
    keys: dict[str, str] = {}
    """Action id to keys (``"ctrl+t"`` or ``"ctrl+t,f4"``): see the help screen for the ids."""
    notify: list[Notifier] = field(default_factory=lambda: ["bell", "osc9"])
    """How a message is told while the terminal is not in focus."""
    previews: bool = True
    """Whether notifications say who wrote what, or only that somebody did."""
    muted: list[str] = []
    """Conversations that never notify."""
    reduced_motion: bool = False
    """No animation and no blinking cursor."""
