"""The actions on one message: which ones it allows, and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pychat.client.models import MessageInfo
from pychat.client.safetext import safe_text
from pychat.tui.commands.keys import KEYS, KeyAction, keys_of, show
from pychat.tui.text.markdown import MAX_SHOWN, links

MENU: Final = ("reply", "react", "copy_message", "open", "edit", "delete", "details")
"""Ids of the actions, in the order of the menu."""
_HINTS: Final = {
    "details": "details",
    "copy_message": "copy",
    "open": "open",
    "delete": "delete",
    "edit": "edit",
    "react": "react",
    "reply": "reply",
}
"""In a word, the most useful last."""


def links_in(message: MessageInfo) -> list[str]:
    """Return the links in the part of a message that is shown."""
    return links(safe_text(message.text[:MAX_SHOWN]))


def actions_on(message: MessageInfo, *, may_remove: bool) -> list[KeyAction]:
    """Return the actions that a message allows. ``may_remove``: also if others wrote it."""
    left_out = {
        "reply": not message.seq,
        "react": not message.seq,
        "copy_message": not message.text,
        "open": message.file is None and not links_in(message),
        "edit": not message.own,
        "delete": not (message.own or may_remove),
    }
    table = {key.id: key for key in KEYS}
    return [table[id] for id in MENU if not left_out.get(id)]


def action_hints(
    message: MessageInfo, rebound: Mapping[str, str], *, may_remove: bool
) -> tuple[str, ...]:
    """Return the keys of a message's actions with a word each, the most useful last."""
    table = {key.id: key for key in KEYS}
    allowed = {key.id for key in actions_on(message, may_remove=may_remove)}
    ids = [(id, word) for id, word in _HINTS.items() if id in allowed]
    ids.append(("open_message", "quoted" if message.reply_to is not None else "more"))
    return tuple(f"{show(keys_of(table[id], rebound)[0])} {word}" for id, word in ids)
