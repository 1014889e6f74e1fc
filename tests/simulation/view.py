"""View: what a client of protocol 1 has, put together from lists, pages and events."""

from __future__ import annotations

from typing import Any


class Shown:
    """One conversation: its messages by seq (None: removed), and its line in the list."""

    def __init__(self, listed: Any) -> None:
        self.listed = listed
        self.key = 0
        self.told = listed["firstSeq"] - 1
        self.messages: dict[int, str | None] = {}
        self.rev = listed["rev"]
        self.revs: dict[int, int] = {}
        """Of the messages."""

    def moved(self, kind: str, seq: int) -> None:
        """Another device has moved the user's cursor. What is unread is in the next list."""
        fields = ("deliveredSeq", "readSeq") if kind == "read" else ("deliveredSeq",)
        for field in fields:
            self.listed[field] = max(self.listed[field], seq)

    def add(self, entry: Any) -> bool:
        """False if messages before it are missing."""
        key, seq = entry["id"].split("-")
        self.key = self.key or int(key)
        seq = int(seq)
        if seq > self.told + 1:
            return False
        if seq == self.told + 1:
            self.told = seq
        # A message that a block hides has no rev.
        if entry.get("removed") or entry.get("rev", 0) >= self.revs.get(seq, 0):
            self.messages[seq] = None if entry.get("removed") else entry["data"]
            self.revs[seq] = entry.get("rev", 0)
        return True

    def change(self, event: Any) -> bool:
        """False if changes before it are missing."""
        rev, seq = event["rev"], event.get("seq")
        if rev > self.rev + 1:
            return False
        if rev > self.rev:
            self.rev = rev
            if seq in self.messages and rev > self.revs[seq]:
                self.revs[seq] = rev
                if event.get("removed"):
                    self.messages[seq] = None
                elif "data" in event:
                    self.messages[seq] = event["data"]
        return True


class View:
    """Everything the client could show, and what it has to ask for."""

    def __init__(self) -> None:
        self.shown: dict[str, Shown] = {}
        self.online: dict[str, bool] = {}
        self.rooms: dict[str, str] | None = None
        """Owners by id, as last told."""

    def list(self, entries: list[Any]) -> list[str]:
        """The names of conversations of which something is missing."""
        names = {entry["with"] for entry in entries}
        self.shown = {name: shown for name, shown in self.shown.items() if name in names}
        missing = []
        for entry in entries:
            name = entry["with"]
            shown = self.shown.get(name)
            if shown is None or self._is_another(shown, entry):
                shown = self.shown[name] = Shown(entry)
            shown.listed = entry
            self.online[name] = entry["online"]
            if entry["lastSeq"] > shown.told:
                missing.append(name)
        return missing

    @staticmethod
    def _is_another(shown: Shown, entry: Any) -> bool:
        if (
            entry["rev"] > shown.rev
            or shown.told > entry["lastSeq"]
            or shown.told < entry["firstSeq"] - 1
        ):
            return True
        if entry["firstSeq"] != shown.listed["firstSeq"]:
            return True
        last = entry["last"]
        return last is not None and shown.key not in (0, int(last["id"].split("-")[0]))
