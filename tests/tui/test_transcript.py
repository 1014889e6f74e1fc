"""Order, places and heights of a transcript, whatever comes in which order."""

from __future__ import annotations

import random

from pychat.client.models import DeliveryStatus, MessageInfo
from pychat.tui.log.transcript import CHUNK_SIZE, PENDING_KEY, Transcript
from pychat.tui.log.viewport import Heights


def stored(seq: int, text: str = "") -> MessageInfo:
    return MessageInfo(
        "bob", "bob", text or f"message {seq}", f"c{seq}", seq=seq, sent_at=float(seq)
    )


def pending(number: int) -> MessageInfo:
    return MessageInfo("bob", "me", "mine", f"p{number}", own=True, delivery=DeliveryStatus.SENDING)


def seqs(transcript: Transcript) -> list[int]:
    return [message.seq for message in transcript]


def test_messages_stand_by_seq_however_they_arrive() -> None:
    numbers = list(range(1, 1001))
    random.Random(4).shuffle(numbers)
    transcript = Transcript()
    for number in numbers:
        transcript.add(stored(number))
    assert seqs(transcript) == list(range(1, 1001))
    assert len(transcript) == 1000
    assert max(len(chunk.messages) for chunk in transcript.chunks) <= 2 * CHUNK_SIZE


def test_the_same_seq_again_replaces() -> None:
    transcript = Transcript()
    transcript.add(stored(1))
    transcript.add(stored(1, "other"))
    assert [message.text for message in transcript] == ["other"]
    assert len(transcript) == 1


def test_the_outbox_stays_last() -> None:
    transcript = Transcript()
    transcript.add(pending(1))
    transcript.add(stored(1))
    transcript.add(pending(2))
    transcript.add(stored(2))
    assert seqs(transcript) == [1, 2, 0, 0]
    assert transcript.find_pending("p2") == 1
    transcript.remove_pending(0)
    assert seqs(transcript) == [1, 2, 0]
    assert transcript.last_seq == 2


def test_older_pages_go_in_front_without_doubles() -> None:
    transcript = Transcript()
    for seq in range(201, 301):
        transcript.add(stored(seq))
    transcript.add_older([stored(seq) for seq in range(101, 211)])
    transcript.add_older([stored(seq) for seq in range(1, 101)])
    assert seqs(transcript) == list(range(1, 301))
    assert transcript.first_seq == 1


def test_a_key_finds_its_message_after_pages_came_in_front() -> None:
    transcript = Transcript()
    for seq in range(500, 900):
        transcript.add(stored(seq))
    transcript.add(pending(1))
    transcript.add_older([stored(seq) for seq in range(1, 500)])
    position = transcript.position(700)
    assert position is not None
    assert transcript.chunks[position[0]].messages[position[1]].seq == 700
    assert transcript.position(PENDING_KEY) == (len(transcript.chunks) - 1, 0)
    assert transcript.position(PENDING_KEY + 1) is None


def rows(message: MessageInfo, previous: MessageInfo | None) -> int:
    return 1 + message.seq % 3


def test_rows_lead_to_the_messages_that_hold_them() -> None:
    transcript = Transcript()
    for seq in range(1, 701):
        transcript.add(stored(seq))
    heights = Heights(transcript, rows, 40)
    for chunk in range(len(transcript.chunks)):
        heights.exact(chunk)
    expected = [(message.seq, row) for message in transcript for row in range(1 + message.seq % 3)]
    assert heights.total == len(expected)
    for row in random.Random(1).sample(range(len(expected)), 200):
        located = heights.locate(row)
        assert located is not None
        chunk, index, within = located
        assert (transcript.chunks[chunk].messages[index].seq, within) == expected[row]
        assert heights.row_of(chunk, index) == row - within
    assert heights.locate(len(expected)) is None


def test_heights_follow_what_is_added_at_both_ends() -> None:
    transcript = Transcript()
    heights = Heights(transcript, rows, 40)
    for seq in range(300, 400):
        heights.grew(*transcript.add(stored(seq)))
    added = transcript.add_older([stored(seq) for seq in range(1, 300)])
    heights.changed(0, added + 1)
    for chunk in range(len(transcript.chunks)):
        heights.exact(chunk)
    assert heights.total == sum(1 + seq % 3 for seq in range(1, 400))
