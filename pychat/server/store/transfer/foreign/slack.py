"""Slack's export of a workspace: people, channels, direct messages and what was said in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from pychat.protocol import MAX_REACTION_KINDS, MAX_REACTIONS, ProtocolError, check_emoji
from pychat.server.store.base import StoreError
from pychat.server.store.transfer.foreign.collecting import Collector
from pychat.server.store.transfer.foreign.files import Files, decoded
from pychat.server.store.transfer.lines import YEAR_10000
from pychat.slacktext import slack_text

MESSAGES: Final = ("", "bot_message", "me_message", "thread_broadcast", "file_share")
"""Subtypes that somebody said. All others tell of joins, topics, pins and the like."""


class _Profile(Struct, frozen=True):
    display_name: str | None = ""
    real_name: str | None = ""


class _User(Struct):
    id: str
    name: str = ""
    deleted: bool = False
    real_name: str | None = ""
    profile: _Profile = _Profile()


class _Text(Struct):
    value: str = ""


class _Channel(Struct):
    id: str
    name: str = ""
    creator: str = ""
    members: list[str] = []
    is_archived: bool = False
    topic: _Text | None = None


class _Reaction(Struct):
    name: str
    users: list[str] = []
    count: int = 0


class _Edited(Struct):
    ts: str = ""


class _File(Struct):
    name: str | None = ""
    title: str | None = ""
    permalink: str | None = ""


class _Attachment(Struct):
    pretext: str | None = ""
    title: str | None = ""
    text: str | None = ""
    fallback: str | None = ""


class _Message(Struct):
    ts: str
    subtype: str | None = ""
    user: str | None = ""
    bot_id: str | None = ""
    username: str | None = ""
    text: str | None = ""
    thread_ts: str | None = ""
    edited: _Edited | None = None
    reactions: list[_Reaction] | None = None
    files: list[_File | None] | None = None
    attachments: list[_Attachment] | None = None
    user_profile: _Profile | None = None


_users: Final = msgspec.json.Decoder(list[_User])
_channels: Final = msgspec.json.Decoder(list[_Channel])
_day: Final[msgspec.json.Decoder[list[msgspec.Raw]]] = msgspec.json.Decoder(list[msgspec.Raw])
_message: Final = msgspec.json.Decoder(_Message)


def collect_slack(files: Files, collector: Collector, emoji: Callable[[str], str]) -> None:
    """Collect an export. Public channels become rooms, direct messages conversations of two.

    Private channels and direct messages of several people are left out: rooms are public.
    ``emoji`` replaces the names of emoji in a text (``:tada:``), except those it does not know.
    Raises StoreError.
    """
    _Slack(files, collector, emoji).collect()


class _Slack:
    def __init__(self, files: Files, collector: Collector, emoji: Callable[[str], str]) -> None:
        self._files = files
        self._collector = collector
        self._emoji = emoji
        self._root = self._find_root()
        self._people: dict[str, str] = {}
        """User id → login id."""
        self._rooms: dict[str, str] = {}
        """Channel id → name."""
        self._days: dict[str, list[str]] = {}
        """Folder → its files, in the order of their dates."""
        for name in files.sizes:
            folder, _, file = name.removeprefix(self._root).partition("/")
            if name.startswith(self._root) and file.endswith(".json") and "/" not in file:
                self._days.setdefault(folder, []).append(name)

    def collect(self) -> None:
        for user in self._list("users.json", _users) or self._list("org_users.json", _users):
            profile = user.profile
            self._people[user.id] = self._collector.person(
                user.id,
                user.name or user.id,
                alias=profile.display_name or profile.real_name or user.real_name or "",
                disabled=user.deleted,
            )
        channels = self._list("channels.json", _channels)
        self._rooms = {channel.id: channel.name for channel in channels}
        for channel in channels:
            self._channel(channel)
        for channel in self._list("dms.json", _channels):
            self._direct(channel)
        for name, kind in (
            ("groups.json", "private channels"),
            ("mpims.json", "direct messages of several people"),
        ):
            for channel in self._list(name, _channels):
                self._collector.leave_out(kind, channel.name or channel.id)

    def _find_root(self) -> str:
        """Return the folder of the export in the zip file or folder, empty or with its slash."""
        found = [name for name in self._files.sizes if name.split("/")[-1] == "channels.json"]
        roots = [name.removesuffix("channels.json") for name in found if name.count("/") <= 1]
        if len(roots) != 1 and "" not in roots:
            raise StoreError("there is no channels.json: this is not an export of Slack")
        return "" if "" in roots else roots[0]

    def _list(self, name: str, decoder: msgspec.json.Decoder[list[Any]]) -> list[Any]:
        path = self._root + name
        if path not in self._files.sizes:
            return []
        return decoded(decoder, self._files.read(path), path)

    def _channel(self, channel: _Channel) -> None:
        members = [self._people[id] for id in channel.members if id in self._people]
        self._collector.begin_room(
            channel.name or channel.id,
            channel.name,
            owner=self._people.get(channel.creator, ""),
            members=members,
        )
        if channel.is_archived:
            self._collector.leave_out("marks of archived channels", channel.name)
        if channel.topic is not None and channel.topic.value:
            self._collector.leave_out("topics", channel.name)
        self._conversation(channel.name)

    def _direct(self, channel: _Channel) -> None:
        ids = [self._person(id) for id in channel.members]
        if not 1 <= len(ids) <= 2:
            self._collector.leave_out("direct messages without two people", channel.id)
            return
        self._collector.begin_pair(ids[0], ids[-1])
        self._conversation(channel.id)

    def _conversation(self, folder: str) -> None:
        threads: dict[str, int] = {}
        """Time stamp of the first message of each thread → its seq."""
        for name in self._days.get(folder, ()):
            messages = decoded(_day, self._files.read(name), name)
            for number, raw in enumerate(messages, 1):
                place = f"{name}, message {number}"
                self._take(decoded(_message, bytes(raw), place), threads, place)

    def _take(self, message: _Message, threads: dict[str, int], place: str) -> None:
        if (message.subtype or "") not in MESSAGES:
            self._collector.leave_out("joins, topics and other notices", place)
            return
        text = "\n".join(self._texts(message, place))
        if not text.strip():
            self._collector.leave_out("messages without text", place)
            return
        thread = message.thread_ts or ""
        is_reply = bool(thread) and thread != message.ts
        if is_reply and thread not in threads:
            self._collector.leave_out("beginnings of threads (they are not in the export)", place)
        seq = self._collector.say(
            self._sender(message, place),
            _milliseconds(message.ts, place),
            text,
            reply_to=threads.get(thread) if is_reply else None,
            edited_at=_milliseconds(message.edited.ts, place) if message.edited else None,
            reactions=self._reactions(message, place),
        )
        if thread and not is_reply:
            threads[thread] = seq

    def _reactions(self, message: _Message, place: str) -> list[tuple[str, str]]:
        """Return the emoji and login id of each reaction, within the server's limits."""
        found: dict[tuple[str, str], None] = {}
        kinds: set[str] = set()
        number = 0
        for reaction in message.reactions or ():
            emoji = self._one_emoji(reaction.name)
            number += max(reaction.count, len(reaction.users))
            if emoji and len(kinds | {emoji}) <= MAX_REACTION_KINDS:
                kinds.add(emoji)
                found |= dict.fromkeys((emoji, self._person(user)) for user in reaction.users)
        kept = list(found)[:MAX_REACTIONS]
        if number > len(kept):
            self._collector.leave_out("reactions", place, number - len(kept))
        return kept

    def _one_emoji(self, name: str) -> str:
        """Return the emoji of a name like ``+1`` or ``wave::skin-tone-2``, the name in colons if
        it is unknown, or nothing if it is not valid."""
        try:
            return check_emoji(self._emoji(f":{name.partition('::')[0]}:"))
        except ProtocolError:
            return ""

    def _sender(self, message: _Message, place: str) -> str:
        if message.user:
            profile = message.user_profile or _Profile()
            return self._person(message.user, profile.display_name or profile.real_name or "")
        if message.bot_id or message.username:
            name = message.username or message.bot_id or ""
            return self._collector.person(f"bot {name}", name)
        raise StoreError(f"{place} has no sender: user, bot_id and username are missing")

    def _person(self, user: str, alias: str = "") -> str:
        """Return the login id of a user, who may be missing in users.json (a guest, a bot)."""
        if user not in self._people:
            self._people[user] = self._collector.person(user, alias or user, alias=alias)
        return self._people[user]

    def _texts(self, message: _Message, place: str) -> Iterator[str]:
        text = self._readable(message.text or "")
        if message.subtype == "me_message":
            text = f"_{text}_"
        if text:
            yield text
        for attachment in message.attachments or ():
            parts = [attachment.pretext, attachment.title, attachment.text]
            shown = [self._readable(part) for part in parts if part]
            yield from shown or filter(None, [self._readable(attachment.fallback or "")])
        for file in message.files or ():
            if file is None or not (file.name or file.title or file.permalink):
                continue  # deleted, or hidden by the workspace's plan
            self._collector.leave_out("files (their names and links are in the messages)", place)
            # The part after ? may be a key to the file.
            link = (file.permalink or "").partition("?")[0]
            yield " ".join(filter(None, ["📎", file.title or file.name, link]))

    def _readable(self, text: str) -> str:
        """Return the text that Slack shows, with emoji for their names outside of code."""
        pieces = slack_text(text, self._people, self._rooms).split("`")
        # Every second piece is code.
        return "`".join(
            piece if number % 2 else self._emoji(piece) for number, piece in enumerate(pieces)
        )


def _milliseconds(ts: str, place: str) -> int:
    """Convert ``1579104500.000200``, seconds and microseconds, without rounding."""
    seconds, _, fraction = ts.partition(".")
    digits = seconds + (fraction + "000")[:3]
    is_number = seconds.isdigit() and digits.isascii() and digits.isdigit() and len(digits) <= 15
    if not is_number or int(digits) >= YEAR_10000:
        raise StoreError(f"{place}: ts is not a time: {ts[:40]!r}")
    return int(digits)
