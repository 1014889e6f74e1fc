"""How people and conversations are called on the screen: peer text made safe, in one line."""

from __future__ import annotations

from pychat.client.models import Conversation, Message
from pychat.client.safetext import safe_text
from pychat.protocol import EVERYONE

MAX_NAME = 64


def line(text: str, limit: int = MAX_NAME) -> str:
    """Peer text for a place of one line."""
    return safe_text(text[:limit], multiline=False).strip()


def title(name: str, alias: str = "") -> str:
    """What a conversation is called: the alias of a person, ``#room``, or Everyone."""
    if name == EVERYONE:
        return "Everyone"
    if name.startswith("#"):
        return line(name)
    return line(alias) or line(name)


def conversation_title(conversation: Conversation) -> str:
    """``title`` of a conversation that is known."""
    return title(conversation.name, conversation.alias)


def last_line(message: Message, sender: str, *, in_pair: bool) -> str:
    """A message as the list shows it: who (safe text), where that is not plain, and the first
    words."""
    text = "message hidden" if message.removed else line(message.text.lstrip(), 160)
    if message.own:
        return f"you: {text}"
    return text if in_pair or not message.sender else f"{sender}: {text}"


def typing_line(people: tuple[str, ...], *, in_pair: bool) -> str:
    """``typing…``, with names (safe text) where several could be meant."""
    if not people:
        return ""
    if in_pair:
        return "typing…"
    if len(people) > 2:
        return "several are typing…"
    names = " and ".join(people)
    return f"{names} {'is' if len(people) == 1 else 'are'} typing…"
