"""Switcher: type a few letters, get a conversation, a person on the server, or a new one by id."""

from __future__ import annotations

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
from pychat.protocol import MAX_ID_CHARACTERS, canonical_id
from pychat.tui.model.conversations import is_pair
from pychat.tui.screens.dialog import Dialog
from pychat.tui.text.fuzzy import fuzzy
from pychat.tui.text.names import Name, conversation_name, line, name_of

if TYPE_CHECKING:
    from pychat.client import ChatClient

SHOWN = 50
ASK_SECONDS = 0.15


class Switcher(Dialog[UserInfo | None]):
    """Dismissed with whom to write to, or None."""

    CSS_PATH = "switcher.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", show=False),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
    ]

    def __init__(self, client: ChatClient, conversations: list[ConversationInfo]) -> None:
        super().__init__()
        self._client = client
        self._known = {
            c.name: UserInfo(c.name, conversation_name(c).called, c.online) for c in conversations
        }
        self._found: dict[str, UserInfo] = {}
        self._offered: list[UserInfo] = []
        self._offered_for = ""
        self._answered = ""
        """The query that the server has answered last."""

    def compose(self) -> ComposeResult:
        with Vertical(id="switcher"):
            yield Input(placeholder="Name of a person or a conversation", id="query")
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
            users = await self._client.users(query, limit=SHOWN)
        except ChatClientError:
            return  # what is known here is still offered
        self._found.update({user.id: user for user in users if user.id not in self._known})
        self._answered = query
        if self.is_current:  # else it was closed meanwhile, and its field is gone
            self._offer()

    def on_key(self, event: events.Key) -> None:
        """Keys that come before the field has the focus: the typing of somebody in a hurry."""
        if event.key == "enter":
            event.stop()  # or it goes on to the composer, and sends the draft there
            self._offer()
            self._submitted()
        elif event.is_printable and event.character:
            self.query_one(Input).insert_text_at_cursor(event.character)

    def _offer(self) -> None:
        query = self.query_one(Input).value.strip()
        people = [*self._known.values(), *self._found.values()]
        options: list[tuple[float, UserInfo, Content]] = []
        for user in people:
            name = _name(user)
            best = (1.0, []) if not query else _best(query, name.called, line(user.id))
            if best is not None:
                options.append((best[0], user, self._prompt(user, name, best[1])))
        if query:
            wanted = canonical_id(query)
            options.sort(key=lambda option: _rank(wanted, option[1], option[0]))
        del options[SHOWN:]
        offered = [user for _, user, _ in options]
        prompts = [Option(prompt) for _, _, prompt in options]
        if self._may_be_new(query, people):
            offered.append(UserInfo(query, "", online=False))
            prompts.append(Option(Content.assemble("Write to ", (query, "bold"))))
        if not prompts:
            prompts.append(Option(Content(f"Nobody is called {line(query)}"), disabled=True))
        matches = self.query_one(OptionList)
        # The server's answer to the same query must not move the choice under the user's finger.
        chosen = self._chosen() if query == self._offered_for else None
        self._offered, self._offered_for = offered, query
        matches.set_options(prompts)
        kept = [index for index, user in enumerate(offered) if user == chosen]
        matches.highlighted = kept[0] if kept else 0 if offered else None

    def _may_be_new(self, query: str, people: list[UserInfo]) -> bool:
        """Offline nobody can be asked, so any id may be somebody."""
        if not 0 < len(query) <= MAX_ID_CHARACTERS or not is_pair(query):
            return False
        if any(user.id.casefold() == query.casefold() for user in people):
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


def _name(user: UserInfo) -> Name:
    return name_of(user.id, user.alias)


def _rank(wanted: str, user: UserInfo, score: float) -> tuple[bool, float, bool]:
    """Who has exactly this id comes first, whatever others are called; nobody before Everyone."""
    pair = is_pair(user.id)
    ids = (user.id,) if pair else (user.id, _name(user).called)
    exact = wanted in map(canonical_id, ids)
    return not exact, -score, pair


def _best(query: str, name: str, id: str) -> tuple[float, list[int]] | None:
    """A match in the name shows where; one in the id alone counts as much."""
    in_name, in_id = fuzzy(query, name), fuzzy(query, id)
    if in_id is not None and (in_name is None or in_id[0] > in_name[0]):
        return in_id[0], in_name[1] if in_name is not None else []
    return in_name
