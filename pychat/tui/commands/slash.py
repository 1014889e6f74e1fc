"""The ``/`` commands, as data, and how a line is told to be one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """``needs``: it means nothing without its arguments."""

    name: str
    arguments: str
    does: str
    needs: bool = False


COMMANDS: Final = (
    SlashCommand("msg", "ID [TEXT]", "Write to somebody", needs=True),
    SlashCommand("me", "TEXT", "Say what you do", needs=True),
    SlashCommand("search", "[TEXT]", "Search this conversation"),
    SlashCommand("searchall", "[TEXT]", "Search all conversations"),
    SlashCommand("links", "", "Links in this conversation"),
    SlashCommand("copy", "[N]", "Copy the last message, or the Nth from the end"),
    SlashCommand("read", "", "Mark all of this conversation as read"),
    SlashCommand("mute", "", "Mute this conversation, or undo it"),
    SlashCommand("join", "ROOM", "Join a room, or make it", needs=True),
    SlashCommand("leave", "", "Leave this room"),
    SlashCommand("retry", "", "Send failed messages again"),
    SlashCommand("discard", "", "Forget failed messages"),
    SlashCommand("block", "[ID]", "See nothing more of somebody"),
    SlashCommand("unblock", "ID", "See them again", needs=True),
    SlashCommand("theme", "[NAME]", "Change the colours"),
    SlashCommand("profile", "[NAME]", "Go to another server and account"),
    SlashCommand("logout", "", "End this login, here and on the server"),
    SlashCommand("help", "", "Keys and commands"),
    SlashCommand("quit", "", "Leave pychat"),
)
_ALSO: Final = {"exit": "quit"}
"""What people type from habit."""
_COMMAND: Final = re.compile(r"/([a-z]+)(?:\s+(.*))?$", re.DOTALL)


class CommandError(Exception):
    """Not a command, or not like that: one line for the user."""


def parse(text: str) -> tuple[SlashCommand, str] | None:
    """The command and its arguments; None where the text is a message.

    ``/usr/bin`` and what begins with ``//`` are messages. Raises CommandError.
    """
    match = _COMMAND.match(text)
    if match is None:
        return None
    name, arguments = match[1], (match[2] or "").strip()
    meant = _ALSO.get(name, name)
    command = next((command for command in COMMANDS if command.name == meant), None)
    if command is None:
        raise CommandError(f"There is no command /{name}. To send it as text, write //{name}.")
    if command.needs and not arguments:
        raise CommandError(f"Write /{name} {command.arguments}")
    return command, arguments


def plain(text: str) -> str:
    """The message that a text is which is no command: ``//x`` stands for ``/x``."""
    return text[1:] if text.startswith("//") else text
