"""Slash commands: their table, the parser, and the messages that ask the screen or app to act."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from textual.message import Message

from pychat.client.models import UserInfo


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One command. ``needs``: it is refused without arguments."""

    name: str
    arguments: str
    does: str
    needs: bool = False


COMMANDS: Final = (
    SlashCommand("msg", "ID [TEXT]", "Start a chat", needs=True),
    SlashCommand("me", "TEXT", "Send an action, as in: Alice waves", needs=True),
    SlashCommand("search", "[TEXT]", "Search this conversation"),
    SlashCommand("searchall", "[TEXT]", "Search all conversations"),
    SlashCommand("links", "", "Show the links in this conversation"),
    SlashCommand("copy", "[N]", "Copy the last message, or the Nth from the end"),
    SlashCommand("reply", "[N] [TEXT]", "Reply to the last message, or the Nth from the end"),
    SlashCommand("edit", "[N] [TEXT]", "Edit your last message, or the Nth from the end"),
    SlashCommand("delete", "[N]", "Delete your last message, or the Nth from the end"),
    SlashCommand("react", "[N] [EMOJI]", "React to the last message, or the Nth from the end"),
    SlashCommand("file", "PATH", "Send a file", needs=True),
    SlashCommand("get", "[N]", "Save the last file, or the Nth message's"),
    SlashCommand("read", "", "Mark as read"),
    SlashCommand("mute", "", "Mute or unmute this conversation"),
    SlashCommand("notify", "LEVEL", "Notify of all, mentions, or muted: nothing", needs=True),
    SlashCommand("join", "ROOM", "Join a room, or create it", needs=True),
    SlashCommand("leave", "", "Leave this room"),
    SlashCommand("topic", "[TEXT]", "Set the topic of this room, or remove it"),
    SlashCommand("members", "", "Show the members of this room"),
    SlashCommand("invite", "ID", "Invite a person to this room", needs=True),
    SlashCommand("kick", "ID", "Remove a member from this room", needs=True),
    SlashCommand("retry", "", "Send failed messages again"),
    SlashCommand("discard", "", "Delete failed messages"),
    SlashCommand("block", "[ID]", "Block a person"),
    SlashCommand("unblock", "ID", "Unblock a person", needs=True),
    SlashCommand("status", "[STATUS] [TEXT]", "Be away, dnd (do not disturb) or online"),
    SlashCommand("alias", "NAME", "Change the name beside your id", needs=True),
    SlashCommand("password", "", "Change your password"),
    SlashCommand("layout", "LAYOUT", "Show messages comfortable or compact", needs=True),
    SlashCommand("theme", "[NAME]", "Change the theme"),
    SlashCommand("profile", "[NAME]", "Switch to another profile"),
    SlashCommand("logout", "", "Log out on this device"),
    SlashCommand("help", "", "Show keys and commands"),
    SlashCommand("quit", "", "Quit pychat"),
)
_ALIASES: Final = {"exit": "quit"}
_COMMAND: Final = re.compile(r"/([a-z]+)(?:\s+(.*))?$", re.DOTALL)


class CommandError(Exception):
    """Unknown command or missing arguments; the text is one line for the user."""


def parse(text: str) -> tuple[SlashCommand, str] | None:
    """Return the command and its arguments, or None if the text is a message.

    ``/usr/bin`` and texts that begin with ``//`` are messages. Raises CommandError.
    """
    match = _COMMAND.match(text)
    if match is None:
        return None
    typed, arguments = match[1], (match[2] or "").strip()
    name = _ALIASES.get(typed, typed)
    command = next((command for command in COMMANDS if command.name == name), None)
    if command is None:
        raise CommandError(f"There is no command /{typed}. To send it as text, type //{typed}")
    if command.needs and not arguments:
        raise CommandError(f"Type /{typed} {command.arguments}")
    return command, arguments


def plain(text: str) -> str:
    """Return the message to send for a text that is no command: ``//x`` stands for ``/x``."""
    return text[1:] if text.startswith("//") else text


class CommandRequested(Message):
    """Run a slash command."""

    def __init__(self, command: SlashCommand, arguments: str) -> None:
        super().__init__()
        self.command = command
        self.arguments = arguments


class ConversationRequested(Message):
    """Open a conversation by its name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class PersonRequested(Message):
    """Open the conversation with a person, or begin one."""

    def __init__(self, user: UserInfo) -> None:
        super().__init__()
        self.user = user


class ProfileRequested(Message):
    """Switch to another profile. An empty name lists the profiles."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class ThemeRequested(Message):
    """Switch to another theme. An empty name opens the list of themes."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
