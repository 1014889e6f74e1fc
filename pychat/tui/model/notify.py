"""NotifyChoices: which messages notify, by the user's choice on the server and by the settings."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from pychat.client.errors import ChatClientError
from pychat.client.models import ConversationInfo, MessageInfo
from pychat.protocol import NotifyLevel
from pychat.tui.model.saved_state import SavedState
from pychat.tui.text.names import Name

if TYPE_CHECKING:
    from pychat.client import ChatClient

_CHOSEN: Final = {
    NotifyLevel.ALL: "not muted any more",
    NotifyLevel.MENTIONS: "muted except for mentions",
    NotifyLevel.MUTED: "muted",
}


class NotifyChoices:
    """The choices of one account. ``muted``: names of conversations that the settings mute."""

    def __init__(self, client: ChatClient, muted: Collection[str]) -> None:
        self._client = client
        self._muted = frozenset(muted)

    def is_fixed(self, name: str) -> bool:
        """Whether the settings mute it, so that a choice on the server changes nothing here."""
        return name in self._muted

    def level(self, conversation: ConversationInfo) -> NotifyLevel:
        """Return which messages of a conversation notify."""
        return NotifyLevel.MUTED if self.is_fixed(conversation.name) else conversation.notify

    def unread(self, conversation: ConversationInfo) -> int:
        """Return how many unread messages to count in the title and to list first."""
        match self.level(conversation):
            case NotifyLevel.ALL:
                return conversation.unread
            case NotifyLevel.MENTIONS:
                return conversation.unread_mentions
        return 0

    async def choose(self, name: str, title: Name, level: NotifyLevel) -> str:
        """Choose the level of a conversation, on all devices. Return one line about it."""
        if self.is_fixed(name):
            return f"{title} is muted by the settings of this terminal"
        try:
            await self._client.set_notify(name, level)
        except ChatClientError as error:
            return f"{title} is as it was: {error}"
        return f"{title} is {_CHOSEN[level]}"

    async def move_mutes(self, saved: SavedState) -> None:
        """Mute on the server what an older version muted on this machine."""
        for name in saved.muted:
            known = self._client.conversation(name)
            try:
                if known is not None and known.notify is NotifyLevel.ALL:
                    await self._client.set_notify(name, NotifyLevel.MUTED)
            except ChatClientError:
                return  # tried again after the next login
            saved.forget_muted(name)

    def announces(self, message: MessageInfo) -> bool:
        """Whether to notify of a message of somebody else."""
        known = self._client.conversation(message.conversation)
        level = self.level(known or ConversationInfo(message.conversation, ""))
        return level is NotifyLevel.ALL or (level is NotifyLevel.MENTIONS and message.mentioned)
