"""The keys as a table, from which bindings, help screen and docs page are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final, Literal

from textual.binding import Binding, BindingType
from textual.keys import REPLACED_KEYS, Keys, key_to_character
from textual.widget import Widget

Scope = Literal["app", "chat", "log", "list", "composer"]
"""Where the keys work. Those of the log act on the selected message, and may be letters."""


@dataclass(frozen=True, slots=True)
class KeyAction:
    """An action and its keys. ``id`` is the name in the settings; ``keys`` are Textual's names of
    the keys, separated by commas.

    ``priority`` is only for actions that open another screen: they run before the focused widget
    sees the key.
    """

    id: str
    keys: str
    action: str
    does: str
    scope: Scope
    group: str
    priority: bool = False


KEYS: Final[tuple[KeyAction, ...]] = (
    KeyAction("switch", "ctrl+k,ctrl+n", "switch", "Find or start a chat",
        "chat", "Conversations", True),
    KeyAction("next", "alt+down,ctrl+down", "next_conversation", "Next conversation",
        "chat", "Conversations"),
    KeyAction("previous", "alt+up,ctrl+up", "previous_conversation", "Previous conversation",
        "chat", "Conversations"),
    KeyAction("unread", "ctrl+g", "next_unread", "Next unread conversation",
        "chat", "Conversations"),
    KeyAction("mute", "alt+m", "mute", "Mute or unmute this conversation",
        "chat", "Conversations"),
    KeyAction("members", "alt+l", "members", "Show the members of this room",
        "chat", "Conversations"),
    KeyAction("sidebar", "ctrl+b", "toggle_list", "Show or hide the list",
        "chat", "Conversations"),
    KeyAction("send", "enter", "send", "Send the message",
        "composer", "Writing"),
    KeyAction("newline", "ctrl+j,shift+enter,alt+enter", "newline", "New line",
        "composer", "Writing"),
    KeyAction("undo", "alt+z", "undo", "Undo typing",
        "composer", "Writing"),
    KeyAction("recall", "alt+p", "recall", "Recall your last messages",
        "composer", "Writing"),
    KeyAction("cancel_transfer", "alt+c", "cancel_transfer", "Cancel sending or saving a file",
        "chat", "Writing"),
    KeyAction("retry", "ctrl+r", "retry", "Send failed messages again",
        "chat", "Writing"),
    KeyAction("scroll_up", "pageup", "page_up", "Scroll up to older messages",
        "chat", "Reading"),
    KeyAction("scroll_down", "pagedown", "page_down", "Scroll down",
        "chat", "Reading"),
    KeyAction("scroll_end", "ctrl+end", "log_end", "Newest message",
        "chat", "Reading"),
    KeyAction("scroll_home", "ctrl+home", "log_home", "Oldest loaded message",
        "chat", "Reading"),
    KeyAction("first_new", "alt+n", "first_new", "First new message",
        "chat", "Reading"),
    KeyAction("search", "ctrl+f", "search", "Search this conversation",
        "chat", "Reading"),
    KeyAction("links", "ctrl+o", "links", "Open or copy a link",
        "chat", "Reading", True),
    KeyAction("copy", "ctrl+c", "copy", "Copy the selection",
        "chat", "Reading"),
    KeyAction("select", "alt+s", "select_message", "Select a message (↑ in an empty text)",
        "chat", "Messages"),
    KeyAction("open_message", "enter", "on_message('enter')",
        "Go to the quoted message, or show a menu",
        "log", "Messages"),
    KeyAction("reply", "r", "on_message('reply')", "Reply to the message",
        "log", "Messages"),
    KeyAction("react", "plus", "on_message('react')", "Add or take back a reaction",
        "log", "Messages"),
    KeyAction("edit", "e", "on_message('edit')", "Edit your message",
        "log", "Messages"),
    KeyAction("delete", "d", "on_message('delete')", "Delete the message",
        "log", "Messages"),
    KeyAction("copy_message", "y", "on_message('copy')", "Copy the message",
        "log", "Messages"),
    KeyAction("open", "o", "on_message('open')", "Save the file, or open the link",
        "log", "Messages"),
    KeyAction("details", "i", "on_message('details')", "Show the details of the message",
        "log", "Messages"),
    KeyAction("back", "escape", "back", "Close, cancel, go back",
        "chat", "General"),
    KeyAction("help", "f1,ctrl+question_mark", "help", "Help",
        "app", "General", True),
    KeyAction("palette", "ctrl+p", "command_palette", "All commands",
        "app", "General", True),
    KeyAction("suspend", "ctrl+z", "suspend_process", "Suspend (fg in the shell resumes)",
        "app", "General", True),
    KeyAction("quit", "ctrl+q", "quit", "Quit",
        "app", "General", True),
    KeyAction("end", "ctrl+d", "end", "Quit, or delete to the right in a text",
        "chat", "General"),
)  # fmt: skip

WELCOME: Final = ("switch", "send", "newline", "next", "help", "quit")
"""Ids of the keys listed on the first screen."""

_SHOWN: Final = {
    "ctrl": "Ctrl",
    "shift": "Shift",
    "alt": "Alt",
    "enter": "Enter",
    "escape": "Esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "question_mark": "?",
    "plus": "+",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "home": "Home",
    "end": "End",
    "tab": "Tab",
}


_MODIFIERS: Final = frozenset({"alt", "ctrl", "hyper", "meta", "shift", "super"})
_NAMED: Final = frozenset(
    key.value for key in Keys if "+" not in key.value and not key.value.startswith("<")
) - {"return", "newline", "space"}
"""Textual's names of the keys that type no character."""


def bindings(scope: Scope) -> list[BindingType]:
    """Return Textual's bindings of a scope, with ids so that a keymap can change them."""
    place = "screen." if scope == "log" else ""
    return [
        Binding(
            key.keys, place + key.action, key.does, show=False, priority=key.priority, id=key.id
        )
        for key in KEYS
        if key.scope == scope
    ]


def editing_bindings(editor: type[Widget]) -> list[BindingType]:
    """Return the bindings of a Textual editor without the keys that this table uses."""
    taken = {name for key in KEYS if key.scope != "log" for name in key.keys.split(",")}
    return [
        replace(binding, key=",".join(left))
        for binding in editor.BINDINGS
        if isinstance(binding, Binding)
        and (left := [name for name in binding.key.split(",") if name not in taken])
    ]


def keys_of(key: KeyAction, rebound: Mapping[str, str]) -> list[str]:
    """Return Textual's names of an action's keys, with the user's changes applied."""
    return [name.strip() for name in rebound.get(key.id, key.keys).split(",")]


def show(name: str) -> str:
    """Return a key as it is shown: ``Ctrl+K`` for ``ctrl+k``."""
    parts = name.split("+")
    return "+".join(_SHOWN.get(part, part.upper() if len(part) <= 3 else part) for part in parts)


def shortest(id: str, rebound: Mapping[str, str]) -> str:
    """Return the first key of an action as it is shown in hints."""
    key = next(key for key in KEYS if key.id == id)
    return show(keys_of(key, rebound)[0])


def types_text(id: str) -> bool:
    """Whether text can be typed where an action's keys are pressed."""
    return all(key.scope != "log" for key in KEYS if key.id == id)


def share_keys(one: str, other: str) -> bool:
    """Whether two actions may have the same key: one in the composer, the other in the log."""
    return {key.scope for key in KEYS if key.id in (one, other)} == {"composer", "log"}


def problem_of(name: str, *, typing: bool = True) -> str:
    """Return what is wrong with a key from the settings; empty if it is valid.

    ``typing``: refuse keys that would type a character.
    """
    *modifiers, key = name.split("+")
    if name != name.lower():
        return f"{name!r} is not a key; did you mean {name.lower()}?"
    if len(set(modifiers)) < len(modifiers) or not _MODIFIERS.issuperset(modifiers):
        return f"{name!r} is not a key; write for example ctrl+k, alt+down or f4"
    if list(modifiers) != sorted(modifiers):
        return f"{name!r} is not a key; write {'+'.join([*sorted(modifiers), key])}"
    if _is_character(key):
        # With Shift alone it still types a character.
        if typing and not {"ctrl", "alt"}.intersection(modifiers):
            return f"{name} could not be typed in messages any more; use ctrl+{key} or f4"
    elif key not in _NAMED:
        near = get_close_matches(key, _NAMED, n=1)
        return f"there is no key {key!r}" + (f"; did you mean {near[0]}?" if near else "")
    return ""


def _is_character(key: str) -> bool:
    """Whether a key types a character: ``k``, ``question_mark``, ``space``."""
    if len(key) == 1:
        return key.isalnum()
    character = key_to_character(REPLACED_KEYS.get(key, key))
    return character is not None and character.isprintable()
