"""MemberList: the members of a room with presence and role, those who are online first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from textual import on
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from pychat.client.models import MemberInfo
from pychat.tui.text.names import Name, name_of

MAX_SHOWN: Final = 500
_ROLES: Final = {"owner": 0, "moderator": 1}


class MemberList(OptionList):
    """The list. Enter or a click posts ``Chosen``; the user's own name cannot be chosen.

    ``own_id``: returns the id of the user.
    """

    class Chosen(TextualMessage):
        """A member was chosen."""

        def __init__(self, member: MemberInfo) -> None:
            super().__init__()
            self.member = member

    def __init__(self, own_id: Callable[[], str], *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._own_id = own_id
        self._members: list[MemberInfo] = []

    def show(self, members: Sequence[MemberInfo]) -> None:
        """Show these members in the order of the list."""
        self._members = sorted(members, key=_place)[:MAX_SHOWN]
        own = self._own_id()
        options = [Option(_shown(each), disabled=each.id == own) for each in self._members]
        if len(members) > MAX_SHOWN:
            options.append(Option(f"and {len(members) - MAX_SHOWN:,} more", disabled=True))
        chosen = self.highlighted
        self.set_options(options)
        self.highlighted = chosen if chosen is not None and chosen < len(options) else None

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_index < len(self._members):
            self.post_message(self.Chosen(self._members[event.option_index]))


def _place(member: MemberInfo) -> tuple[bool, int, str]:
    return not member.online, _ROLES.get(member.role, 2), member.id.casefold()


def _shown(member: MemberInfo) -> Content:
    name: Name = name_of(member.id, member.alias)
    role = f"  {member.role}" if member.role in _ROLES else ""
    return Content.assemble(
        ("● ", "$success") if member.online else ("○ ", "$foreground 72%"),
        (name.called, "$foreground"),
        (f" {name.id}" if name.id else "", "$foreground 72%"),
        (role, "$accent"),
    )
