"""The messages of one conversation in order, in chunks, so that no operation walks them all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import ClassVar, Final

from pychat.client.models import MessageInfo

CHUNK_SIZE: Final = 64
PENDING_KEY: Final = 1 << 54
"""Above every seq (``protocol.Seq``): one's own messages that have none yet come last."""


class Chunk:
    """Up to twice ``CHUNK_SIZE`` messages that follow each other, and how high they are.

    ``heights`` are rows per message, None while nobody has looked; ``height`` is then a guess.
    """

    __slots__ = ("height", "heights", "length", "messages")

    def __init__(self, messages: list[MessageInfo]) -> None:
        self.messages = messages
        self.heights: list[int] | None = None
        self.height = 0
        self.length: int | None = None
        """Characters of all its messages, once counted."""


class Transcript:
    """A run of stored messages by seq, without a gap, then the outbox in the order of writing.

    A position is (chunk, index in it). ``chunks[-1]`` is always the outbox's, maybe empty.
    """

    MAX_HELD: ClassVar[int] = 2_000
    """More messages than this are never kept: ``let_go``."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = [Chunk([])]
        self.reaches_end = True
        """False: what is newer was let go, and the outbox with it."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[MessageInfo]:
        for chunk in self.chunks:
            yield from chunk.messages

    @property
    def first_seq(self) -> int:
        """Seq of the oldest message that is here, 0 while there is none."""
        return self.chunks[0].messages[0].seq if len(self.chunks) > 1 else 0

    @property
    def last_seq(self) -> int:
        """Seq of the newest stored message that is here, 0 while there is none."""
        return self.chunks[-2].messages[-1].seq if len(self.chunks) > 1 else 0

    def holds(self, seq: int) -> bool:
        """Whether the message with this seq is here."""
        return 0 < self.first_seq <= seq <= self.last_seq

    @property
    def pending(self) -> list[MessageInfo]:
        """One's own messages that the server has not stored."""
        return self.chunks[-1].messages

    def key(self, chunk: int, index: int) -> int:
        """A number for the message there that grows downwards and outlives insertions above."""
        if chunk == len(self.chunks) - 1:
            return PENDING_KEY + index
        return self.chunks[chunk].messages[index].seq

    def position(self, key: int) -> tuple[int, int] | None:
        """Where the message with this key is, or the nearest after it; None past the end."""
        if key >= PENDING_KEY:
            index = key - PENDING_KEY
            return (len(self.chunks) - 1, index) if index < len(self.pending) else None
        chunk = self._chunk_of(key)
        index = bisect_right(self.chunks[chunk].messages, key - 1, key=_seq)
        return self._normal(chunk, index)

    def after(self, chunk: int, index: int) -> tuple[int, int] | None:
        """The next position."""
        return self._normal(chunk, index + 1)

    def before(self, chunk: int, index: int) -> MessageInfo | None:
        """The message before a position."""
        if index:
            return self.chunks[chunk].messages[index - 1]
        return self.chunks[chunk - 1].messages[-1] if chunk else None

    def above(self, chunk: int, index: int) -> MessageInfo | None:
        """The message that one looks like it comes after: what is removed stands for itself, the
        others come after the last one that is not."""
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
        """How many removed messages follow each other from a position on."""
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
        """The chunk where a stored seq is or would be put; the outbox's if there is no other."""
        stored = len(self.chunks) - 1
        found = bisect_right(self.chunks, seq, hi=stored, key=_first_seq) - 1
        return max(0, found)

    def takes(self, message: MessageInfo) -> bool:
        """Whether it has its place in this run; else it is met on scrolling there."""
        return self.reaches_end or 0 < message.seq <= self.last_seq + 1

    def add(self, message: MessageInfo) -> tuple[int, int]:
        """Puts a message that it ``takes`` where it belongs and tells where; the same seq again
        replaces it, or, in the outbox, the same client id."""
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
        """Puts messages before all that are here, oldest first; those that are not older are
        left out. Tells how many chunks were put in front."""
        first = self.first_seq or PENDING_KEY
        older = [message for message in messages if 0 < message.seq < first]
        new = [
            Chunk(older[start : start + CHUNK_SIZE]) for start in range(0, len(older), CHUNK_SIZE)
        ]
        self.chunks[:0] = new
        self._count += len(older)
        return len(new)

    def let_go(self, chunk: int) -> bool:
        """Where more than ``MAX_HELD`` messages are here, lets a quarter of them go: whole chunks,
        at the end that is farther from ``chunk``, which stays with its neighbours. True if any."""
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
        """Stored messages after this one, ascending."""
        at = self.position(seq + 1)
        while at is not None and at[0] < len(self.chunks) - 1:
            yield self.chunks[at[0]].messages[at[1]]
            at = self.after(*at)

    def past_own(self, seq: int) -> int:
        """The seq before the next message that there is something new to read in: one's own and
        removed ones are passed over."""
        for message in self.after_seq(seq):
            if message.seq != seq + 1 or not (message.own or message.removed):
                break
            seq += 1
        return seq

    def newest(self) -> Iterator[MessageInfo]:
        """All of it, newest first."""
        for chunk in reversed(self.chunks):
            yield from reversed(chunk.messages)

    def own_texts(self, limit: int = 100) -> list[str]:
        """One's own last messages, oldest first."""
        own = (message.text for message in islice(self.newest(), 2000) if message.own)
        return list(reversed(list(islice(own, limit))))

    def find_pending(self, client_id: str) -> int | None:
        """Index in ``pending`` of one's own message."""
        for index in range(len(self.pending) - 1, -1, -1):
            if self.pending[index].client_id == client_id:
                return index
        return None

    def remove_pending(self, index: int) -> None:
        """Takes a message out of the outbox: stored now, or discarded."""
        del self.pending[index]
        self._count -= 1


def _seq(message: MessageInfo) -> int:
    return message.seq


def _first_seq(chunk: Chunk) -> int:
    return chunk.messages[0].seq
