"""People, rooms and messages of a foreign chat, collected and given out as lines of an export."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

from msgspec import UNSET, Struct

from pychat.protocol import (
    EVERYONE,
    MAX_ALIAS_CHARACTERS,
    MAX_DATA_BYTES,
    MAX_ID_CHARACTERS,
    ROOM_PREFIX,
    SCREEN_NAMES,
    ProtocolError,
    canonical_id,
    check_new_id,
)
from pychat.server.store.base import StoreError
from pychat.server.store.lookalikes import lookalike_form
from pychat.server.store.transfer.lines import (
    AccountLine,
    ConversationLine,
    End,
    Header,
    Line,
    MemberLine,
    MessageLine,
    ReactionLine,
    Total,
    encoder,
)
from pychat.visible import visible


class _Conversation(Struct):
    """``start``, ``size``: place of its messages in the spool file, in bytes."""

    line: ConversationLine
    members: set[str]
    start: int
    size: int = 0
    messages: int = 0
    rev: int = 0
    sha256: str = ""


class Collector:
    """Takes people, rooms and messages in the order of the source, and yields the lines.

    The same source always gives the same lines, so that the import can be repeated. Conversations
    come one after the other: messages belong to the one that was begun last. Messages go to
    ``spool``, a temporary file, because the lines of the accounts come first.
    ``owner``: id of the account that owns rooms without a known owner.
    """

    def __init__(self, spool: IO[bytes], owner: str) -> None:
        self._spool = spool
        self._owner = owner
        self._accounts: dict[str, AccountLine] = {}
        self._account_ids = _Ids()
        self._room_ids = _Ids()
        self._conversations: list[_Conversation] = []
        self._digest = hashlib.sha256()
        self._first_at: int | None = None
        self.unmapped: dict[str, tuple[int, str]] = {}
        """What the lines do not have: kind → number, and place of the first one."""

    def person(
        self,
        key: str,
        name: str,
        *,
        alias: str = "",
        disabled: bool = False,
        created_at: int | None = None,
        password_hash: str | None = None,
    ) -> str:
        """Return the id of the account for ``key``, and create it from ``name`` if it is new.

        ``created_at``: by default the time of the first message of all.
        """
        known = self._accounts.get(key)
        if known is not None:
            return known.id
        id = self._account_ids.new(name)
        self._accounts[key] = AccountLine(
            id=id,
            alias=visible(alias)[:MAX_ALIAS_CHARACTERS].strip() or id,
            password_hash=password_hash,
            disabled=disabled,
            created_at=-1 if created_at is None else created_at,
            last_seen_at=None,
            sessions=[],
            blocked=[],
        )
        return id

    def begin_room(
        self, name: str, title: str, *, owner: str = "", members: Iterable[str] = ()
    ) -> str:
        """Begin a room and return its id. ``owner``, ``members``: ids of accounts."""
        line = ConversationLine(
            "room",
            [],
            room_id=self._room_ids.new(name),
            room_name=visible(title)[:MAX_ALIAS_CHARACTERS].strip() or name,
            room_owner=owner,
        )
        self._begin(line, set(members))
        return line.room_id

    def begin_pair(self, a: str, b: str) -> None:
        """Begin the conversation of two ids."""
        between = sorted((a, b), key=canonical_id)
        self._begin(ConversationLine("pair", [], between), set(between))

    def say(
        self,
        sender: str,
        sent_at: int,
        text: str,
        *,
        reply_to: int | None = None,
        edited_at: int | None = None,
        reactions: Sequence[tuple[str, str]] = (),
    ) -> int:
        """Add a message, in parts if it is too long, and return its seq.

        ``sent_at``, ``edited_at``: milliseconds since the epoch. ``reply_to``: the seq of the
        message that it answers. ``reactions``: emoji and id of each.
        """
        conversation = self._conversations[-1]
        conversation.members.add(sender)
        if self._first_at is None or sent_at < self._first_at:
            self._first_at = sent_at
        first = conversation.messages + 1
        for part in _parts(text):
            conversation.messages += 1
            line = MessageLine(conversation.messages, sender, None, sent_at, part)
            if line.seq == first:
                self._change(line, conversation, reply_to, edited_at, reactions)
            encoded = encoder.encode(line)
            self._digest.update(encoded)
            conversation.size += self._spool.write(encoded + b"\n")
        return first

    def _change(
        self,
        line: MessageLine,
        conversation: _Conversation,
        reply_to: int | None,
        edited_at: int | None,
        reactions: Sequence[tuple[str, str]],
    ) -> None:
        line.reply_to = reply_to or UNSET
        if edited_at:
            conversation.rev += 1
            line.edited_at = edited_at
        added = []
        for emoji, id in reactions:
            conversation.rev += 1
            added.append(ReactionLine(conversation.rev, emoji, id))
        line.reactions = added or UNSET
        line.rev = conversation.rev if edited_at or added else UNSET

    def leave_out(self, kind: str, place: str, number: int = 1) -> None:
        """Count something of the source that the lines do not have."""
        count, first = self.unmapped.get(kind, (0, place))
        self.unmapped[kind] = (count + number, first)

    @property
    def size(self) -> int:
        """Size of all messages, in bytes."""
        return sum(each.size for each in self._conversations)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of an export, including newlines, in the order of ``exporting``."""
        self._end()
        self._set_owners()
        digest = hashlib.sha256()
        accounts = sorted(self._accounts.values(), key=lambda line: canonical_id(line.id))
        total = Total(len(accounts), 1, 0, "")
        for each in accounts:
            if each.created_at < 0:
                each.created_at = self._first_at or 0
        everyone = ConversationLine("everyone", [MemberLine(a.id, 1, 0, 0) for a in accounts])

        def added(line: Line) -> bytes:
            encoded = encoder.encode(line) + b"\n"
            digest.update(encoded)
            return encoded

        yield added(Header())
        yield from map(added, accounts)
        yield added(everyone)
        yield added(End(0, hashlib.sha256().hexdigest()))
        for conversation in self._in_order():
            total.conversations += 1
            total.messages += conversation.messages
            last = conversation.messages
            conversation.line.members = [
                MemberLine(id, 1, last, last)
                for id in sorted(conversation.members, key=canonical_id)
            ]
            yield added(conversation.line)
            self._spool.seek(conversation.start)
            for _ in range(last):
                encoded = self._spool.readline()
                digest.update(encoded)
                yield encoded
            yield added(End(last, conversation.sha256))
        total.sha256 = digest.hexdigest()
        yield encoder.encode(total) + b"\n"

    def _set_owners(self) -> None:
        rooms = [each for each in self._conversations if each.line.kind == "room"]
        for each in rooms:
            each.line.room_owner = each.line.room_owner or self._default_owner()
            each.members.add(each.line.room_owner)

    def _default_owner(self) -> str:
        for line in self._accounts.values():
            if canonical_id(line.id) == canonical_id(self._owner):
                return line.id
        id = self.person(f"\0{self._owner}", self._owner)
        if id != self._owner:
            raise StoreError(
                f"--owner {self._owner} looks like the id of another person: choose another"
            )
        return id

    def _begin(self, line: ConversationLine, members: set[str]) -> None:
        self._end()
        self._digest = hashlib.sha256()
        self._conversations.append(_Conversation(line, members, self._spool.tell()))

    def _end(self) -> None:
        if self._conversations:
            self._conversations[-1].sha256 = self._digest.hexdigest()

    def _in_order(self) -> list[_Conversation]:
        def key(each: _Conversation) -> list[str]:
            return [canonical_id(id) for id in each.line.between or [each.line.room_id]]

        rooms = [each for each in self._conversations if each.line.kind == "room"]
        pairs = [e for e in self._conversations if e.line.kind == "pair" and e.messages]
        return [*sorted(rooms, key=key), *sorted(pairs, key=key)]


class _Ids:
    """Unique ids, made from names of other programs."""

    def __init__(self) -> None:
        self._taken = {lookalike_form(id) for id in (EVERYONE, *SCREEN_NAMES)}
        self._same: Counter[str] = Counter()

    def new(self, name: str) -> str:
        """Return a valid id like ``name``, with a number at its end if one like it exists."""
        base = visible(unicodedata.normalize("NFC", name[: MAX_ID_CHARACTERS * 4]))
        base = base.lstrip(ROOM_PREFIX)[: MAX_ID_CHARACTERS - 10].strip()
        if not _is_valid(base):
            base = "".join(c for c in base if c.isalnum()) or "unnamed"
            base = base if _is_valid(base) or canonical_id(base) == "all" else "unnamed"
        form, id = lookalike_form(base), base
        while lookalike_form(id) in self._taken or not _is_valid(id):
            self._same[form] += 1
            id = f"{base}-{self._same[form] + 1}"
        self._taken.add(lookalike_form(id))
        return id


def _is_valid(id: str) -> bool:
    try:
        check_new_id(id, "id")
    except ProtocolError:
        return False
    return True


def _parts(text: str) -> Iterator[str]:
    """Divide a text that is too long for a message."""
    encoded = text.encode("utf-8", "replace")
    while len(encoded) > MAX_DATA_BYTES:
        part = encoded[:MAX_DATA_BYTES].decode("utf-8", "ignore")
        yield part
        encoded = encoded[len(part.encode()) :]
    yield encoded.decode()
