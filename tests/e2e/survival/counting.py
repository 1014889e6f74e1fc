"""What a store has after all, held against what everybody was told and shown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pychat.server.store import open_store
from pychat.server.store.transfer.exporting import check, read_store
from pychat.server.store.transfer.lines import ConversationLine, MessageLine
from tests.e2e.survival.people import Ledger


@dataclass
class Counts:
    """``lost``: messages that were acknowledged, but are not stored at that seq; that are sent
    again until they are stored, but are not; that are stored and were not refused, but were not
    shown to every recipient. ``kept``: stored although they were refused. ``repeated``: given
    again to an original page, which gets messages at least once."""

    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    kept: int = 0
    stored: int = 0
    shown: int = 0
    lost: int = 0
    doubled: int = 0
    gaps: int = 0
    disordered: int = 0
    repeated: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        numbers = [f"{name} {value}" for name, value in vars(self).items() if name != "problems"]
        return "\n    ".join([", ".join(numbers), *self.problems[:20]])

    def lose(self, texts: Iterable[str], how: str) -> None:
        for text in texts:
            self.lost += 1
            self.problems.append(f"lost: {text!r} {how}")

    def assert_nothing_wrong(self) -> None:
        wrong = (self.lost, self.doubled, self.gaps, self.disordered, len(self.problems))
        assert wrong == (0, 0, 0, 0, 0), str(self)


@dataclass
class Stored:
    """One conversation as the store has it."""

    line: ConversationLine
    messages: list[MessageLine] = field(default_factory=list)

    def name_for(self, reader: str) -> str:
        """What that reader calls it; empty for a pair that is not the reader's."""
        if self.line.kind != "pair":
            return self.line.name
        if reader not in self.line.between:
            return ""
        others = [id for id in self.line.between if id != reader]
        return others[0] if others else reader


async def read_all(address: str) -> tuple[list[Stored], list[str]]:
    """Every conversation of a store that no server holds, and what is wrong with it."""
    store = open_store(address)
    await store.open()
    try:
        problems = [problem async for problem in check(store) if problem]
        conversations: list[Stored] = []
        async for line in read_store(store):
            match line:
                case ConversationLine():
                    conversations.append(Stored(line))
                case MessageLine():
                    conversations[-1].messages.append(line)
    finally:
        await store.close()
    return conversations, problems


async def count_all(address: str, ledger: Ledger) -> Counts:
    """Opens the store and compares."""
    conversations, problems = await read_all(address)
    counts = Counts(
        sent=len(ledger.sent),
        acknowledged=len(ledger.acknowledged),
        refused=len(ledger.refused),
        problems=problems,
    )
    places = Counter[str]()
    for conversation in conversations:
        seqs = [message.seq for message in conversation.messages]
        counts.stored += len(seqs)
        counts.gaps += seqs != list(range(1, len(seqs) + 1))
        counts.disordered += _disordered([message.data for message in conversation.messages])
        for message in conversation.messages:
            places[message.data] += 1
            if ledger.acknowledged.get(message.data, 0) not in (0, message.seq):
                counts.lose([message.data], f"is at {message.seq}, not where it was said to be")
    counts.kept = len(ledger.refused & places.keys())
    if not address.startswith("mongodb:"):
        counts.problems += [f"refused, but stored: {t}" for t in ledger.refused & places.keys()]
    counts.doubled += sum(number - 1 for number in places.values())
    counts.lose((ledger.acknowledged.keys() | ledger.resent) - places.keys(), "is not stored")
    for reader in ledger.shown:
        _count_shown(counts, reader, ledger, conversations)
    for reader in ledger.given:
        _count_given(counts, reader, ledger, conversations)
    return counts


def _count_shown(counts: Counts, reader: str, ledger: Ledger, conversations: list[Stored]) -> None:
    for conversation in conversations:
        shown = ledger.shown[reader].get(conversation.name_for(reader), [])
        seqs = [seq for seq, _ in shown]
        expected = {
            (message.seq, message.data)
            for message in conversation.messages
            if conversation.name_for(reader)
        }
        lost = {text for _, text in expected - set(shown)} - ledger.refused
        counts.lose(lost, f"was not shown to {reader}")
        counts.shown += len(shown)
        counts.doubled += len(seqs) - len(set(seqs))
        counts.gaps += sorted(set(seqs)) != list(range(1, len(set(seqs)) + 1))
        counts.disordered += seqs != sorted(seqs)
        counts.problems += [f"{reader} was shown {text}" for text in set(shown) - expected]


def _count_given(counts: Counts, reader: str, ledger: Ledger, conversations: list[Stored]) -> None:
    texts = ledger.given[reader]
    stored = {message.data for each in conversations for message in each.messages}
    expected = {
        message.data
        for conversation in conversations
        if conversation.line.kind == "pair" and conversation.name_for(reader)
        for message in conversation.messages
        if message.sender != reader
    }
    counts.lose(expected - ledger.refused - set(texts), f"was not given to {reader}")
    counts.repeated += len(texts) - len(set(texts))
    counts.problems += [f"{reader} was given {text}, not stored" for text in set(texts) - stored]
    first_time = list(dict.fromkeys(texts))
    counts.disordered += _disordered(first_time)


def _disordered(texts: list[str]) -> bool:
    """Whether of one writer something comes before what was written before it."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for text in texts:
        writer, _, number = text.rpartition(" ")
        numbers[writer].append(int(number))
    return any(each != sorted(each) for each in numbers.values())
