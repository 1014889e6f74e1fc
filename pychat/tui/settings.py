"""What a user may set for the terminal client: the ``[tui]`` table of pychat.toml, typed."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Notifier = Literal["bell", "osc9", "osc777", "desktop"]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``msgspec.convert(table, Settings)`` names the key that is wrong.

    The descriptions are what ``pychat config init`` writes beside the defaults.
    """

    theme: Annotated[
        str,
        Meta(
            description="A theme's name, or auto: light or dark by the terminal's background. "
            "/theme shows them; one that is chosen there goes before this one."
        ),
    ] = "auto"
    theme_files: Annotated[
        list[str],
        Meta(
            description="TOML files with themes of your own: name, dark, and any of the colours "
            "primary, secondary, accent, foreground, background, surface, panel, success, warning "
            "and error."
        ),
    ] = []
    keys: Annotated[
        dict[str, str], Meta(description="Action id to keys, for those that are changed.")
    ] = {}
    notify: Annotated[
        list[Notifier],
        Meta(
            description="How a message is told while the terminal is not in focus, any of: bell, "
            "osc9 (iTerm2, kitty, WezTerm, Windows Terminal), osc777 (urxvt, foot, Ghostty), "
            "desktop (notify-send)."
        ),
    ] = field(default_factory=lambda: ["bell", "osc9"])
    previews: Annotated[
        bool,
        Meta(description="Whether notifications say who wrote what, or only that somebody did."),
    ] = True
    muted: Annotated[list[str], Meta(description="Conversations that never notify.")] = []
    reduced_motion: Annotated[
        bool, Meta(description="Nothing moves by itself, the cursor does not blink.")
    ] = False
