"""MessageCursor: the message that the user has selected in the log."""

from __future__ import annotations

from pychat.client.models import MessageInfo
from pychat.tui.log.transcript import Transcript


class MessageCursor:
    """Remember one message by its seq or, until it is stored, by its client id.

    A message that is removed, or no longer loaded, is not selected any more.
    """

    def __init__(self) -> None:
        self._seq = 0
        self._client_id = ""

    def select(self, message: MessageInfo | None) -> None:
        """Select a message; None selects nothing."""
        self._seq = 0 if message is None else message.seq
        self._client_id = "" if message is None else message.client_id

    def changed(self, message: MessageInfo) -> None:
        """Follow the selected message into the history when it is stored."""
        if not self._seq and message.client_id and message.client_id == self._client_id:
            self._seq = message.seq

    def position(self, transcript: Transcript) -> tuple[int, int] | None:
        """Return the position of the selected message; None if there is none."""
        if self._seq:
            found = transcript.position(self._seq)
            if found is None or transcript.key(*found) != self._seq:
                return None
        else:
            pending = transcript.find_pending(self._client_id) if self._client_id else None
            if pending is None:
                return None
            found = len(transcript.chunks) - 1, pending
        return None if transcript.at(*found).removed else found

    def message(self, transcript: Transcript) -> MessageInfo | None:
        """Return the selected message; None if there is none."""
        found = self.position(transcript)
        return None if found is None else transcript.at(*found)
