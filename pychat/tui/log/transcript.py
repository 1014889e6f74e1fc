"""Transcript: the loaded messages of one conversation, in chunks for operations in short time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import ClassVar, Final

from pychat.client.models import MessageInfo

CHUNK_SIZE: Final = 64
PENDING_KEY: Final = 1 << 54
"""Key of the first message without a seq, above every seq (``protocol.Seq``)."""


class Chunk:
    """At most twice ``CHUNK_SIZE`` consecutive messages with their heights.

    ``heights``: rows of each message, None until measured; ``height`` is an estimate until then.
    """

    __slots__ = ("height", "heights", "length", "messages")

    def __init__(self, messages: list[MessageInfo]) -> None:
        self.messages = messages
        self.heights: list[int] | None = None
        self.height = 0
        self.length: int | None = None
        """Characters of all messages; None until counted."""


class Transcript:
    """Stored messages by seq without a gap, followed by the outbox in the order of writing.

    A position is (chunk, index in the chunk). ``chunks[-1]`` is the outbox, which may be empty.
    """

    MAX_HELD: ClassVar[int] = 2_000
    """Maximum number of loaded messages, see ``let_go``."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = [Chunk([])]
        self.reaches_end = True
        """False if newer messages, and the outbox, were evicted."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[MessageInfo]:
        for chunk in self.chunks:
            yield from chunk.messages

    @property
    def first_seq(self) -> int:
        """Seq of the oldest loaded message; 0 if there is none."""
        return self.chunks[0].messages[0].seq if len(self.chunks) > 1 else 0

    @property
    def last_seq(self) -> int:
        """Seq of the newest loaded message; 0 if there is none."""
        return self.chunks[-2].messages[-1].seq if len(self.chunks) > 1 else 0

    def holds(self, seq: int) -> bool:
        """Whether the message with this seq is loaded."""
        return 0 < self.first_seq <= seq <= self.last_seq

    @property
    def pending(self) -> list[MessageInfo]:
        """The outbox: the user's messages that the server has not stored."""
        return self.chunks[-1].messages

    def key(self, chunk: int, index: int) -> int:
        """Return a key for the message at a position. Keys ascend and survive insertions."""
        if chunk == len(self.chunks) - 1:
            return PENDING_KEY + index
        return self.chunks[chunk].messages[index].seq

    def position(self, key: int) -> tuple[int, int] | None:
        """Return the position of this key or the next one; None past the end."""
        if key >= PENDING_KEY:
            index = key - PENDING_KEY
            return (len(self.chunks) - 1, index) if index < len(self.pending) else None
        chunk = self._chunk_of(key)
        index = bisect_right(self.chunks[chunk].messages, key - 1, key=_seq)
        return self._normal(chunk, index)

    def at(self, chunk: int, index: int) -> MessageInfo:
        """Return the message at a position."""
        return self.chunks[chunk].messages[index]

    def step(self, place: tuple[int, int] | None, by: int) -> tuple[int, int] | None:
        """Return the next position (``by`` 1) or the previous one (-1) of a message that is not
        removed; None at the end. Without a place, the last message comes before it."""
        at = (len(self.chunks), 0) if place is None else place
        while True:
            chunk, index = at[0], at[1] + by
            while not 0 <= index < self._size(chunk):
                chunk += by
                if not 0 <= chunk < len(self.chunks):
                    return None
                index = 0 if by > 0 else self._size(chunk) - 1
            at = chunk, index
            if not self.at(*at).removed:
                return at

    def _size(self, chunk: int) -> int:
        return len(self.chunks[chunk].messages) if chunk < len(self.chunks) else 0

    def after(self, chunk: int, index: int) -> tuple[int, int] | None:
        """Return the next position."""
        return self._normal(chunk, index + 1)

    def before(self, chunk: int, index: int) -> MessageInfo | None:
        """Return the message before a position."""
        if index:
            return self.chunks[chunk].messages[index - 1]
        return self.chunks[chunk - 1].messages[-1] if chunk else None

    def above(self, chunk: int, index: int) -> MessageInfo | None:
        """Return the previous message for the layout, without removed ones in between."""
        previous = self.before(chunk, index)
        if self.chunks[chunk].messages[index].removed:
            return previous
        while previous is not None and previous.removed:
            if index == 0:
                chunk -= 1
                index = len(self.chunks[chunk].messages)
            index -= 1
            previous = self.before(chunk, index)
        return previous

    def removed_from(self, chunk: int, index: int) -> int:
        """Return the number of consecutive removed messages from a position on."""
        count = 0
        at: tuple[int, int] | None = (chunk, index)
        while at is not None and self.chunks[at[0]].messages[at[1]].removed:
            count += 1
            at = self.after(*at)
        return count

    def _normal(self, chunk: int, index: int) -> tuple[int, int] | None:
        while index >= len(self.chunks[chunk].messages):
            chunk, index = chunk + 1, 0
            if chunk == len(self.chunks):
                return None
        return chunk, index

    def _chunk_of(self, seq: int) -> int:
        """Return the chunk that a stored seq belongs to; the outbox if there is no other."""
        stored = len(self.chunks) - 1
        found = bisect_right(self.chunks, seq, hi=stored, key=_first_seq) - 1
        return max(0, found)

    def takes(self, message: MessageInfo) -> bool:
        """Whether a message fits into the loaded ones; if not, scrolling there will fetch it."""
        return self.reaches_end or 0 < message.seq <= self.last_seq + 1

    def add(self, message: MessageInfo) -> tuple[int, int]:
        """Insert a message that ``takes`` accepts; return its position.

        It replaces a message with the same seq or, in the outbox, with the same client id.
        """
        if not message.seq:
            index = self.find_pending(message.client_id)
            if index is not None:
                self.pending[index] = message
                return len(self.chunks) - 1, index
            self.pending.append(message)
            self._count += 1
            return len(self.chunks) - 1, len(self.pending) - 1
        if len(self.chunks) == 1:
            self.chunks.insert(0, Chunk([message]))
            self._count += 1
            return 0, 0
        number = self._chunk_of(message.seq)
        messages = self.chunks[number].messages
        index = bisect_right(messages, message.seq, key=_seq)
        if index and messages[index - 1].seq == message.seq:
            messages[index - 1] = message
            return number, index - 1
        at_end = index == len(messages) and number == len(self.chunks) - 2
        if at_end and len(messages) >= CHUNK_SIZE:
            self.chunks.insert(number + 1, Chunk([message]))
            number, index = number + 1, 0
        else:
            messages.insert(index, message)
            if len(messages) > 2 * CHUNK_SIZE:
                self._split(number)
                if index >= CHUNK_SIZE:
                    number, index = number + 1, index - CHUNK_SIZE
        self._count += 1
        return number, index

    def _split(self, number: int) -> None:
        messages = self.chunks[number].messages
        halves = [Chunk(messages[:CHUNK_SIZE]), Chunk(messages[CHUNK_SIZE:])]
        self.chunks[number : number + 1] = halves

    def add_older(self, messages: Iterable[MessageInfo]) -> int:
        """Insert older messages, oldest first; return the number of new chunks.

        Messages that are not older than the loaded ones are ignored.
        """
        first = self.first_seq or PENDING_KEY
        older = [message for message in messages if 0 < message.seq < first]
        new = [
            Chunk(older[start : start + CHUNK_SIZE]) for start in range(0, len(older), CHUNK_SIZE)
        ]
        self.chunks[:0] = new
        self._count += len(older)
        return len(new)

    def let_go(self, chunk: int) -> bool:
        """Evict a quarter of the messages if there are more than ``MAX_HELD``; True if any.

        Whole chunks are evicted at the end that is farther from ``chunk``, which stays, as do its
        neighbours.
        """
        if self._count <= self.MAX_HELD:
            return False
        keep = self.MAX_HELD * 3 // 4
        before = self._count
        stored = len(self.chunks) - 1
        if chunk * 2 >= stored:
            first, count = 0, self._count
            while first < min(chunk - 1, stored - 1) and count > keep:
                count -= len(self.chunks[first].messages)
                first += 1
            del self.chunks[:first]
        else:
            self.pending.clear()
            self.reaches_end = False
            last, count = stored, sum(len(each.messages) for each in self.chunks)
            while last > chunk + 2 and count > keep:
                last -= 1
                count -= len(self.chunks[last].messages)
            del self.chunks[last:-1]
        self._count = count
        return count < before

    def after_seq(self, seq: int) -> Iterator[MessageInfo]:
        """Yield the stored messages after a seq, ascending."""
        at = self.position(seq + 1)
        while at is not None and at[0] < len(self.chunks) - 1:
            yield self.chunks[at[0]].messages[at[1]]
            at = self.after(*at)

    def past_own(self, seq: int) -> int:
        """Return the last seq of the user's own and removed messages that follow a seq directly."""
        for message in self.after_seq(seq):
            if message.seq != seq + 1 or not (message.own or message.removed):
                break
            seq += 1
        return seq

    def newest(self) -> Iterator[MessageInfo]:
        """Yield all messages, newest first."""
        for chunk in reversed(self.chunks):
            yield from reversed(chunk.messages)

    def own_texts(self, limit: int = 100) -> list[str]:
        """Return the texts of the user's last messages, oldest first."""
        own = (message.text for message in islice(self.newest(), 2000) if message.own)
        return list(reversed(list(islice(own, limit))))

    def find_pending(self, client_id: str) -> int | None:
        """Return the index in ``pending`` of a message, or None."""
        for index in range(len(self.pending) - 1, -1, -1):
            if self.pending[index].client_id == client_id:
                return index
        return None

    def remove_pending(self, index: int) -> None:
        """Remove a message from the outbox: it was stored or discarded."""
        del self.pending[index]
        self._count -= 1


def _seq(message: MessageInfo) -> int:
    return message.seq


def _first_seq(chunk: Chunk) -> int:
    return chunk.messages[0].seq
