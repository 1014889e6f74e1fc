"""ReadMarks: what was in view is read; the read cursor never passes a message that was not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pychat.tui.log.viewport import OpenTranscript

if TYPE_CHECKING:
    from pychat.client.models import ConversationInfo

Run = tuple[int, int]
"""First and last seq of consecutive messages."""


@dataclass(slots=True)
class _Seen:
    """What was seen of one conversation."""

    runs: list[Run] = field(default_factory=list)
    """Messages seen beyond the cursor: ascending runs that neither overlap nor touch."""
    caught_up: int = 0
    """The last seq at which nothing was unread."""


class ReadMarks:
    """Compute read cursors from the messages in view.

    The caller reports what is in view (``in_view``) and, when it has been in view for a moment,
    asks for the cursor (``settle``).
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._name = ""
        self._view: Run = (0, 0)
        self._passed: Run = (0, 0)
        """Messages that were in view without a gap since the last ``settle``."""

    def in_view(self, name: str, view: Run, *, looking: bool) -> bool:
        """Report the messages in view. ``looking``: the user can see them.

        Returns False if they do not continue the previous ones: the delay before ``settle`` starts
        again.
        """
        before, passed = self._view, self._passed
        continues = looking and name == self._name
        if continues and view[0] == before[0] and view[1] < before[1] == passed[1]:
            self._passed = passed[0], view[1]  # a growing composer covers the last ones
        elif continues and view[0] <= passed[1] + 1 and view[1] >= passed[0] - 1:
            self._passed = min(view[0], passed[0]), max(view[1], passed[1])
        else:
            self._passed, continues = view, False
        self._name, self._view = name, view
        return continues

    def settle(self, conversation: ConversationInfo, opened: OpenTranscript) -> int:
        """Count what was in view as seen; return the seq up to which everything is read."""
        seen = self._seen.setdefault(conversation.name, _Seen())
        if conversation.name == self._name and self._passed[0] <= self._passed[1]:
            seen.runs = _merged(seen.runs, self._passed)
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

    def missed(self, conversation: ConversationInfo, opened: OpenTranscript) -> bool:
        """Whether messages that arrived after everything was read went out of view unseen."""
        seen = self._seen.get(conversation.name)
        new_after = opened.reading.new_after
        return (
            seen is not None
            and bool(seen.runs)
            and (new_after is None or new_after < seen.caught_up)
        )

    def forget(self, name: str) -> None:
        """Drop what was seen of a conversation: its seqs now belong to other messages."""
        self._seen.pop(name, None)
        if name == self._name:
            self._name = ""


def _merged(runs: list[Run], new: Run) -> list[Run]:
    """Add a run to ascending runs, joined with those that it overlaps or touches."""
    first, last = new
    apart: list[Run] = []
    for run in runs:
        if run[1] + 1 < first or last + 1 < run[0]:
            apart.append(run)
        else:
            first, last = min(first, run[0]), max(last, run[1])
    return sorted([*apart, (first, last)])
