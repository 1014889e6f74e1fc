"""CommandRunner: runs the slash commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from textual.message import Message

from pychat.client.errors import ChatClientError
from pychat.client.models import DeliveryStatus, MessageInfo, UserInfo
from pychat.protocol import (
    EVERYONE,
    PRIVATE_ID_PREFIX,
    ROOM_PREFIX,
    Availability,
    NotifyLevel,
    canonical_id,
)
from pychat.tui.commands.slash import ProfileRequested, SlashCommand, ThemeRequested
from pychat.tui.model.conversations import OpenConversations, is_pair
from pychat.tui.model.saved_state import LAYOUTS, Layout
from pychat.tui.text.names import ALL_PEOPLE, status_line
from pychat.tui.widgets.completions import emoji_names

if TYPE_CHECKING:
    from pychat.client import ChatClient
    from pychat.tui.screens.message.actions import MessageActions


class CommandTarget(Protocol):
    """What the commands act on; the chat screen implements it.

    The account may change while a command waits for the server: ``client`` is the current one.
    """

    @property
    def client(self) -> ChatClient: ...
    @property
    def current(self) -> str:
        """Name of the open conversation; empty if none is open."""

    @property
    def conversations(self) -> OpenConversations: ...
    @property
    def message_actions(self) -> MessageActions: ...
    def open(self, name: str) -> None: ...
    def start(self, user: UserInfo) -> None: ...
    def close_conversation(self) -> None: ...
    def send(self, text: str) -> bool: ...
    def go_to_end(self) -> None: ...
    def retry_failed(self) -> int: ...
    def search(self, text: str, *, everywhere: bool = False) -> None: ...
    def copy(self, text: str) -> None: ...
    def send_file(self, path: str) -> None: ...
    def save_file(self, message: MessageInfo) -> None: ...
    def inform(self, text: str) -> None: ...
    def choose_layout(self, layout: Layout) -> None: ...
    def choose_notify(self, level: NotifyLevel) -> object: ...
    def post_message(self, message: Message) -> bool: ...
    async def run_action(self, action: str) -> None: ...


def numbered(arguments: str) -> tuple[int, str]:
    """Split ``[N] [TEXT]``; N is 0 if it is not given."""
    first, _, rest = arguments.partition(" ")
    return (int(first), rest.strip()) if is_number(first) else (0, arguments)


def is_number(text: str) -> bool:
    """Whether a text counts messages from the end."""
    return text.isascii() and text.isdigit() and 0 < len(text) < 7


class CommandRunner:
    """Run commands on a target. An error of the server is shown in one line."""

    def __init__(self, target: CommandTarget) -> None:
        self._target = target
        self._actions: dict[str, Callable[[str], Awaitable[None]]] = {
            "msg": self._msg,
            "me": self._me,
            "search": self._search,
            "searchall": self._searchall,
            "links": self._links,
            "copy": self._copy,
            "reply": self._reply,
            "edit": self._edit,
            "delete": self._delete,
            "react": self._react,
            "file": self._file,
            "get": self._get,
            "read": self._read,
            "mute": self._mute,
            "notify": self._notify,
            "join": self._join,
            "leave": self._leave,
            "topic": self._topic,
            "members": self._members,
            "invite": self._invite,
            "kick": self._kick,
            "retry": self._retry,
            "discard": self._discard,
            "block": self._block,
            "unblock": self._unblock,
            "status": self._status,
            "alias": self._alias,
            "password": self._password,
            "layout": self._layout,
            "theme": self._theme,
            "profile": self._profile,
            "logout": self._logout,
            "help": self._help,
            "quit": self._quit,
        }

    async def run(self, command: SlashCommand, arguments: str) -> None:
        """Run one command."""
        try:
            await self._actions[command.name](arguments)
        except ChatClientError as error:
            self._target.inform(str(error))

    async def _msg(self, arguments: str) -> None:
        id, _, text = arguments.partition(" ")
        if canonical_id(id) == canonical_id(ALL_PEOPLE):
            id = EVERYONE  # the screen shows it as Everyone
        target, client = self._target, self._target.client
        known = target.conversations.get(id) is not None
        if not (is_pair(id) or id == EVERYONE or known):
            target.inform(
                f"You are not a member of {id}. Type /join {id.removeprefix(ROOM_PREFIX)}"
            )
            return
        if text.strip():
            # Post before the await below: after it another account may be open.
            id = client.post(id, text.strip()).conversation
        if is_pair(id):
            found = [user for user in await self._users(id) if user.id == id]
            if client is not target.client:
                return
            target.start(found[0] if found else UserInfo(id, "", online=False))
        else:
            target.open(id)
        if text.strip():
            target.go_to_end()

    async def _users(self, id: str) -> list[UserInfo]:
        try:
            return await self._target.client.users(id)
        except ChatClientError:
            return []  # offline; the outbox keeps the message

    async def _me(self, arguments: str) -> None:
        client = self._target.client
        self._target.send(f"_{client.alias or client.user} {arguments}_")

    async def _search(self, arguments: str) -> None:
        self._target.search(arguments)

    async def _searchall(self, arguments: str) -> None:
        self._target.search(arguments, everywhere=True)

    async def _links(self, arguments: str) -> None:
        await self._target.run_action("screen.links")

    async def _copy(self, arguments: str) -> None:
        number = int(arguments) if is_number(arguments) else 1
        message = self._message(number, lambda each: True)
        if message is not None:
            self._target.message_actions.copy(message)

    def _message(self, number: int, wanted: Callable[[MessageInfo], bool]) -> MessageInfo | None:
        """Return the Nth message from the end; with 0, the last one that is ``wanted``.

        Removed ones do not count. Without such a message, say so.
        """
        cached = self._target.client.cached_messages(self._target.current)
        newest = [each for each in reversed(cached) if not each.removed]
        if number:
            found = newest[number - 1] if number <= len(newest) else None
        else:
            found = next((each for each in newest if wanted(each)), None)
        if found is None:
            self._target.inform("There is no such message in this conversation")
        return found

    async def _reply(self, arguments: str) -> None:
        number, text = numbered(arguments)
        message = self._message(number, lambda each: not each.own and each.seq > 0)
        if message is not None:
            self._target.message_actions.reply(message)
            if text:
                self._target.send(text)

    async def _edit(self, arguments: str) -> None:
        number, text = numbered(arguments)
        message = self._message(number, lambda each: each.own)
        if message is not None and text and message.own:
            self._target.client.post_edit(message, text)
        elif message is not None:
            self._target.message_actions.edit(message)

    async def _delete(self, arguments: str) -> None:
        message = self._message(numbered(arguments)[0], lambda each: each.own)
        if message is not None:
            self._target.message_actions.ask_to_delete(message)

    async def _react(self, arguments: str) -> None:
        number, emoji = numbered(arguments)
        message = self._message(number, lambda each: not each.own and each.seq > 0)
        if message is not None and emoji:
            emoji = emoji_names().get(emoji.strip(":"), emoji)
            self._target.message_actions.react(message, emoji)
        elif message is not None:
            self._target.message_actions.pick_reaction(message)

    async def _file(self, arguments: str) -> None:
        self._target.send_file(arguments)

    async def _get(self, arguments: str) -> None:
        number = int(arguments) if is_number(arguments) else 0
        message = self._message(number, lambda each: each.file is not None)
        if message is not None and message.file is not None:
            self._target.save_file(message)
        elif message is not None:
            self._target.inform("There is no file in this message")

    async def _read(self, arguments: str) -> None:
        client = self._target.client
        conversation = client.conversation(self._target.current)
        if conversation is not None:
            await client.mark_read(conversation.name, conversation.last_seq)

    async def _mute(self, arguments: str) -> None:
        await self._target.run_action("screen.mute")

    async def _notify(self, arguments: str) -> None:
        if arguments in list(NotifyLevel):
            self._target.choose_notify(NotifyLevel(arguments))
        else:
            self._target.inform("Type /notify all, /notify mentions or /notify muted")

    async def _join(self, arguments: str) -> None:
        client, id = self._target.client, arguments.removeprefix(ROOM_PREFIX)
        rooms = {canonical_id(room.id): room.id for room in await client.rooms()}
        known = rooms.get(canonical_id(id))
        if known is not None or id.startswith(PRIVATE_ID_PREFIX):
            id = known or id
            await client.join_room(id)
        else:
            await client.create_room(id, id)
        if client is self._target.client:
            self._target.open(ROOM_PREFIX + id)

    def _room(self) -> str | None:
        """Return the id of the open room. In another conversation, say so."""
        current = self._target.current
        if current.startswith(ROOM_PREFIX):
            return current.removeprefix(ROOM_PREFIX)
        self._target.inform("This is no room")
        return None

    async def _leave(self, arguments: str) -> None:
        if (room := self._room()) is not None:
            await self._target.client.leave_room(room)

    async def _topic(self, arguments: str) -> None:
        if (room := self._room()) is not None:
            await self._target.client.set_topic(room, arguments)

    async def _members(self, arguments: str) -> None:
        await self._target.run_action("screen.members")

    async def _invite(self, arguments: str) -> None:
        if (room := self._room()) is not None:
            await self._target.client.invite(room, arguments)
            self._target.inform(f"Invited {arguments} to {ROOM_PREFIX}{room}")

    async def _kick(self, arguments: str) -> None:
        if (room := self._room()) is not None:
            await self._target.client.kick(room, arguments)
            self._target.inform(f"Removed {arguments} from {ROOM_PREFIX}{room}")

    async def _retry(self, arguments: str) -> None:
        if not self._target.retry_failed():
            self._target.inform("There are no failed messages in this conversation")

    async def _discard(self, arguments: str) -> None:
        for message in self._target.conversations.outbox(self._target.current):
            if message.delivery is DeliveryStatus.FAILED:
                self._target.client.discard(message.client_id)

    async def _block(self, arguments: str) -> None:
        id = arguments or self._target.current
        if not is_pair(id):
            self._target.inform("You can only block people. Type /block ID")
            return
        await self._target.client.block(id)
        self._target.inform(f"{id} is blocked. Type /unblock {id} to undo this")

    async def _unblock(self, arguments: str) -> None:
        await self._target.client.unblock(arguments)
        self._target.inform(f"{arguments} is not blocked any more")

    async def _status(self, arguments: str) -> None:
        word, _, text = arguments.partition(" ")
        if arguments and word not in list(Availability):
            self._target.inform("Type /status away, dnd or online, and a text if you like")
            return
        client = self._target.client
        if arguments:
            await client.set_status(Availability(word), text.strip())
        own = client.profile
        self._target.inform(f"Your status: {status_line(own.status, own.status_text) or 'online'}")

    async def _alias(self, arguments: str) -> None:
        client = self._target.client
        await client.set_alias(arguments)
        self._target.inform(f"Others see you as {client.alias}")

    async def _password(self, arguments: str) -> None:
        await self._target.run_action("screen.password")

    async def _layout(self, arguments: str) -> None:
        layout = next((each for each in LAYOUTS if each == arguments), None)
        if layout is None:
            self._target.inform("Type /layout comfortable or /layout compact")
        else:
            self._target.choose_layout(layout)

    async def _theme(self, arguments: str) -> None:
        self._target.post_message(ThemeRequested(arguments))

    async def _profile(self, arguments: str) -> None:
        self._target.post_message(ProfileRequested(arguments))

    async def _logout(self, arguments: str) -> None:
        await self._target.client.logout()

    async def _help(self, arguments: str) -> None:
        await self._target.run_action("app.help")

    async def _quit(self, arguments: str) -> None:
        await self._target.run_action("app.quit")
