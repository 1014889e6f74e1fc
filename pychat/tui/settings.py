"""Settings: the ``[tui]`` table of pychat.toml."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Notifier = Literal["bell", "osc9", "osc777", "desktop"]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of the terminal client.

    ``pychat config init`` writes the descriptions next to the defaults.
    """

    theme: Annotated[
        str,
        Meta(
            description="Name of a theme, or auto: light or dark like the terminal's background. "
            "/theme lists the themes; a theme chosen there takes precedence."
        ),
    ] = "auto"
    theme_files: Annotated[
        list[str],
        Meta(
            description="TOML files with your own themes: name, dark, and any of the colours "
            "primary, secondary, accent, foreground, background, surface, panel, success, warning "
            "and error."
        ),
    ] = []
    keys: Annotated[
        dict[str, str],
        Meta(description="Keys of actions, by action id, if they differ from the defaults."),
    ] = {}
    notify: Annotated[
        list[Notifier],
        Meta(
            description="How to notify of messages while the terminal has no focus, any of: bell, "
            "osc9 (iTerm2, kitty, WezTerm, Windows Terminal), osc777 (urxvt, foot, Ghostty), "
            "desktop (notify-send)."
        ),
    ] = field(default_factory=lambda: ["bell", "osc9"])
    previews: Annotated[
        bool,
        Meta(description="Show sender and text in notifications, not only that a message came."),
    ] = True
    muted: Annotated[list[str], Meta(description="Conversations that never notify.")] = []
    downloads: Annotated[
        str, Meta(description="Folder for received files. It is created when it is needed.")
    ] = "~/Downloads"
    reduced_motion: Annotated[bool, Meta(description="No animations and no blinking cursor.")] = (
        False
    )
