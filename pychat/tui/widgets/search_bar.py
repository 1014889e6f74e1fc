"""SearchBar: finds messages, here or in all conversations, and goes from one to the next."""

from __future__ import annotations

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
    from pychat.tui.widgets.conversation_view import ConversationView

MAX_EMPTY_PAGES: Final = 100
"""Pages that may be asked for at once: those of blocked people are empty."""
PLACEHOLDERS: Final = {
    False: "Search this conversation (Tab: all of them)",
    True: "Search all conversations (Tab: this one)",
}


class SearchBar(Horizontal):
    """Enter and up go to older ones, down to newer ones, round and round; tab searches everywhere
    or here, escape ends it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(1)", show=False, priority=True),
        Binding("down", "step(-1)", show=False, priority=True),
        Binding("tab", "switch_scope", show=False, priority=True),
        Binding("escape", "close", show=False, priority=True),
    ]

    class Closed(TextualMessage):
        """The user is done."""

    class Moved(TextualMessage):
        """Another conversation is in the log, for what was found in it."""

    def __init__(
        self, client: ChatClient, view: ConversationView, *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._client = client
        self._view = view
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
        """Whether it is shown."""
        return self.has_class("-shown")

    def open(self, text: str = "", *, everywhere: bool = False) -> None:
        """To type what to look for; ``text`` is looked for at once."""
        self.add_class("-shown")
        self._set_scope(everywhere)
        query = self.query_one(Input)
        query.focus()
        if text:
            query.value = text
            self._search()

    def close(self) -> None:
        """Hidden, and nothing highlighted; an answer that comes later moves nothing."""
        if self.is_open:
            self.workers.cancel_node(self)
            self.remove_class("-shown")
            self.query_one(Input).value = self._text = ""
            self._found = []
            self._say("")
            self._highlight("")

    def _set_scope(self, everywhere: bool) -> None:
        if everywhere != self._everywhere:
            self._everywhere = everywhere
            self._found = []
            self._say("")
        self.query_one(Input).placeholder = PLACEHOLDERS[everywhere]

    def action_switch_scope(self) -> None:
        """Here, or in all conversations; what was typed is looked for there at once."""
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
        self._say("searching…")
        try:
            where = None if self._everywhere else self._view.current
            page = await self._client.search(text, conversation=where, limit=MAX_LIMIT)
        except ChatClientError as error:
            self._say(line(str(error), 80))
            return
        self._found, self._more, self._at = page.messages, page.next, -1
        if self._found:
            await self._go(0)
        else:
            self._say("nothing found")

    def action_step(self, by: int) -> None:
        """Further into the past with 1, back with -1."""
        if self._found:
            self._step(self._at + by)

    @work(exclusive=True)
    async def _step(self, at: int) -> None:
        try:
            for _ in range(MAX_EMPTY_PAGES):
                if not self._more or at < len(self._found):
                    break
                await self._find_more()
        except ChatClientError as error:
            self._say(line(str(error), 80))
            return
        if at < 0:
            await self._go(len(self._found) - 1, ", oldest so far" if self._more else ", oldest")
        elif at >= len(self._found):
            await self._go(0, ", newest")
        else:
            await self._go(at)

    async def _find_more(self) -> None:
        where = None if self._everywhere else self._view.current
        page = await self._client.search(
            self._text, conversation=where, cursor=self._more, limit=MAX_LIMIT
        )
        self._found += page.messages
        self._more = page.next

    async def _go(self, at: int, turned: str = "") -> None:
        """``turned``: it has gone round, and is at which end."""
        self._at = at
        more = "+" if self._more else ""
        where = " in all" if self._everywhere else ""
        self._say(f"{at + 1} of {len(self._found)}{more}{where}{turned}")
        message = self._found[at]
        if message.conversation != self._view.current:
            self._highlight("")
            self._view.open(message.conversation)
            self.post_message(self.Moved())
        self._highlight(self._text, message.seq)
        if not await self._view.show_message(message.seq):
            self._say("that message cannot be had now")

    def _say(self, text: str) -> None:
        self.query_one("#search-count", Static).update(text)

    def _highlight(self, text: str, hit: int = 0) -> None:
        log = self._view.log_view
        if log.opened is not None:
            log.opened.reading.highlight = tuple(text.casefold().split())
            log.opened.reading.hit = hit
            log.states_changed()
