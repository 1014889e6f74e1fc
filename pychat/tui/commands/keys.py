"""The keys, as data: bindings, the help screen and the docs page are made from this table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final, Literal

from textual.binding import Binding, BindingType
from textual.keys import REPLACED_KEYS, Keys, key_to_character
from textual.widget import Widget

Scope = Literal["app", "chat", "log", "list", "composer"]


@dataclass(frozen=True, slots=True)
class Key:
    """``id`` is what a user rebinds; ``keys`` are Textual's names, separated by commas.

    ``priority`` only for what opens another screen: it runs before the keys pressed before it
    have arrived where they go, and those pressed after it go to that screen.
    """

    id: str
    keys: str
    action: str
    does: str
    scope: Scope
    group: str
    priority: bool = False


KEYS: Final[tuple[Key, ...]] = (
    Key("switch", "ctrl+k,ctrl+n", "switch", "Find somebody, or start by id",
        "chat", "Conversations", True),
    Key("next", "alt+down,ctrl+down", "next_conversation", "Next conversation",
        "chat", "Conversations"),
    Key("previous", "alt+up,ctrl+up", "previous_conversation", "Previous conversation",
        "chat", "Conversations"),
    Key("unread", "ctrl+g", "next_unread", "First unread conversation",
        "chat", "Conversations"),
    Key("mute", "alt+m", "mute", "Mute this conversation",
        "chat", "Conversations"),
    Key("sidebar", "ctrl+b", "toggle_list", "Show or hide the list",
        "chat", "Conversations"),
    Key("send", "enter", "send", "Send the message",
        "composer", "Writing"),
    Key("newline", "ctrl+j,shift+enter,alt+enter", "newline", "New line",
        "composer", "Writing"),
    Key("undo", "alt+z", "undo", "Undo typing",
        "composer", "Writing"),
    Key("retry", "ctrl+r", "retry", "Send failed messages again",
        "chat", "Writing"),
    Key("scroll_up", "pageup", "page_up", "Scroll up, into older messages",
        "chat", "Reading"),
    Key("scroll_down", "pagedown", "page_down", "Scroll down",
        "chat", "Reading"),
    Key("scroll_end", "ctrl+end", "log_end", "Newest message",
        "chat", "Reading"),
    Key("scroll_home", "ctrl+home", "log_home", "Oldest message that is here",
        "chat", "Reading"),
    Key("first_new", "alt+n", "first_new", "Where the new messages begin",
        "chat", "Reading"),
    Key("search", "ctrl+f", "search", "Search this conversation",
        "chat", "Reading"),
    Key("links", "ctrl+o", "links", "Links: open or copy",
        "chat", "Reading", True),
    Key("copy", "ctrl+c", "copy", "Copy the selection",
        "chat", "Reading"),
    Key("back", "escape", "back", "Close, clear, go back",
        "chat", "Around"),
    Key("help", "f1,ctrl+question_mark", "help", "This help",
        "app", "Around", True),
    Key("palette", "ctrl+p", "command_palette", "All commands",
        "app", "Around", True),
    Key("suspend", "ctrl+z", "suspend_process", "Suspend; the shell's fg comes back",
        "app", "Around", True),
    Key("quit", "ctrl+q", "quit", "Quit",
        "app", "Around", True),
    Key("end", "ctrl+d", "end", "Quit; in a text, delete to the right",
        "chat", "Around"),
)  # fmt: skip

WELCOME: Final = ("switch", "send", "newline", "next", "help", "quit")
"""The keys of the first screen."""

_SHOWN: Final = {
    "ctrl": "Ctrl",
    "shift": "Shift",
    "alt": "Alt",
    "enter": "Enter",
    "escape": "Esc",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "question_mark": "?",
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
"""The keys that are no characters, by Textual's names."""


def bindings(scope: Scope) -> list[BindingType]:
    """Textual's bindings of a scope, each with its id, so that a keymap can change it."""
    return [
        Binding(key.keys, key.action, key.does, show=False, priority=key.priority, id=key.id)
        for key in KEYS
        if key.scope == scope
    ]


def editing_bindings(editor: type[Widget]) -> list[BindingType]:
    """The editor's own bindings, but for the keys that this table gives another meaning."""
    taken = {name for key in KEYS for name in key.keys.split(",")}
    return [
        replace(binding, key=",".join(left))
        for binding in editor.BINDINGS
        if isinstance(binding, Binding)
        and (left := [name for name in binding.key.split(",") if name not in taken])
    ]


def keys_of(key: Key, rebound: Mapping[str, str]) -> list[str]:
    """Textual's names of the keys that do this, with what the user has changed."""
    return [name.strip() for name in rebound.get(key.id, key.keys).split(",")]


def show(name: str) -> str:
    """``ctrl+k`` as people write it: ``Ctrl+K``."""
    parts = name.split("+")
    return "+".join(_SHOWN.get(part, part.upper() if len(part) <= 3 else part) for part in parts)


def shortest(id: str, rebound: Mapping[str, str]) -> str:
    """The first key of an action, as shown in hints."""
    key = next(key for key in KEYS if key.id == id)
    return show(keys_of(key, rebound)[0])


def problem_of(name: str) -> str:
    """What is wrong with a key's name as a user wrote it, empty if nothing is."""
    *modifiers, key = name.split("+")
    if name != name.lower():
        return f"{name!r} is no key; did you mean {name.lower()}?"
    if len(set(modifiers)) < len(modifiers) or not _MODIFIERS.issuperset(modifiers):
        return f"{name!r} is no key; write it as ctrl+k, alt+down or f4"
    if list(modifiers) != sorted(modifiers):
        return f"{name!r} is no key; write {'+'.join([*sorted(modifiers), key])}"
    if _is_character(key):
        # With Shift alone it is a character, too.
        if not {"ctrl", "alt"}.intersection(modifiers):
            return f"{name} could not be written any more; write ctrl+{key} or f4"
    elif key not in _NAMED:
        near = get_close_matches(key, _NAMED, n=1)
        return f"there is no key {key!r}" + (f"; did you mean {near[0]}?" if near else "")
    return ""


def _is_character(key: str) -> bool:
    """By itself or by its name: ``k``, ``question_mark``. Space is one, too."""
    if len(key) == 1:
        return key.isalnum()
    character = key_to_character(REPLACED_KEYS.get(key, key))
    return character is not None and character.isprintable()
