"""How people and conversations are called on the screen: peer text made safe, in one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rich.cells import cell_len, set_cell_size

from pychat.client.models import ConversationInfo, MessageInfo
from pychat.client.safetext import safe_text
from pychat.protocol import EVERYONE, MAX_UNREAD, canonical_id
from pychat.visible import shown_name

MAX_NAME: Final = 64
YOU: Final = "You"
ALL_PEOPLE: Final = "Everyone"
_IN_A_LINE: Final = 24
"""Cells for a name before other text of one line: an alias must not push the id out of it."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a person or a conversation is called; all of it safe text.

    ``id`` is to be shown wherever ``called`` is: empty where ``called`` is the id, in whatever
    letters. Aliases are not unique; without it anybody could be taken for anybody.
    """

    called: str
    id: str = ""

    def __str__(self) -> str:
        return f"{self.called} ({self.id})" if self.id else self.called

    def fitted(self, cells: int) -> Name:
        """As much of it as has room with a space between: half of that is the id's if it must."""
        if not self.id:
            return Name(fitted(self.called, cells))
        id_cells = min(cell_len(self.id), max(cells // 2, cells - 1 - cell_len(self.called)))
        return Name(fitted(self.called, cells - 1 - id_cells), fitted(self.id, id_cells))


def fitted(text: str, cells: int) -> str:
    """The beginning of a text, with an ellipsis where it is longer."""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, max(0, cells - 1)).rstrip() + "…" if cells > 0 else ""


def line(text: str, limit: int = MAX_NAME) -> str:
    """Peer text for a place of one line."""
    return safe_text(text[:limit], multiline=False).strip()


@lru_cache(maxsize=8192)  # asked for every conversation whenever the list is shown anew
def name_of(name: str, alias: str = "") -> Name:
    """What a conversation is called: the alias of a person, ``#room``, or Everyone."""
    if name == EVERYONE:
        return Name(ALL_PEOPLE)
    id = line(name)
    if name.startswith("#"):
        return Name(id)
    called = line(shown_name(alias, "")) or id
    folded = canonical_id(called)
    plain = folded == canonical_id(id) and folded not in (YOU.casefold(), ALL_PEOPLE.casefold())
    return Name(called, "" if plain else id)


def conversation_name(conversation: ConversationInfo) -> Name:
    """``name_of`` a conversation that is known."""
    return name_of(conversation.name, conversation.alias)


def last_line(message: MessageInfo, sender: Name | None, *, in_pair: bool) -> str:
    """A message as the list shows it: who, where that is not plain, and the first words."""
    text = "message hidden" if message.removed else line(message.text.lstrip(), 160)
    if message.own:
        return f"you: {text}"
    return text if in_pair or sender is None else f"{sender.fitted(_IN_A_LINE)}: {text}"


def typing_line(people: tuple[Name, ...], *, in_pair: bool) -> str:
    """``typing…``, with names where several could be meant."""
    if not people:
        return ""
    if in_pair:
        return "typing…"
    if len(people) > 2:
        return "several are typing…"
    names = " and ".join(str(person.fitted(_IN_A_LINE)) for person in people)
    return f"{names} {'is' if len(people) == 1 else 'are'} typing…"


def unread_count(counts: Iterable[int]) -> str:
    """The sum of what is unread in conversations, as every place shows it; empty for none.

    The server and the client count to MAX_UNREAD only: a plus stands for what is beyond.
    """
    counts = list(counts)
    total = sum(min(count, MAX_UNREAD - 1) for count in counts)
    return f"{total}{'+' if max(counts) >= MAX_UNREAD else ''}" if total else ""
