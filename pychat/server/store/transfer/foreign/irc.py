"""Logs of IRC channels, as WeeChat and irssi write them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final, Literal

from msgspec import Struct

from pychat.server.store.base import StoreError
from pychat.server.store.transfer.foreign.collecting import Collector
from pychat.server.store.transfer.foreign.files import Files

Format = Literal["weechat", "irssi"]

MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
MODES: Final = "~&@%+! "
"""Characters before a nick that show its rank in the channel."""
SUFFIXES: Final = (".weechatlog", ".log", ".txt")
_CODES: Final = dict.fromkeys(b"\x02\x0f\x11\x16\x1d\x1e\x1f")
"""Codes that switch bold, italic and the like."""


class Entry(Struct):
    """One entry of a log. ``gone``: a nick that joined or left, and is somebody else's from now on.
    ``text``: of a message; the new nick of a change; what was left out."""

    kind: Literal["message", "action", "renamed", "gone", "opened", "other"]
    place: str
    at: int = 0
    nick: str = ""
    text: str = ""


def collect_logs(files: Files, collector: Collector, format: Format, encoding: str) -> None:
    """Collect all logs of channels, each in a room. Times without a zone are local times.

    Logs of one channel in several files are read in the order of the files' names. Raises
    StoreError.
    """
    parse = _weechat if format == "weechat" else _irssi
    for channel, names in _channels(files, collector).items():
        collector.begin_room(channel, channel)
        people = _People(collector)
        for name in names:
            for entry in parse(files, name, encoding):
                people.take(entry)


def _channels(files: Files, collector: Collector) -> dict[str, list[str]]:
    """Return the files of each channel, by its name with network."""
    channels: dict[str, list[str]] = {}
    for name in files.sizes:
        last = PurePosixPath(name).name
        if not last.endswith(SUFFIXES) and len(files.sizes) > 1:
            collector.leave_out("files that are not logs", name)
            continue
        begins = [i for i in (last.find("#"), last.find("&")) if i >= 0]
        if begins:
            channel = last[min(begins) :]
        elif len(files.sizes) == 1:
            channel = last
        else:
            collector.leave_out("logs of private messages and servers", name)
            continue
        for suffix in SUFFIXES:
            channel = channel.removesuffix(suffix)
        channels.setdefault(_without_date(channel).lstrip("#&"), []).append(name)
    if not channels:
        raise StoreError("there is no log of a channel: the name of its file contains #channel")
    return channels


def _without_date(name: str) -> str:
    """Remove the date at the end of the name of a rotated log."""
    shorter = name.rstrip("0123456789-_.")
    return shorter if shorter.strip("#&") and len(name) - len(shorter) >= len("-2020") else name


class _People:
    """Who has which nick now. A change of the nick stays the same person until it is gone."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._now: dict[str, str] = {}
        """Folded nick → the nick that the person had first."""

    def take(self, entry: Entry) -> None:
        key = _folded(entry.nick)
        match entry.kind:
            case "message":
                self._collector.say(self._person(entry.nick), entry.at, entry.text)
            case "action":
                self._collector.say(self._person(entry.nick), entry.at, f"_{entry.text}_")
            case "renamed":
                self._now[_folded(entry.text)] = self._now.pop(key, entry.nick)
            case "gone":
                self._now.pop(key, None)
                self._collector.leave_out("joins and leaves", entry.place)
            case "opened":
                self._now.clear()
            case "other":
                self._collector.leave_out(entry.text, entry.place)

    def _person(self, nick: str) -> str:
        first = self._now.get(_folded(nick), nick)
        return self._collector.person(_folded(first), first)


def _weechat(files: Files, name: str, encoding: str) -> Iterator[Entry]:
    """``date TAB prefix TAB text``, where the prefix is a nick or a mark of an event."""
    for place, line in files.lines(name, encoding):
        if not line.strip():
            continue
        parts = line.split("\t", 2)
        if len(parts) != 3:
            raise StoreError(
                f"{place} is not a line of a WeeChat log, which has a date, a nick and a text"
                " separated by tabs"
            )
        at, mark, text = _iso(parts[0], place), parts[1].strip(), plain(parts[2])
        words = text.split()
        if mark in ("-->", "<--"):
            gone = words[3:4] if words[1:3] == ["has", "kicked"] else words[:1]
            yield Entry("gone", place, nick="".join(gone))
        elif mark == "--" and words[1:5] == ["is", "now", "known", "as"] and len(words) == 6:
            yield Entry("renamed", place, nick=words[0], text=words[5])
        elif mark in ("--", "", "=!=", "==="):
            if text.strip(" *\t"):
                yield Entry("other", place, text="notices, topics and modes")
        elif mark == "*":
            yield _said("action", place, at, words[0] if words else "", text)
        else:
            yield _said("message", place, at, mark, text)


def _irssi(files: Files, name: str, encoding: str) -> Iterator[Entry]:
    """``time <nick> text``; the date is in lines of their own."""
    day: datetime | None = None
    for place, line in files.lines(name, encoding):
        if not line.strip():
            continue
        if line.startswith("--- "):
            words = line.split()
            if words[1:3] not in (["Log", "opened"], ["Log", "closed"], ["Day", "changed"]):
                raise StoreError(f"{place}: neither the log's beginning or end nor a new day")
            day = _date(words[3:], place)
            if words[1] == "Log":
                yield Entry("opened", place)
            continue
        time, _, rest = line.partition(" ")
        if day is None:
            raise StoreError(
                f"{place} has no date before it: an irssi log begins with '--- Log opened'"
            )
        at = _milliseconds(_clock(day, time, place), place)
        yield _irssi_entry(place, at, plain(rest))


def _irssi_entry(place: str, at: int, rest: str) -> Entry:
    if rest.startswith("<") and ">" in rest:
        nick, _, text = rest[1:].partition("> ")
        return _said("message", place, at, nick.removesuffix(">"), text)
    if rest.startswith(" * "):
        return _said("action", place, at, rest[3:].partition(" ")[0], rest[3:])
    if rest.startswith("-!- "):
        words = rest.split()[1:]
        if words[1:5] == ["is", "now", "known", "as"] and len(words) == 6:
            return Entry("renamed", place, nick=words[0], text=words[5])
        if any(word in words[1:5] for word in ("joined", "left", "quit", "kicked")):
            return Entry("gone", place, nick=words[0])
    return Entry("other", place, text="notices, topics and modes")


def _said(kind: Literal["message", "action"], place: str, at: int, nick: str, text: str) -> Entry:
    nick = nick.lstrip(MODES)
    if nick and text.strip():
        return Entry(kind, place, at, nick, text)
    return Entry("other", place, text="messages without a sender or text")


def plain(text: str) -> str:
    """Remove the codes for colours and bold text."""
    parts = text.split("\x03")
    without = parts[0] + "".join(part[_colour(part) :] for part in parts[1:])
    return without.translate(_CODES)


def _colour(text: str) -> int:
    """Return the length of a colour at the beginning: ``4``, ``04`` or ``4,12``."""
    end = _digits(text, 0)
    if end and text[end : end + 1] == ",":
        second = _digits(text, end + 1)
        return second if second > end + 1 else end
    return end


def _digits(text: str, start: int) -> int:
    end = start
    while end < start + 2 and "0" <= text[end : end + 1] <= "9":
        end += 1
    return end


def _folded(nick: str) -> str:
    """Return the form in which nicks are equal on IRC (RFC 2812, section 2.2)."""
    return nick.lower().translate(str.maketrans("[]\\~", "{}|^"))


def _iso(text: str, place: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise StoreError(f"{place}: not a date like 2020-01-31 12:30:00: {text[:40]!r}") from None
    return _milliseconds(moment, place)


def _date(words: list[str], place: str) -> datetime:
    """Read ``Wed Jan 15 10:20:30 2020`` or ``Wed Jan 15 2020``."""
    try:
        return datetime(int(words[-1]), MONTHS.index(words[1]) + 1, int(words[2]))
    except (ValueError, IndexError, OverflowError):
        raise StoreError(
            f"{place}: not a date like Wed Jan 15 2020: {' '.join(words)[:40]!r}"
        ) from None


def _clock(day: datetime, text: str, place: str) -> datetime:
    """Read ``10:20``, ``10:20:30`` or the same in brackets."""
    parts = text.removeprefix("[").removesuffix("]").split(":")
    try:
        if len(parts) not in (2, 3) or not all(len(p) == 2 and p.isascii() for p in parts):
            raise ValueError
        hour, minute, second = (int(part) for part in (*parts, "0")[:3])
        return day.replace(hour=hour, minute=minute, second=second)
    except ValueError:
        raise StoreError(f"{place}: not a time like 10:20: {text[:40]!r}") from None


def _milliseconds(moment: datetime, place: str) -> int:
    try:
        at = int(moment.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        at = -1
    if at < 0:
        raise StoreError(f"{place}: the date is before 1970 or after 9999")
    return at
