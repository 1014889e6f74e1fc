"""Palette: the command palette, which finds actions, conversations, people, rooms and themes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, Final, cast

from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.message import Message

from pychat.client.errors import ChatClientError
from pychat.client.models import RoomInfo, UserInfo
from pychat.protocol import ROOM_PREFIX
from pychat.tui.commands.keys import KEYS, KeyAction, keys_of, show
from pychat.tui.commands.slash import (
    COMMANDS,
    CommandRequested,
    ConversationRequested,
    PersonRequested,
    ProfileRequested,
    ThemeRequested,
)
from pychat.tui.model.conversations import OpenConversations
from pychat.tui.model.finder import BEST, Finder, best, fuzzy
from pychat.tui.model.saved_state import LAYOUTS
from pychat.tui.screens.dialogs import Dialog
from pychat.tui.text.names import conversation_name, line, name_of

if TYPE_CHECKING:
    from pychat.client import ChatClient

NOT_OFFERED: Final = {"send", "newline", "palette", "end"}
"""Ids of actions that make no sense in the palette."""
JOIN: Final = next(command for command in COMMANDS if command.name == "join")
LAYOUT: Final = next(command for command in COMMANDS if command.name == "layout")
PLACEHOLDER: Final = "Search actions, conversations, people, rooms and themes"
MAX_PEOPLE: Final = 20
"""Number of people that the server is asked for."""


@dataclass(frozen=True, slots=True)
class PaletteContents:
    """What the palette offers without asking the server, and the client with which it asks.

    ``rebound``: keys changed in the settings; ``profiles``: name and description of each profile.
    """

    client: ChatClient
    conversations: OpenConversations
    finder: Finder
    rebound: Mapping[str, str]
    profiles: Mapping[str, str]
    themes: list[str]


@dataclass(frozen=True, slots=True)
class PaletteEntry:
    """One entry. ``name`` and ``also`` are safe text and both are searched; ``kind`` is shown in
    the second row; ``go`` runs the entry."""

    name: str
    kind: str
    go: Callable[[], object]
    also: str = ""


class Palette(CommandPalette, Dialog[None]):
    """Textual's command palette over the contents given."""

    def __init__(self, contents: PaletteContents) -> None:
        # Textual creates the providers itself: a class of their own gives them the contents.
        provider = type("BoundPaletteProvider", (PaletteProvider,), {"contents": contents})
        super().__init__(
            [cast("type[Provider]", provider)], placeholder=PLACEHOLDER, id="--command-palette"
        )

    def _action_command_list(self, action: str) -> None:
        # Textual raises KeyError for page up and page down before its list has a layout.
        with suppress(KeyError):
            super()._action_command_list(action)


class PaletteProvider(Provider):
    """Find entries by name.

    Names come from other users: they are matched by pychat's own matcher, which is linear, and are
    never read as markup.
    """

    contents: ClassVar[PaletteContents]
    _known_rooms: list[RoomInfo] | None = None

    async def discover(self) -> Hits:
        for entry in self._actions():
            yield DiscoveryHit(_shown(entry), entry.go, text=entry.name)

    async def search(self, query: str) -> Hits:
        local = [self._actions(), self._conversations(query), self._profiles(), self._themes()]
        for entry in chain(*local):
            if (hit := _hit(query, entry)) is not None:
                yield hit
        client = self.contents.client
        try:
            people = await client.users(query, limit=MAX_PEOPLE)
            if self._known_rooms is None:
                self._known_rooms = await client.rooms()
        except ChatClientError:
            return  # offline: the local entries have been offered
        for entry in chain(self._people(people), self._rooms(self._known_rooms)):
            if (hit := _hit(query, entry)) is not None:
                yield hit

    def _post(self, message: Message) -> Callable[[], object]:
        return partial(self.screen.post_message, message)

    def _actions(self) -> Iterator[PaletteEntry]:
        for key in KEYS:
            if key.id not in NOT_OFFERED:
                keys = "  ".join(show(name) for name in keys_of(key, self.contents.rebound))
                yield PaletteEntry(key.does, keys, partial(self._run, key))
        yield PaletteEntry("Change the theme", "/theme", self._post(ThemeRequested("")))
        for layout in LAYOUTS:
            go = self._post(CommandRequested(LAYOUT, layout))
            yield PaletteEntry(f"Show messages {layout}", f"/layout {layout}", go)

    async def _run(self, key: KeyAction) -> None:
        scope = "app" if key.scope == "app" else "screen"
        await self.app.run_action(f"{scope}.{key.action}", default_namespace=self.screen)

    def _conversations(self, query: str) -> Iterator[PaletteEntry]:
        """Only the best: the palette takes much longer to show one than the finder to find it."""
        known = {each.name: each for each in self.contents.conversations.all()}
        texts = self.contents.finder.texts
        for name, _ in best(query, [texts(each.name, each.alias) for each in known.values()]):
            go = self._post(ConversationRequested(name))
            title = conversation_name(known[name]).called
            yield PaletteEntry(title, "Conversation", go, line(name))

    def _profiles(self) -> Iterator[PaletteEntry]:
        for name, description in self.contents.profiles.items():
            go = self._post(ProfileRequested(name))
            yield PaletteEntry(line(name), f"Profile: {line(description, 200)}", go)

    def _themes(self) -> Iterator[PaletteEntry]:
        for name in self.contents.themes:
            yield PaletteEntry(line(name), "Theme", self._post(ThemeRequested(name)))

    def _people(self, people: list[UserInfo]) -> Iterator[PaletteEntry]:
        for user in people:
            if self.contents.conversations.get(user.id) is None:
                name = name_of(user.id, user.alias).called
                yield PaletteEntry(name, "Person", self._post(PersonRequested(user)), line(user.id))

    def _rooms(self, rooms: list[RoomInfo]) -> Iterator[PaletteEntry]:
        for room in rooms:
            name = ROOM_PREFIX + room.id
            if self.contents.conversations.get(name) is None:
                go = self._post(CommandRequested(JOIN, room.id))
                yield PaletteEntry(line(name), "Join room", go, line(room.name))


def _hit(query: str, entry: PaletteEntry) -> Hit | None:
    in_name = fuzzy(query, entry.name)
    in_also = fuzzy(query, entry.also) if entry.also else None
    scores = [match[0] for match in (in_name, in_also) if match is not None]
    if not scores:
        return None
    shown = _shown(entry, in_name[1] if in_name is not None else [])
    return Hit(max(scores) / BEST, shown, entry.go, text=entry.name)


def _shown(entry: PaletteEntry, matched: Sequence[int] = ()) -> Content:
    """Draw an entry. It is Content because a string would be read as markup."""
    name = Content(entry.name)
    for position in matched:
        name = name.stylize("bold $primary", position, position + 1)
    also = f"  {entry.also}" if entry.also not in ("", entry.name) else ""
    quiet = "$foreground 72%"
    return Content.assemble(name, (also, quiet), "\n", (entry.kind, quiet))
