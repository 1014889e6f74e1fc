"""What the command palette offers: every action, and everywhere one can go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from pychat.client.errors import ChatClientError
from pychat.client.models import RoomInfo, UserInfo
from pychat.protocol import ROOM_PREFIX
from pychat.tui.commands.keys import KEYS, Key, keys_of, show
from pychat.tui.commands.slash import COMMANDS
from pychat.tui.model.finder import best
from pychat.tui.text.fuzzy import BEST, fuzzy
from pychat.tui.text.names import line, name_of
from pychat.tui.widgets.conversation_view import ConversationView

if TYPE_CHECKING:
    from pychat.tui.app import ChatApp

NOT_OFFERED: Final = {"send", "newline", "palette", "end"}
JOIN: Final = next(command for command in COMMANDS if command.name == "join")
HINT: Final = "An action, conversation, person, room, profile or theme"
PEOPLE: Final = 20
"""So many are asked of the server."""


@dataclass(frozen=True, slots=True)
class PaletteEntry:
    """``name`` and ``also`` (found by, too) are safe text; ``kind`` says what it is."""

    name: str
    kind: str
    go: Callable[[], object]
    also: str = ""


class PaletteProvider(Provider):
    """Actions, conversations, people, rooms, profiles and themes, found by their names.

    Names are peer text: matched by our own matcher, and never read as markup.
    """

    _rooms: list[RoomInfo] | None = None

    async def discover(self) -> Hits:
        for entry in self._actions():
            yield DiscoveryHit(_shown(entry), entry.go, text=entry.name)

    async def search(self, query: str) -> Hits:
        app = cast("ChatApp", self.app)
        here = [self._actions(), _conversations(app, query), _profiles(app), _themes(app)]
        for entry in chain(*here):
            if (hit := _hit(query, entry)) is not None:
                yield hit
        try:
            people = await app.client.users(query, limit=PEOPLE)
            if self._rooms is None:
                self._rooms = await app.client.rooms()
        except ChatClientError:
            return  # not connected: what is known here was offered
        for entry in chain(_people(app, people), _rooms(app, self._rooms)):
            if (hit := _hit(query, entry)) is not None:
                yield hit

    def _actions(self) -> Iterator[PaletteEntry]:
        app = cast("ChatApp", self.app)
        for key in KEYS:
            if key.id not in NOT_OFFERED:
                keys = "  ".join(show(name) for name in keys_of(key, app.settings.keys))
                yield PaletteEntry(key.does, keys, partial(self._run, key))
        yield PaletteEntry("Change the colours", "/theme", app.action_change_theme)

    async def _run(self, key: Key) -> None:
        scope = "app" if key.scope == "app" else "screen"
        await self.app.run_action(f"{scope}.{key.action}", default_namespace=self.screen)


def _conversations(app: ChatApp, query: str) -> Iterator[PaletteEntry]:
    """Only the best: the palette takes much longer to show one than the finder to find it."""
    view = app.chat.view
    among = [view.finder.texts(each.name, each.alias) for each in view.conversations.all()]
    for name, _ in best(query, among):
        go = partial(app.chat.open, name)
        yield PaletteEntry(view.title_of(name).called, "conversation", go, line(name))


def _profiles(app: ChatApp) -> Iterator[PaletteEntry]:
    for name, what in app.accounts.profiles.items() if app.accounts is not None else ():
        yield PaletteEntry(
            line(name), f"profile: {line(what, 200)}", partial(app.account_changes.to_profile, name)
        )


def _themes(app: ChatApp) -> Iterator[PaletteEntry]:
    for name in app.available_themes:
        yield PaletteEntry(line(name), "theme", partial(setattr, app, "theme", name))


def _people(app: ChatApp, people: list[UserInfo]) -> Iterator[PaletteEntry]:
    for user in people:
        if app.chat.view.conversations.get(user.id) is None:
            name = name_of(user.id, user.alias).called
            yield PaletteEntry(name, "person", partial(app.chat.start, user), line(user.id))


def _rooms(app: ChatApp, rooms: list[RoomInfo]) -> Iterator[PaletteEntry]:
    for room in rooms:
        name = ROOM_PREFIX + room.id
        if app.chat.view.conversations.get(name) is None:
            join = ConversationView.Commanded(JOIN, room.id)
            go = partial(app.chat.post_message, join)
            yield PaletteEntry(line(name), "room: join it", go, line(room.name))


def _hit(query: str, entry: PaletteEntry) -> Hit | None:
    in_name = fuzzy(query, entry.name)
    in_also = fuzzy(query, entry.also) if entry.also else None
    scores = [match[0] for match in (in_name, in_also) if match is not None]
    if not scores:
        return None
    shown = _shown(entry, in_name[1] if in_name is not None else [])
    return Hit(max(scores) / BEST, shown, entry.go, text=entry.name)


def _shown(entry: PaletteEntry, matched: Sequence[int] = ()) -> Content:
    """Content is drawn as it is; a string would be read as markup."""
    name = Content(entry.name)
    for position in matched:
        name = name.stylize("bold $primary", position, position + 1)
    also = f"  {entry.also}" if entry.also not in ("", entry.name) else ""
    quiet = "$foreground 72%"
    return Content.assemble(name, (also, quiet), "\n", (entry.kind, quiet))
