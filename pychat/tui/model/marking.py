"""Marking: what somebody had in view is read; the cursor passes no message that nobody saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pychat.tui.log.viewport import OpenTranscript

if TYPE_CHECKING:
    from pychat.client.models import ConversationInfo

Run = tuple[int, int]
"""The first and the last seq of messages that follow each other."""


@dataclass(slots=True)
class _Seen:
    """Of one conversation."""

    runs: list[Run] = field(default_factory=list)
    """What was seen beyond the cursor, ascending, never touching each other."""
    caught_up: int = 0
    """The last seq at which nothing was unread."""


class Marking:
    """Is told what is in view, and tells how far all is read."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._name = ""
        self._view: Run = (0, 0)
        self._passed: Run = (0, 0)
        """What was in view in one go, scrolled through without a gap, and is not settled yet."""

    def in_view(self, name: str, view: Run, *, looking: bool) -> bool:
        """These messages are in view now; ``looking``: of somebody. False if they do not go on
        from those before: ``settle`` has to wait anew."""
        before, passed = self._view, self._passed
        goes_on = looking and name == self._name
        if goes_on and view[0] == before[0] and view[1] < before[1] == passed[1]:
            self._passed = passed[0], view[1]  # covered by a longer composer
        elif goes_on and view[0] <= passed[1] + 1 and view[1] >= passed[0] - 1:
            self._passed = min(view[0], passed[0]), max(view[1], passed[1])
        else:
            self._passed, goes_on = view, False
        self._name, self._view = name, view
        return goes_on

    def settle(self, conversation: ConversationInfo, opened: OpenTranscript) -> int:
        """What has been in view for a while is seen: the last seq up to which all is read."""
        seen = self._seen.setdefault(conversation.name, _Seen())
        if conversation.name == self._name and self._passed[0] <= self._passed[1]:
            seen.runs = _with(seen.runs, self._passed)
            self._passed = self._view
        cursor = self._advanced(seen, conversation, opened)
        if cursor >= conversation.last_seq:
            seen.caught_up = cursor
        return cursor

    def _advanced(self, seen: _Seen, conversation: ConversationInfo, opened: OpenTranscript) -> int:
        cursor = max(conversation.read_seq, conversation.first_seq - 1)
        moved = True
        while moved:
            moved = False
            while seen.runs and seen.runs[0][0] <= cursor + 1:
                cursor = max(cursor, seen.runs.pop(0)[1])
                moved = True
            past = opened.transcript.past_own(cursor)
            moved = moved or past > cursor
            cursor = past
        return min(cursor, conversation.last_seq)

    def slipped_by(self, conversation: ConversationInfo, opened: OpenTranscript) -> bool:
        """Whether messages came, and went out of view again unseen, after all had been read."""
        seen = self._seen.get(conversation.name)
        new_after = opened.reading.new_after
        return (
            seen is not None
            and bool(seen.runs)
            and (new_after is None or new_after < seen.caught_up)
        )

    def forget(self, name: str) -> None:
        """Its seqs stand for other messages now."""
        self._seen.pop(name, None)
        if name == self._name:
            self._name = ""


def _with(runs: list[Run], new: Run) -> list[Run]:
    """Those and one more; what touches is put together."""
    first, last = new
    apart: list[Run] = []
    for run in runs:
        if run[1] + 1 < first or last + 1 < run[0]:
            apart.append(run)
        else:
            first, last = min(first, run[0]), max(last, run[1])
    return sorted([*apart, (first, last)])
