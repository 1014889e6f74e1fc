"""Switcher: finds conversations and people by a few letters, and starts chats by id."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from pychat.client.errors import ChatClientError
from pychat.client.models import ConnectionState, ConversationInfo, UserInfo
from pychat.protocol import MAX_ID_CHARACTERS
from pychat.tui.model.conversations import is_pair
from pychat.tui.model.finder import OFFERED, Finder, Found, SearchTexts, best
from pychat.tui.screens.dialogs import Dialog
from pychat.tui.text.names import Name, conversation_name, line, name_of

if TYPE_CHECKING:
    from pychat.client import ChatClient

ASK_SECONDS = 0.15


class Switcher(Dialog[UserInfo | None]):
    """Return the person or conversation to open, or None."""

    CSS_PATH = "switcher.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", show=False),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
    ]

    def __init__(
        self, client: ChatClient, conversations: list[ConversationInfo], finder: Finder
    ) -> None:
        super().__init__()
        self._client = client
        self._finder = finder
        self._known = {each.name: each for each in conversations}
        self._found: dict[str, UserInfo] = {}
        self._texts: list[SearchTexts] = []
        """Searchable texts of both, prepared at the first letter."""
        self._offered: list[UserInfo] = []
        self._offered_for = ""
        self._answered = ""
        """The last query that the server has answered."""

    def compose(self) -> ComposeResult:
        with Vertical(id="switcher"):
            yield Input(placeholder="Search people and rooms", id="query")
            yield OptionList(id="matches", markup=False)

    def on_mount(self) -> None:
        self._offer()
        self._ask("")

    @on(Input.Changed)
    def _query_changed(self, event: Input.Changed) -> None:
        self._offer()
        self.set_timer(ASK_SECONDS, lambda: self._ask_if_still(event.value))

    def _ask_if_still(self, query: str) -> None:
        if self.is_attached and query == self.query_one(Input).value:
            self._ask(query.strip())

    @work(exclusive=True)
    async def _ask(self, query: str) -> None:
        if self._client.status.state is not ConnectionState.ONLINE:
            return
        try:
            users = await self._client.users(query, limit=OFFERED)
        except ChatClientError:
            return  # offline: known conversations are still offered
        self._found.update({user.id: user for user in users if user.id not in self._known})
        self._texts = []
        self._answered = query
        if self.is_current:  # otherwise it was closed, and its field is gone
            self._offer()

    def on_key(self, event: events.Key) -> None:
        """Handle keys that arrive before the field has the focus."""
        if event.key == "enter":
            event.stop()  # otherwise the composer would send its draft
            self._offer()
            self._submitted()
        elif event.is_printable and event.character:
            self.query_one(Input).insert_text_at_cursor(event.character)

    def _offer(self) -> None:
        query = self.query_one(Input).value.strip()
        found = self._search(query)
        offered = [self._user(id) for id, _ in found]
        prompts = [
            Option(self._prompt(user, name_of(user.id, user.alias), positions))
            for user, (_, positions) in zip(offered, found, strict=True)
        ]
        if self._may_be_new(query, offered):
            offered.append(UserInfo(query, "", online=False))
            prompts.append(Option(Content.assemble("New chat with ", (query, "bold"))))
        if not prompts:
            prompts.append(Option(Content(f"No results for {line(query)}"), disabled=True))
        matches = self.query_one(OptionList)
        # The server's answer to the same query must not change the highlighted choice.
        chosen = self._chosen() if query == self._offered_for else None
        self._offered, self._offered_for = offered, query
        matches.set_options(prompts)
        kept = [index for index, user in enumerate(offered) if user == chosen]
        matches.highlighted = kept[0] if kept else 0 if offered else None

    def _search(self, query: str) -> list[Found]:
        if not query:
            first = islice(chain(self._known, self._found), OFFERED)
            return [Found(id, []) for id in first]
        if not self._texts:
            texts = self._finder.texts
            self._texts = [texts(each.name, each.alias) for each in self._known.values()]
            self._texts += [texts(each.id, each.alias) for each in self._found.values()]
        return best(query, self._texts)

    def _user(self, id: str) -> UserInfo:
        known = self._known.get(id)
        if known is None:
            return self._found[id]
        return UserInfo(id, conversation_name(known).called, known.online)

    def _may_be_new(self, query: str, offered: list[UserInfo]) -> bool:
        """Whether the query may be the id of a person who is not listed; always while offline."""
        if not 0 < len(query) <= MAX_ID_CHARACTERS or not is_pair(query):
            return False
        if any(user.id.casefold() == query.casefold() for user in offered):
            return False
        return self._answered != query

    def _prompt(self, user: UserInfo, name: Name, positions: list[int]) -> Content:
        dot = Content("  ")
        if is_pair(user.id):
            dot = (
                Content.styled("● ", "$success")
                if user.online
                else Content.styled("○ ", "$foreground 72%")
            )
        shown = Content(name.called)
        for position in positions:
            shown = shown.stylize("bold $primary", position, position + 1)
        also = f"  {name.id}" if name.id else ""
        return Content.assemble(dot, shown, (also, "$foreground 72%"))

    def action_move(self, by: int) -> None:
        matches = self.query_one(OptionList)
        matches.action_cursor_down() if by > 0 else matches.action_cursor_up()

    def _chosen(self) -> UserInfo | None:
        highlighted = self.query_one(OptionList).highlighted
        if highlighted is None or highlighted >= len(self._offered):
            return None
        return self._offered[highlighted]

    @on(Input.Submitted)
    def _submitted(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.dismiss(chosen)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_index < len(self._offered):
            self.dismiss(self._offered[event.option_index])
