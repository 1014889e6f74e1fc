"""SearchBar: finds messages in one conversation or in all, and steps through the hits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message as TextualMessage
from textual.widgets import Input, Static

from pychat.client.errors import ChatClientError
from pychat.client.models import MessageInfo
from pychat.protocol import MAX_LIMIT, MAX_QUERY_CHARACTERS
from pychat.tui.text.names import line

if TYPE_CHECKING:
    from pychat.client import ChatClient

MAX_EMPTY_PAGES: Final = 100
"""Pages fetched for one step: pages that hold only messages of blocked people are empty."""
PLACEHOLDERS: Final = {
    False: "Search this conversation (Tab: all conversations)",
    True: "Search all conversations (Tab: this one)",
}

ShowHit = Callable[[MessageInfo, str], Awaitable[bool]]
"""Brings a message into view with the words of the query marked; False if it is unavailable."""


class SearchBar(Horizontal):
    """Enter and ↑ go to older hits, ↓ to newer ones; after the last hit comes the first.

    Tab switches between this conversation and all of them, Esc closes. ``conversation`` is set from
    outside. ``clear_hits`` removes the marks of the last hit.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(1)", show=False, priority=True),
        Binding("down", "step(-1)", show=False, priority=True),
        Binding("tab", "switch_scope", show=False, priority=True),
        Binding("escape", "close", show=False, priority=True),
    ]

    class Closed(TextualMessage):
        """The user has finished searching."""

    def __init__(
        self,
        client: ChatClient,
        show_hit: ShowHit,
        clear_hits: Callable[[], None],
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.conversation = ""
        self._client = client
        self._show_hit = show_hit
        self._clear_hits = clear_hits
        self._text = ""
        self._found: list[MessageInfo] = []
        self._more = ""
        self._at = -1
        self._everywhere = False

    def compose(self) -> ComposeResult:
        yield Input(
            placeholder=PLACEHOLDERS[False],
            max_length=MAX_QUERY_CHARACTERS,
            id="search-query",
        )
        yield Static("", id="search-count", markup=False)

    @property
    def is_open(self) -> bool:
        """Whether the bar is shown."""
        return self.has_class("-shown")

    def open(self, text: str = "", *, everywhere: bool = False) -> None:
        """Show the bar and focus its field. A ``text`` is searched for at once."""
        self.add_class("-shown")
        self._set_scope(everywhere)
        query = self.query_one(Input)
        query.focus()
        if text:
            query.value = text
            self._search()

    def close(self) -> None:
        """Hide the bar, remove the marks and ignore answers that arrive later."""
        if self.is_open:
            self.workers.cancel_node(self)
            self.remove_class("-shown")
            self.query_one(Input).value = self._text = ""
            self._found = []
            self._say("")
            self._clear_hits()

    def _set_scope(self, everywhere: bool) -> None:
        if everywhere != self._everywhere:
            self._everywhere = everywhere
            self._found = []
            self._say("")
        self.query_one(Input).placeholder = PLACEHOLDERS[everywhere]

    def action_switch_scope(self) -> None:
        """Search all conversations instead of this one, or the other way round."""
        self._set_scope(not self._everywhere)
        self._search()

    def action_close(self) -> None:
        self.post_message(self.Closed())

    @on(Input.Submitted)
    def _search(self) -> None:
        text = self.query_one(Input).value.strip()
        if text and text == self._text and self._found:
            self.action_step(1)
        elif text:
            self._text = text
            self._ask(text)

    @work(exclusive=True)
    async def _ask(self, text: str) -> None:
        self._say("Searching…")
        try:
            page = await self._client.search(
                text, conversation=self._searched_conversation, limit=MAX_LIMIT
            )
        except ChatClientError as error:
            self._say(line(str(error), 80))
            return
        self._found, self._more, self._at = page.messages, page.next, -1
        if self._found:
            await self._go(0)
        else:
            self._say("No results")

    def action_step(self, by: int) -> None:
        """Go to the next older hit with 1, to the next newer one with -1."""
        if self._found:
            self._step(self._at + by)

    @work(exclusive=True)
    async def _step(self, at: int) -> None:
        try:
            for _ in range(MAX_EMPTY_PAGES):
                if not self._more or at < len(self._found):
                    break
                await self._fetch_more()
        except ChatClientError as error:
            self._say(line(str(error), 80))
            return
        if at < 0:
            await self._go(len(self._found) - 1, ", oldest so far" if self._more else ", oldest")
        elif at >= len(self._found):
            await self._go(0, ", newest")
        else:
            await self._go(at)

    @property
    def _searched_conversation(self) -> str | None:
        return None if self._everywhere else self.conversation

    async def _fetch_more(self) -> None:
        page = await self._client.search(
            self._text,
            conversation=self._searched_conversation,
            cursor=self._more,
            limit=MAX_LIMIT,
        )
        self._found += page.messages
        self._more = page.next

    async def _go(self, at: int, end: str = "") -> None:
        """Show a hit. ``end``: which end of the hits this is, after stepping past the other."""
        self._at = at
        more = "+" if self._more else ""
        where = " in all" if self._everywhere else ""
        self._say(f"{at + 1} of {len(self._found)}{more}{where}{end}")
        if not await self._show_hit(self._found[at], self._text):
            self._say("This message is not available now")

    def _say(self, text: str) -> None:
        self.query_one("#search-count", Static).update(text)
