"""MessageActions: what the keys, the menu and the commands do with one message."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from textual.geometry import Offset

from pychat.client.errors import ChatClientError
from pychat.client.models import DeliveryStatus, MessageInfo
from pychat.protocol import ROOM_PREFIX
from pychat.tui.commands.keys import keys_of, shortest
from pychat.tui.commands.message_actions import actions_on, links_in
from pychat.tui.text.names import line
from pychat.tui.widgets.purpose import Purpose

if TYPE_CHECKING:
    from textual.app import App
    from textual.screen import Screen

    from pychat.client import ChatClient
    from pychat.tui.clock import Clock
    from pychat.tui.model.conversations import OpenConversations
    from pychat.tui.model.saved_state import SavedState
    from pychat.tui.settings import Settings


class MessageTarget(Protocol):
    """What the actions need of the chat screen."""

    @property
    def app(self) -> App[object]: ...
    @property
    def client(self) -> ChatClient: ...
    @property
    def saved(self) -> SavedState: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def conversations(self) -> OpenConversations: ...
    @property
    def selected(self) -> MessageInfo | None: ...
    def begin(self, purpose: Purpose) -> None: ...
    def jump(self, seq: int) -> object: ...
    def save_file(self, message: MessageInfo) -> object: ...
    def copy(self, text: str) -> None: ...
    def inform(self, text: str) -> None: ...


class MessageActions:
    """Act on a message of the open conversation. What is refused is told in one line."""

    def __init__(self, target: MessageTarget) -> None:
        self._target = target
        self._actions: dict[str, Callable[[MessageInfo], None]] = {
            "enter": self.enter,
            "reply": self.reply,
            "react": self.pick_reaction,
            "edit": self.edit,
            "delete": self.ask_to_delete,
            "copy": self.copy,
            "open": self.open,
            "details": self.details,
        }

    def on_selected(self, name: str) -> None:
        """Run an action on the selected message."""
        message = self._target.selected
        if message is None:
            key = shortest("select", self._target.settings.keys)
            self._target.inform(f"No message is selected. Press {key}, or ↑ in an empty text")
        else:
            self._actions[name](message)

    def enter(self, message: MessageInfo) -> None:
        """Go to the quoted message; without one, open the menu."""
        if message.reply_to is not None:
            self._target.jump(message.reply_to.seq)
        else:
            self.menu(message)

    def menu(self, message: MessageInfo, at: Offset | None = None) -> None:
        """List the actions that the message allows."""
        from pychat.tui.screens.message.dialogs import MessageMenu

        allowed = actions_on(message, may_remove=self.may_remove(message))
        rebound = self._target.settings.keys
        entries = [(each, keys_of(each, rebound)) for each in allowed]
        screen: Screen[str | None] = MessageMenu(entries, at)
        self._target.app.push_screen(screen, self._menu_chosen)

    async def _menu_chosen(self, action: str | None) -> None:
        if action is not None:
            await self._target.app.run_action(f"screen.{action}")

    def may_remove(self, message: MessageInfo) -> bool:
        """Whether the user may delete messages of others: in their own room."""
        known = self._target.conversations.get(message.conversation)
        return known is not None and known.role == "owner"

    def reply(self, message: MessageInfo) -> None:
        """Let the composer reply to the message."""
        if message.seq:
            self._target.begin(Purpose("reply", message))
        else:
            self._target.inform("Reply to this message when it is sent")

    def edit(self, message: MessageInfo) -> None:
        """Put the message into the composer."""
        if message.own:
            self._target.begin(Purpose("edit", message, message.text))
        else:
            self._target.inform("You can edit only your own messages")

    def ask_to_delete(self, message: MessageInfo) -> None:
        """Delete the message for everybody, if the user says so."""
        from pychat.tui.screens.message.dialogs import DeleteScreen

        if not (message.own or self.may_remove(message)):
            self._target.inform("You can delete only your own messages")
            return

        def decided(delete: bool | None) -> None:
            if delete:
                self._try(lambda: self._target.client.post_removal(message))

        screen: Screen[bool | None] = DeleteScreen(line(message.shown_text, 160))
        self._target.app.push_screen(screen, decided)

    def pick_reaction(self, message: MessageInfo) -> None:
        """Add a reaction that the user chooses, or take it back."""
        from pychat.tui.screens.message.reactions import ReactionPicker

        if not message.seq:
            self._target.inform("React to this message when it is sent")
            return

        def chosen(emoji: str | None) -> None:
            if emoji is not None:
                self.react(message, emoji)

        mine = [each.emoji for each in message.reactions if each.mine]
        screen: Screen[str | None] = ReactionPicker(self._target.saved.reactions, mine)
        self._target.app.push_screen(screen, chosen)

    def react(self, message: MessageInfo, emoji: str) -> None:
        """Add a reaction; if the user has given it already, take it back."""
        mine = any(each.emoji == emoji and each.mine for each in message.reactions)
        if self._try(lambda: self._target.client.post_reaction(message, emoji, not mine)):
            self._target.saved.used_reaction(emoji)

    def copy(self, message: MessageInfo) -> None:
        """Put the text of the message on the clipboard."""
        self._target.copy(message.text)
        self._target.inform(f"Copied: {line(message.text, 40)}")

    def open(self, message: MessageInfo) -> None:
        """Save the file of the message, or open its link."""
        from pychat.tui.screens.dialogs import LinksScreen

        links = links_in(message)
        if message.file is not None:
            self._target.save_file(message)
        elif len(links) == 1:
            self._target.app.open_url(links[0])
        elif links:
            self._target.app.push_screen(LinksScreen(links))
        else:
            self._target.inform("There is no link and no file in this message")

    def details(self, message: MessageInfo) -> None:
        """Show what is known about the message."""
        from pychat.tui.screens.message.dialogs import DetailsScreen

        self._target.app.push_screen(DetailsScreen(self._facts(message)))

    def _facts(self, message: MessageInfo) -> list[tuple[str, str]]:
        clock, name = self._target.clock, self._target.conversations.sender_name
        facts = [("From", str(name(message.sender)))]
        facts.append(("Sent" if message.seq else "Written", clock.exact(message.sent_at)))
        if message.edited is not None:
            facts.append(("Edited", clock.exact(message.edited)))
        if message.own:
            facts.append(("State", self._state(message)))
        for each in message.reactions:
            people = ", ".join(name(id).called for id in each.by)
            more = each.count - len(each.by)
            if more > 0:
                people = f"{people} and {more} more" if people else f"{each.count}"
            facts.append((line(each.emoji), people))
        if message.mentions:
            facts.append(("Mentions", ", ".join(line(id) for id in message.mentions)))
        if message.file is not None:
            facts.append(("File", line(message.file.line, 160)))
        if message.id:
            facts.append(("Id", line(message.id, 120)))
        return facts

    def _state(self, message: MessageInfo) -> str:
        if message.delivery is DeliveryStatus.FAILED:
            return f"not sent: {line(message.error, 200)}"
        if not message.seq:
            return "waits for the server"
        known = self._target.conversations.get(message.conversation)
        if known is None or known.name.startswith(ROOM_PREFIX):
            return "stored by the server"
        if message.seq <= known.peer_read_seq or message.delivery is DeliveryStatus.READ:
            return "read"
        if message.seq <= known.peer_delivered_seq or message.delivery is DeliveryStatus.DELIVERED:
            return "delivered, not read yet"
        return "stored by the server, not delivered yet"

    def _try(self, change: Callable[[], None]) -> bool:
        try:
            change()
        except ChatClientError as error:
            self._target.inform(str(error))
            return False
        return True
