"""MembersScreen: the members of a room, on a screen of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Label

from pychat.client.models import MemberInfo
from pychat.tui.model.members import RoomMembers
from pychat.tui.screens.dialogs import Dialog
from pychat.tui.text.names import line
from pychat.tui.widgets.member_list import MemberList

if TYPE_CHECKING:
    from pychat.client import ChatClient


class MembersScreen(Dialog[MemberInfo | None]):
    """Return the member to chat with, or None. ``room``: the name of the conversation."""

    CSS_PATH = "links.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", show=False)]

    def __init__(self, client: ChatClient, members: RoomMembers, room: str) -> None:
        super().__init__()
        self._client = client
        self._members = members
        self._room = room

    def compose(self) -> ComposeResult:
        with Vertical(id="links"):
            yield Label("", id="links-title", markup=False)
            yield MemberList(lambda: self._client.user)

    def on_mount(self) -> None:
        self._show("Members are being loaded")
        self._load()

    def _show(self, without: str) -> None:
        members = self._members.known(self._room)
        title = f"{len(members):,} members of {line(self._room)}" if members else without
        self.query_one("#links-title", Label).update(title)
        self.query_one(MemberList).show(members or ())

    @work
    async def _load(self) -> None:
        await self._members.load(self._room)
        if self.is_current:
            self._show("The members are not known while you are offline")

    @on(MemberList.Chosen)
    def _chosen(self, event: MemberList.Chosen) -> None:
        self.dismiss(event.member)
