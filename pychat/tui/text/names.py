"""Display names of people and conversations, and other peer text as one safe line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rich.cells import cell_len, set_cell_size

from pychat.client.events import MembershipChanged
from pychat.client.models import ConversationInfo, MessageInfo
from pychat.client.safetext import safe_text
from pychat.protocol import (
    EVERYONE,
    MAX_STATUS_CHARACTERS,
    MAX_UNREAD,
    PRIVATE_ID_PREFIX,
    ROOM_PREFIX,
    Availability,
    canonical_id,
)
from pychat.visible import shown_name

MAX_NAME: Final = 64
_STATUS: Final = {
    Availability.ONLINE: "",
    Availability.AWAY: "away",
    Availability.DND: "do not disturb",
}
YOU: Final = "You"
ALL_PEOPLE: Final = "Everyone"
PRIVATE_PREFIX: Final = ROOM_PREFIX + PRIVATE_ID_PREFIX
_PRIVATE_ID: Final = 14
"""Cells for the id of a private room: enough to tell two of one name apart."""
_IN_A_LINE: Final = 24
"""Cells for a name before other text, so that a long alias does not push the id out of view."""


@dataclass(frozen=True, slots=True)
class Name:
    """The display name of a person or conversation; safe text.

    Always show ``id`` together with ``called``: aliases are not unique, and anybody could
    impersonate anybody. It is empty if ``called`` is the id, apart from case and width.
    """

    called: str
    id: str = ""

    def __str__(self) -> str:
        return f"{self.called} ({self.id})" if self.id else self.called

    def fitted(self, cells: int) -> Name:
        """Shorten the name to ``cells``, with at least half of them for the id if needed."""
        if not self.id:
            return Name(fitted(self.called, cells))
        id_cells = min(cell_len(self.id), max(cells // 2, cells - 1 - cell_len(self.called)))
        return Name(fitted(self.called, cells - 1 - id_cells), fitted(self.id, id_cells))


def fitted(text: str, cells: int) -> str:
    """Shorten a text to ``cells``, with an ellipsis if it is longer."""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, max(0, cells - 1)).rstrip() + "…" if cells > 0 else ""


def line(text: str, limit: int = MAX_NAME) -> str:
    """Return peer text as one safe line of at most ``limit`` characters."""
    return safe_text(text[:limit], multiline=False).strip()


def problem_line(error: Exception) -> str:
    """Return what went wrong as one safe line: for a file, its name and the reason."""
    if isinstance(error, OSError) and error.strerror:
        return line(
            f"{error.filename}: {error.strerror}" if error.filename else error.strerror, 300
        )
    return line(str(error), 300)


@lru_cache(maxsize=8192)  # called for every conversation whenever the list is updated
def name_of(name: str, alias: str = "") -> Name:
    """Return the name of a conversation: the alias of a person, ``#room``, or Everyone. The id of a
    private room says nothing, so its name is before it."""
    if name == EVERYONE:
        return Name(ALL_PEOPLE)
    id = line(name)
    if name.startswith(PRIVATE_PREFIX):
        called = line(shown_name(alias, ""))
        return Name(called, fitted(id, _PRIVATE_ID)) if called else Name(id)
    if name.startswith("#"):
        return Name(id)
    called = line(shown_name(alias, "")) or id
    folded = canonical_id(called)
    plain = folded == canonical_id(id) and folded not in (YOU.casefold(), ALL_PEOPLE.casefold())
    return Name(called, "" if plain else id)


def conversation_name(conversation: ConversationInfo) -> Name:
    """Return the display name of a known conversation."""
    return name_of(conversation.name, conversation.alias)


def last_line(message: MessageInfo, sender: Name | None, *, in_pair: bool) -> str:
    """Return a message as the list shows it: the sender, if not obvious, and the first words."""
    text = "Message hidden" if message.removed else line(message.shown_text.lstrip(), 160)
    if message.own:
        return f"you: {text}"
    return text if in_pair or sender is None else f"{sender.fitted(_IN_A_LINE)}: {text}"


def status_line(status: Availability, text: str) -> str:
    """Return a person's status and status text as one safe line; empty if there are none."""
    return " · ".join(filter(None, (_STATUS[status], line(text, MAX_STATUS_CHARACTERS))))


def membership_line(changed: MembershipChanged) -> str:
    """Return what somebody has made of this user in a room, as one sentence."""
    by, room = line(changed.by), line(changed.conversation)
    match changed.role:
        case "none":
            return f"{by} removed you from {room}"
        case "invited":
            return f"{by} invited you to {room}: type /join {room.removeprefix(ROOM_PREFIX)}"
        case "owner":
            return f"{by} made you the owner of {room}"
        case "moderator":
            return f"{by} made you a moderator of {room}"
    return f"{by} made you a plain member of {room}"


def typing_line(people: tuple[Name, ...], *, in_pair: bool) -> str:
    """Return ``typing…``, with names in rooms."""
    if not people:
        return ""
    if in_pair:
        return "typing…"
    if len(people) > 2:
        return "several people are typing…"
    names = " and ".join(str(person.fitted(_IN_A_LINE)) for person in people)
    return f"{names} {'is' if len(people) == 1 else 'are'} typing…"


def unread_count(counts: Iterable[int]) -> str:
    """Return the sum of unread counts as every part of the screen shows it; empty for none.

    Server and client count up to MAX_UNREAD: a plus means that there may be more.
    """
    counts = list(counts)
    total = sum(min(count, MAX_UNREAD - 1) for count in counts)
    return f"{total}{'+' if max(counts) >= MAX_UNREAD else ''}" if total else ""
