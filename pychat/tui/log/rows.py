"""Lay out a message at a width: rows of text with named styles, without colours or widgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from rich.cells import cell_len

from pychat.client.models import DeliveryStatus, MessageInfo, QuoteInfo
from pychat.client.safetext import safe_text
from pychat.tui.clock import Clock
from pychat.tui.text.graphemes import fold, wrap
from pychat.tui.text.markdown import MAX_SHOWN, Line, StyledSpan, format_message
from pychat.tui.text.names import Name, fitted
from pychat.tui.text.names import line as one_line

GROUP_SECONDS: Final = 300
"""Messages of one sender share a heading within a period of this length, which begins at a multiple
of it: the time shown is off by less than this."""
MAX_TEXT_WIDTH: Final = 100
"""Cells. Longer rows are hard to read, even in a wide terminal."""
MIN_NICK: Final = 6
MAX_NICK: Final = 14
"""Cells for a sender in the compact layout."""
STATE_WIDTH: Final = 3
"""Cells reserved at the right end for the delivery state of the user's messages."""
SENDER_STYLES: Final = 6
QUOTE: Final = "quote:"
"""Prefix of the style names of quotes; the seq of the quoted message follows."""

FILE: Final = "file"
"""Style name of the row of a file, which a click saves."""

GLYPHS: Final = {
    DeliveryStatus.SENDING: "◌",
    DeliveryStatus.SENT: "✓",
    DeliveryStatus.DELIVERED: "✓✓",
    DeliveryStatus.READ: "✓✓",
    DeliveryStatus.FAILED: "✗",
}


@dataclass(slots=True)
class Row:
    """One row: ``text`` with styled ``spans``; ``state`` is drawn at the right end."""

    text: str = ""
    spans: list[StyledSpan] = field(default_factory=list)
    kind: Literal["blank", "day", "new", "head", "text", "note"] = "text"
    joint: str = "\n"
    """Text between this row and the next in the message: nothing, a space or a newline."""
    state: DeliveryStatus | None = None
    before: list[tuple[str, str]] = field(default_factory=list)
    """Texts with their styles to the left of ``text``, which no selection copies."""
    hit: bool = False
    """Whether the search is at this message: a bar is drawn before it, visible in every theme."""


@dataclass(slots=True)
class ReaderContext:
    """What the layout of messages depends on besides the messages: the reader."""

    clock: Clock
    sender_name: Callable[[str], Name]
    compact: bool = False
    """Whether time and sender are beside each message instead of above a group."""
    new_after: int | None = None
    """Seq above the line of new messages; None for no line."""
    delivered_seq: int = 0
    read_seq: int = 0
    """The peer's cursor, like ``delivered_seq``."""
    highlight: tuple[str, ...] = ()
    """Words of the search, casefolded."""
    hit: int = 0
    """Seq of the message that the search is at."""

    def skip_own(self, messages: Iterable[MessageInfo]) -> None:
        """Move the line of new messages below the user's own and removed messages.

        Call this with messages in ascending order before they are shown.
        """
        for message in messages:
            nothing_new = message.own or message.removed
            if self.new_after is not None and nothing_new and message.seq == self.new_after + 1:
                self.new_after = message.seq


def delivery(message: MessageInfo, reading: ReaderContext) -> DeliveryStatus | None:
    """Return the delivery state of the user's message; None for messages of others."""
    if not message.own or message.removed:
        return None
    if not message.seq:
        return message.delivery or DeliveryStatus.SENDING
    if message.seq <= reading.read_seq:
        return DeliveryStatus.READ
    if message.seq <= reading.delivered_seq:
        return DeliveryStatus.DELIVERED
    if message.delivery in (DeliveryStatus.DELIVERED, DeliveryStatus.READ):
        return message.delivery
    return DeliveryStatus.SENT


def sender_style(sender: str) -> str:
    """Return the style of a sender, the same in every run."""
    return f"sender-{sum(map(ord, sender)) % SENDER_STYLES}"


def nick_width(width: int) -> int:
    """Return the cells for senders beside the messages in a log of this width."""
    return min(MAX_NICK, max(MIN_NICK, text_width(width) // 5))


def text_width(width: int) -> int:
    """Return the cells for text in a log of this width, without margins (2 + 1)."""
    return max(1, min(width - 3 - STATE_WIDTH, MAX_TEXT_WIDTH))


def rows_of(
    message: MessageInfo,
    previous: MessageInfo | None,
    width: int,
    reading: ReaderContext,
    removed: int = 1,
) -> list[Row]:
    """Return the rows of a message, with the day, line and heading above it.

    ``previous``: the message from ``Transcript.above``. ``width``: of the log, in cells.
    ``removed``: number of consecutive removed messages from this one on; the first one has a row
    for all of them.
    """
    if message.removed:
        if previous is not None and previous.removed:
            return []
        return _removed(removed)[1 if reading.compact else 0 :]
    cells = text_width(width)
    beside = _beside(message, width, reading) if reading.compact else []
    rows = _above(message, previous, cells, reading)
    above = len(rows)
    cells = max(1, cells - sum(cell_len(text) for text, _ in beside))
    if message.reply_to is not None:
        rows.append(_quote(message.reply_to, cells, reading))
    text = _wrapped(format_message(safe_text(message.text[:MAX_SHOWN])), cells)
    for id in message.mentions:
        for row in text:
            _mark_mention(row, id, "mention" if message.mentioned else "mention-other")
    rows += text if message.text or message.file is None else []
    if message.file is not None:
        rows += _notes(f"↓ {safe_text(message.file.line, multiline=False)}", FILE, cells)
    if len(message.text) > MAX_SHOWN:
        more = f"… {len(message.text) - MAX_SHOWN:,} more characters"
        rows.append(Row(more, [(0, len(more), "faint")], kind="note"))
    state = delivery(message, reading)
    rows[-1].state = state
    rows += _changes(message, cells)
    if state is DeliveryStatus.FAILED:
        reason = safe_text(message.error, multiline=False) or "not sent"
        rows += _notes(reason, "error", cells)
    if beside:
        _hang(rows[above:], beside)
    if reading.highlight:
        at_hit = 0 < reading.hit == message.seq
        for row in rows:
            if row.kind == "text":
                row.hit = at_hit
                for word in reading.highlight:
                    _mark(row, word, "hit" if at_hit else "match")
    return rows


def _beside(message: MessageInfo, width: int, reading: ReaderContext) -> list[tuple[str, str]]:
    """Return time and sender as they are beside a message: ``09:05 bob       ``."""
    cells = nick_width(width)
    name = reading.sender_name(message.sender)
    # Without an alias, or with the id beside it: nobody can look like somebody else.
    called = fitted(name.id or name.called, cells)
    style = "own" if message.own else sender_style(message.sender)
    return [
        (f"{reading.clock.time(message.sent_at)} ", "faint"),
        (called + " " * (cells - cell_len(called)), style),
        ("  ", ""),
    ]


def _hang(rows: list[Row], beside: list[tuple[str, str]]) -> None:
    """Put texts to the left of the first row, and an indent of their width before the others."""
    indent = " " * sum(cell_len(text) for text, _ in beside)
    for number, row in enumerate(rows):
        row.before = [(indent, "")] if number else beside


def _quote(quote: QuoteInfo, cells: int, reading: ReaderContext) -> Row:
    """Return the row above an answer: what it answers."""
    if not quote.sender:
        text = "↪ a message that you cannot read"
    else:
        text = f"↪ {reading.sender_name(quote.sender).called}: {one_line(quote.text)}"
    text = fitted(text, cells)
    return Row(text, [(0, len(text), f"{QUOTE}{quote.seq}")], kind="note")


def _changes(message: MessageInfo, cells: int) -> list[Row]:
    """Return the rows below a text: its reactions, and that it was edited."""
    parts = [f"{one_line(each.emoji)} {each.count}" for each in message.reactions]
    if message.edited is not None:
        parts.append("edited")
    return _notes("  ".join(parts), "faint", cells) if parts else []


def _notes(text: str, style: str, cells: int) -> list[Row]:
    """Return the rows of a text that is not the message's own."""
    return [
        Row(text[start:end], [(0, end - start, style)], kind="note")
        for start, end in wrap(text, cells)
    ]


def _removed(count: int) -> list[Row]:
    """Return the rows for removed messages. The server tells neither sender nor time."""
    text = "1 message hidden" if count == 1 else f"{count:,} messages hidden"
    return [Row(kind="blank"), Row(text, [(0, len(text), "faint")], kind="note")]


def _above(
    message: MessageInfo, previous: MessageInfo | None, cells: int, reading: ReaderContext
) -> list[Row]:
    clock = reading.clock
    rows: list[Row] = []
    new_day = previous is None or clock.day(previous.sent_at) != clock.day(message.sent_at)
    is_new = (
        previous is not None
        and reading.new_after is not None
        and 0 < previous.seq <= reading.new_after < message.seq
    )
    gap = [] if reading.compact else [Row(kind="blank")]
    if new_day:
        day = clock.long_day(message.sent_at)
        rows += [*gap, Row(day, [(0, len(day), "day")], kind="day")]
    if is_new:
        rows += [*gap, Row("new", [(0, 3, "new")], kind="new")]
    if reading.compact:
        return rows
    if (
        new_day
        or is_new
        or previous is None
        or previous.sender != message.sender
        or message.sent_at // GROUP_SECONDS != previous.sent_at // GROUP_SECONDS
    ):
        rows += [Row(kind="blank"), _head(message, cells, reading)]
    return rows


def _head(message: MessageInfo, cells: int, reading: ReaderContext) -> Row:
    time = reading.clock.time(message.sent_at)
    name = reading.sender_name(message.sender).fitted(max(8, cells - len(time) - 2))
    style = "own" if message.own else sender_style(message.sender)
    # The id has its own style, which no alias can imitate.
    beside = f" {name.id}" if name.id else ""
    text = f"{name.called}{beside}  {time}"
    return Row(
        text, [(0, len(name.called), style), (len(name.called), len(text), "faint")], kind="head"
    )


def _wrapped(lines: list[Line], width: int) -> list[Row]:
    rows: list[Row] = []
    for line in lines:
        breaks = fold(line.text, width) if line.code else wrap(line.text, width)
        begun = 0  # spans are in order: those before this index end before the row begins
        for number, (start, end) in enumerate(breaks):
            last = number == len(breaks) - 1
            joint = "\n" if last else line.text[end : breaks[number + 1][0]]
            while begun < len(line.spans) and line.spans[begun][1] <= start:
                begun += 1
            spans: list[StyledSpan] = []
            index = begun
            while index < len(line.spans) and line.spans[index][0] < end:
                first, to, style = line.spans[index]
                spans.append((max(first, start) - start, min(to, end) - start, style))
                index += 1
            rows.append(Row(line.text[start:end], spans, joint=joint))
    return rows


def _mark_mention(row: Row, id: str, style: str) -> None:
    """Highlight ``@`` and an id, as far as they are in one row."""
    needle = f"@{safe_text(id, multiline=False)}".casefold()
    haystack = row.text.casefold()
    if len(haystack) != len(row.text):
        return
    start = haystack.find(needle)
    while start != -1:
        end = start + len(needle)
        around = haystack[max(0, start - 1) : start] + haystack[end : end + 1]
        if not any(character.isalnum() or character == "_" for character in around):
            row.spans.append((start, end, style))
        start = haystack.find(needle, end)


def _mark(row: Row, needle: str, style: str) -> None:
    """Highlight a search word, unless casefolding changes lengths and thereby positions."""
    haystack = row.text.casefold()
    if len(haystack) != len(row.text):
        return
    start = haystack.find(needle)
    while start != -1:
        row.spans.append((start, start + len(needle), style))
        start = haystack.find(needle, start + len(needle))
