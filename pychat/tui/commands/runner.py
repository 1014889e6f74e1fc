"""What each ``/`` command does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import TYPE_CHECKING, cast

from pychat.client.errors import ChatClientError
from pychat.client.models import DeliveryStatus, UserInfo
from pychat.protocol import EVERYONE, ROOM_PREFIX, canonical_id
from pychat.tui.commands.slash import SlashCommand
from pychat.tui.model.conversations import is_pair
from pychat.tui.text.names import ALL_PEOPLE, line

if TYPE_CHECKING:
    from pychat.tui.app import ChatApp
    from pychat.tui.screens.chat import ChatScreen


class CommandRunner:
    """Acts on one chat screen. What the server refuses is told, in one line."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        self._actions: dict[str, Callable[[str], Awaitable[None]]] = {
            "msg": self._msg,
            "me": self._me,
            "search": self._search,
            "searchall": self._searchall,
            "links": self._links,
            "copy": self._copy,
            "read": self._read,
            "mute": self._mute,
            "join": self._join,
            "leave": self._leave,
            "retry": self._retry,
            "discard": self._discard,
            "block": self._block,
            "unblock": self._unblock,
            "theme": self._theme,
            "profile": self._profile,
            "logout": self._logout,
            "help": self._help,
            "quit": self._quit,
        }

    async def run(self, command: SlashCommand, arguments: str) -> None:
        """Does it."""
        try:
            await self._actions[command.name](arguments)
        except ChatClientError as error:
            self._tell(str(error))

    def _tell(self, text: str) -> None:
        self._screen.app.notify(line(text, 300), markup=False)

    async def _msg(self, arguments: str) -> None:
        id, _, text = arguments.partition(" ")
        if canonical_id(id) == canonical_id(ALL_PEOPLE):
            id = EVERYONE  # as the screen calls it
        client, known = self._screen.client, self._screen.view.conversations.get(id) is not None
        if not (is_pair(id) or id == EVERYONE or known):
            self._tell(f"You are not in {id}: /join {id.removeprefix(ROOM_PREFIX)}")
            return
        if text.strip():
            # Before the answer is waited for: by then another account may be here.
            id = client.post(id, text.strip()).conversation
        if is_pair(id):
            found = [user for user in await self._users(id) if user.id == id]
            if client is not self._screen.client:
                return
            self._screen.start(found[0] if found else UserInfo(id, "", online=False))
        else:
            self._screen.open(id)
        if text.strip():
            self._screen.view.go_to_end()

    async def _users(self, id: str) -> list[UserInfo]:
        try:
            return await self._screen.client.users(id)
        except ChatClientError:
            return []  # offline one may still write; the outbox keeps it

    async def _me(self, arguments: str) -> None:
        client = self._screen.client
        self._screen.view.drafting.send(f"_{client.alias or client.user} {arguments}_")

    async def _search(self, arguments: str) -> None:
        self._screen.search(arguments)

    async def _searchall(self, arguments: str) -> None:
        self._screen.search(arguments, everywhere=True)

    async def _links(self, arguments: str) -> None:
        self._screen.action_links()

    async def _copy(self, arguments: str) -> None:
        number = int(arguments) if arguments.isdecimal() else 1
        newest = self._screen.client.cached_messages(self._screen.current)[::-1]
        message = next(islice(newest, max(0, number - 1), None), None)
        if message is None:
            self._tell("There is no such message here.")
        else:
            self._screen.app.copy_to_clipboard(message.text)
            self._tell(f"Copied {line(message.text, 40)}")

    async def _read(self, arguments: str) -> None:
        conversation = self._screen.client.conversation(self._screen.current)
        if conversation is not None:
            await self._screen.client.mark_read(conversation.name, conversation.last_seq)

    async def _mute(self, arguments: str) -> None:
        self._screen.action_mute()

    async def _join(self, arguments: str) -> None:
        client, id = self._screen.client, arguments.removeprefix(ROOM_PREFIX)
        rooms = {room.id for room in await client.rooms()}
        if id in rooms:
            await client.join_room(id)
        else:
            await client.create_room(id, id)
        if client is self._screen.client:
            self._screen.open(ROOM_PREFIX + id)

    async def _leave(self, arguments: str) -> None:
        current = self._screen.current
        if is_pair(current) or current == EVERYONE:
            self._tell("Only rooms can be left.")
        else:
            await self._screen.client.leave_room(current.removeprefix(ROOM_PREFIX))
            self._tell(f"You have left {current}.")
            if self._screen.current == current:
                self._screen.close_conversation()

    async def _retry(self, arguments: str) -> None:
        if not self._screen.view.retry_failed():
            self._tell("Nothing has failed here.")

    async def _discard(self, arguments: str) -> None:
        for message in self._screen.view.conversations.outbox(self._screen.current):
            if message.delivery is DeliveryStatus.FAILED:
                self._screen.client.discard(message.client_id)

    async def _block(self, arguments: str) -> None:
        id = arguments or self._screen.current
        if not is_pair(id):
            self._tell("Only people can be blocked: /block ID")
            return
        await self._screen.client.block(id)
        self._tell(f"{id} is blocked. /unblock {id} takes it back.")

    async def _unblock(self, arguments: str) -> None:
        await self._screen.client.unblock(arguments)
        self._tell(f"{arguments} is heard again.")

    async def _theme(self, arguments: str) -> None:
        app = cast("ChatApp", self._screen.app)
        if not arguments:
            app.action_change_theme()
        elif arguments == "auto":
            app.colours.follow_settings()
        elif arguments in app.available_themes:
            app.theme = arguments
        else:
            self._tell(f"There is no theme {arguments}. /theme shows them.")

    async def _profile(self, arguments: str) -> None:
        app = cast("ChatApp", self._screen.app)
        names = list(app.accounts.profiles) if app.accounts is not None else []
        if arguments in names:
            app.account_changes.to_profile(arguments)
        elif names:
            self._tell(f"/profile NAME goes to one of: {', '.join(names)}")
        else:
            self._tell("There are no profiles: write them into pychat.toml, as [profiles.NAME].")

    async def _logout(self, arguments: str) -> None:
        await self._screen.client.logout()

    async def _help(self, arguments: str) -> None:
        await self._screen.run_action("app.help")

    async def _quit(self, arguments: str) -> None:
        await self._screen.app.action_quit()
