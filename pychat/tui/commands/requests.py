"""Messages with which slash commands and the command palette ask the screen or the app to act."""

from __future__ import annotations

from textual.message import Message

from pychat.client.models import UserInfo
from pychat.tui.commands.slash import SlashCommand


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
