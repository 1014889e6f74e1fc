"""What crossed the server's ports and reached the disk, in order: what the invariants are about."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from pychat.server.chat.accounts.authentication import token_hash
from pychat.server.store.memory import MemoryStore
from pychat.server.store.records import (
    Appended,
    NewChange,
    NewEdit,
    NewMessage,
    NewRemoval,
    Outcome,
)
from tests.simulation.store import now

if TYPE_CHECKING:
    from tests.simulation.loop import SimulatedLoop
    from tests.simulation.network import Packet, ServerEnd

ACCEPTED = ("200", "202")
LEFT = 1 << 60
"""The first seq of somebody who may read nothing."""
UNDER_WAY_TICKS = 100
"""How long an edit that is stored may be on its way to its readers."""
ENDING_SECONDS = 2.0
"""How long after a login others may end for it."""


class Timeline:
    """A value that changes; it can be asked for what it was since some tick."""

    __slots__ = ("_ticks", "_values")

    def __init__(self, value: Any) -> None:
        self._ticks = [-1]
        self._values = [value]

    @property
    def value(self) -> Any:
        return self._values[-1]

    def set(self, tick: int, value: Any) -> None:
        if value != self._values[-1]:
            self._ticks.append(tick)
            self._values.append(value)

    def since(self, tick: int) -> list[Any]:
        """All that it was from that tick on, in order."""
        return self._values[bisect.bisect_right(self._ticks, tick) - 1 :]

    def between(self, tick: int, end: int) -> list[Any]:
        """All that it was from ``tick`` to ``end``."""
        ticks = self._ticks
        return self._values[bisect.bisect_right(ticks, tick) - 1 : bisect.bisect_right(ticks, end)]

    def lately(self, tick: int) -> list[Any]:
        """All that it was shortly before that tick."""
        return self.between(tick - UNDER_WAY_TICKS, tick)

    def periods(self, value: Any) -> list[tuple[int, int]]:
        """The first and last tick of each time that it was ``value``."""
        ends = [*(tick - 1 for tick in self._ticks[1:]), LEFT]
        times = zip(self._ticks, ends, self._values, strict=True)
        return [(start, end) for start, end, each in times if each == value]


class Request:
    """An event that the server has not answered yet."""

    __slots__ = ("data", "event", "evicted", "tick", "user")

    def __init__(self, event: str, data: Any, tick: int, user: str) -> None:
        self.event = event
        self.data = data
        self.tick = tick
        self.user = user
        self.evicted: list[bytes] = []
        """Tokens of other logins that ended while this login was under way."""


class Seen:
    """One connection, as the server has it."""

    __slots__ = (
        "baselines",
        "events",
        "got",
        "last_seq",
        "logged_in_at",
        "modern",
        "open",
        "original_login",
        "owner",
        "pending",
        "revs",
        "token",
        "user",
    )

    def __init__(self, owner: str) -> None:
        self.owner = owner
        """Whose client it is."""
        self.user = ""
        """Who is logged in."""
        self.modern = False
        self.token = b""
        self.logged_in_at = 0
        self.open = True
        self.pending: dict[int, Request] = {}
        self.original_login: Request | None = None
        self.last_seq: dict[int, int] = defaultdict(int)
        """By conversation: the highest in a message event or an answer."""
        self.got: dict[int, set[int]] = defaultdict(set)
        """By conversation: all of them."""
        self.revs: dict[int, tuple[int, int]] = {}
        """By conversation: the last rev in an event, and when."""
        self.baselines: dict[int, int] = {}
        """By conversation: what ``conversations`` said its last seq was, the first time."""


class Stored:
    """A message on the disk."""

    __slots__ = (
        "acknowledged",
        "arrived",
        "committed",
        "data",
        "doubtful",
        "file",
        "removed",
        "reply_to",
        "sender",
        "shown",
        "texts",
    )

    def __init__(self, new: NewMessage, arrived: int, committed: int) -> None:
        self.sender = new.sender
        self.data = new.data
        self.reply_to = new.reply_to
        self.file = new.file
        self.arrived = arrived
        self.committed = committed
        self.shown = LEFT
        """When somebody was first told of it."""
        self.acknowledged = False
        self.doubtful = False
        """The server was told that it could not be stored, or ended before it told anybody."""
        self.removed = Timeline(False)
        self.texts = Timeline(new.data)
        """``data`` is the first one."""


class Ledger:
    """Each happening has a tick of its own."""

    def __init__(self, disk: MemoryStore, loop: SimulatedLoop) -> None:
        self.disk = disk
        self.loop = loop
        self.tick = 0
        self.violations: list[str] = []
        self.ignored: frozenset[str] = frozenset()
        """Rules that are not looked at."""
        self.only: frozenset[str] = frozenset()
        """If there are any, the rules that are looked at."""
        self.trace: list[str] | None = None
        self.digest = 0
        self.ends: dict[ServerEnd, Seen] = {}
        self.messages: dict[int, list[Stored]] = defaultdict(list)
        self.changes: dict[tuple[int, int], NewChange] = {}
        """By conversation and rev."""
        self.doubtful_changes: set[int] = set()
        """Conversations of changes of which the server was told that they failed."""
        self.by_text: dict[str, tuple[int, int]] = {}
        """Conversation and seq."""
        self.files: dict[str, Appended] = {}
        """The messages that files are attached to."""
        self.kinds: dict[int, tuple[int, ...]] = {}
        self._arrived: dict[str, int] = {}
        self._first_seqs: dict[tuple[int, int], Timeline] = {}
        self.joining: dict[tuple[int, str], int] = defaultdict(int)
        self._blocks: dict[tuple[str, str], Timeline] = {}
        self._blocking: dict[tuple[str, str], int] = defaultdict(int)
        self.ever_blocked: set[tuple[int, int]] = set()
        self._doubtful_blocks: set[tuple[str, str]] = set()
        self.doubtful_rooms: set[tuple[int, int]] = set()
        self.last_seens: dict[tuple[str, str], tuple[int, str | None]] = {}
        """When somebody who is blocked asked, and was told of who blocks them."""
        self._tokens: dict[bytes, Timeline] = {}
        self.token_ids: dict[str, bytes] = {}
        self._told_tokens: set[bytes] = set()
        self._entered_at: dict[str, float] = {}
        self._entered: dict[str, int] = {}
        """When each user was last told a new token."""
        self.passwords: dict[str, Timeline] = {}
        self.disabled: dict[str, Timeline] = {}
        self._by_operator = False
        self._names: dict[int, str] = {}
        self._keys: dict[str, int] = {}

    def fail(self, rule: str, text: str) -> None:
        """A rule is broken: nothing more happens, unless this rule is left out."""
        if rule in self.ignored or (self.only and rule not in self.only):
            return
        self.note("BROKEN", rule, text)
        self.violations.append(f"{rule}: {text}")
        self.loop.end()

    def note(self, *what: Any) -> int:
        self.tick += 1
        self.digest = hash((self.digest, self.loop.steps)) & 0xFFFFFFFFFFFF
        if self.trace is not None:
            self.trace.append(f"{self.loop.time() - 1000:9.4f} {self.tick:5} " + _line(what))
        return self.tick

    # --- who and what there is ---

    def key(self, user: str) -> int:
        """0 while there is no such account."""
        key = self._keys.get(user)
        if key is None:
            account = now(self.disk.account(user))
            if account is None:
                return 0
            key = self._keys[user] = account.key
            self._names[key] = user
        return key

    def name(self, key: int) -> str:
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = now(self.disk.accounts([key]))[0].id
            self._keys[name] = key
        return name

    def pair(self, conversation: int) -> tuple[int, ...]:
        """The two accounts; empty for rooms and ALL."""
        accounts = self.kinds.get(conversation)
        if accounts is None:
            found = now(self.disk.conversations_by_key([conversation]))
            accounts = self.kinds[conversation] = found[0].accounts if found else ()
        return accounts

    def first_seq(self, conversation: int, account: int) -> Timeline:
        """Of rooms and ALL."""
        timeline = self._first_seqs.get((conversation, account))
        if timeline is None:
            timeline = self._first_seqs[conversation, account] = Timeline(LEFT)
            membership = now(self.disk.membership(conversation, account))
            if membership is not None:
                timeline.set(0, membership.first_seq)
        return timeline

    def block(self, user: str, other: str) -> Timeline:
        """Whether it is certain that the user has blocked the other (True) or not (False); None
        while that is being changed."""
        timeline = self._blocks.get((user, other))
        if timeline is None:
            timeline = self._blocks[user, other] = Timeline(self._blocked_on_disk(user, other))
        return timeline

    def _blocked_on_disk(self, user: str, other: str) -> bool:
        return self.key(other) in now(self.disk.blocked(self.key(user)))

    def token(self, hash: bytes) -> Timeline:
        """Whether it logs in."""
        timeline = self._tokens.get(hash)
        if timeline is None:
            timeline = self._tokens[hash] = Timeline(False)
        return timeline

    def logged_in(self, user: str) -> list[Seen]:
        return [seen for seen in self.ends.values() if seen.open and seen.user == user]

    # --- what the ports tell ---

    def requested(self, end: ServerEnd, event: str, body: bytes, ack_id: int | None) -> None:
        data = msgspec.json.decode(body)
        tick = self.note(end.user_agent, end.sid, "->", event, data, ack_id)
        seen = self.ends.get(end)
        if seen is None:
            seen = self.ends[end] = Seen(end.user_agent.partition("/")[0])
        request = Request(event, data, tick, seen.owner)
        if ack_id is not None:
            seen.pending[ack_id] = request
        elif event == "login":
            seen.original_login = request
        if event == "message":
            self._arrived.setdefault(data["data"], tick)
        elif event in ("block", "unblock"):
            pair = seen.owner, data["id"]
            self.block(*pair).set(tick, None)
            self._blocking[pair] += 1

    def answered(self, end: ServerEnd, ack_id: int, answer: Any) -> None:
        tick = self.note(end.user_agent, end.sid, "<-", ack_id, answer)
        seen = self.ends[end]
        request = seen.pending.pop(ack_id, None)
        if request is None:
            self.fail("one answer", f"{end.user_agent} was answered twice: {answer}")
            return
        code = answer["code"]
        if code == "500":
            self.fail("no 500", f"{request.event} {request.data} was answered {answer}")
        if request.event == "login" and code == "200":
            self._logged_in(seen, request, answer["token"], tick)
        elif request.event == "logout" and code == "200":
            seen.user, seen.token = "", b""
        elif request.event in ("block", "unblock"):
            self._block_answered((seen.owner, request.data["id"]), code, tick)
        self.check_answer(end, seen, request, answer, tick)

    def _logged_in(self, seen: Seen, request: Request, token: str, tick: int) -> None:
        seen.user = seen.owner
        seen.modern = request.data.get("protocol", 0) >= 1
        seen.token = token_hash(token) if token else b""
        if seen.token and seen.token not in self._told_tokens:
            self._told_tokens.add(seen.token)
            self._entered[seen.user] = tick
            self._entered_at[seen.user] = self.loop.time()
        seen.logged_in_at = tick
        seen.last_seq.clear()
        seen.got.clear()
        seen.revs.clear()
        seen.baselines.clear()

    def _block_answered(self, pair: tuple[str, str], code: str, tick: int) -> None:
        self._blocking[pair] -= 1
        if code.startswith("5"):
            self._doubtful_blocks.add(pair)
        elif code == "200" and not self._blocking[pair]:
            self._doubtful_blocks.discard(pair)
        if not self._blocking[pair] and pair not in self._doubtful_blocks:
            self.block(*pair).set(tick, self._blocked_on_disk(*pair))

    def sent(self, end: ServerEnd, packet: Packet) -> None:
        data = packet.data
        tick = self.note(end.user_agent, end.sid, "<<", packet.event, data)
        seen = self.ends[end]
        if packet.event == "response":
            login = seen.original_login
            if data["code"] == "500":
                self.fail("no 500", f"{end.user_agent} was answered {data}")
            if login is not None and data["command"] == "login" and data["code"] != "404":
                seen.original_login = None
                if data["code"] == "200":
                    self._logged_in(seen, login, "", tick)
                self.check_answer(end, seen, login, data, tick)
            return
        self.check_event(end, seen, packet.event, data, tick)

    def closed(self, end: ServerEnd) -> None:
        """By either side, or lost."""
        self.note(end.user_agent, end.sid, "closed")
        seen = self.ends.get(end)
        if seen is not None:
            seen.open = False

    def node_gone(self) -> None:
        """A server has stopped or crashed: what its memory had is forgotten."""
        tick = self.note("node gone")
        for log in self.messages.values():
            for stored in log:
                stored.doubtful = stored.doubtful or stored.shown == LEFT
        for seen in self.ends.values():
            seen.open = False
            for request in seen.pending.values():
                if request.event in ("block", "unblock"):
                    self._doubtful_blocks.add((seen.owner, request.data["id"]))
            seen.pending.clear()
        self._blocking.clear()
        for pair in self._doubtful_blocks:
            self.block(*pair).set(tick, self._blocked_on_disk(*pair))
        self._doubtful_blocks.clear()
        self.doubtful_rooms.clear()

    # --- what the store tells ---

    def committed(
        self,
        name: str,
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        result: Any,
        operator: bool,
    ) -> None:
        """``operator``: by one of their commands, and not by the server."""
        self._by_operator = operator
        tick = self.note("operator" if operator else "store", name, arguments, options, "=", result)
        record = getattr(self, f"_{name}", None)
        if record is not None:
            record(tick, arguments, options, result)

    def in_doubt(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        """It took effect, and the server is told that it failed."""
        self.note("store", name, "says that it failed")
        if name in ("append", "commit"):
            for new, where in zip(arguments[0], result, strict=True):
                if not isinstance(where, Appended):
                    self.doubtful_changes.add(new.conversation)
                    continue
                stored = self.messages[where.conversation][where.seq - 1]
                stored.doubtful = stored.doubtful or stored.shown == LEFT
        elif name in ("join_room", "leave_room", "set_standing"):
            self.doubtful_rooms.add(arguments[:2])
        elif name == "update_room":
            self.doubtful_rooms.add((arguments[0], 0))

    def _append(self, tick: int, arguments: Any, _: Any, result: Sequence[Any]) -> None:
        for new, where in zip(arguments[0], result, strict=True):
            if where.duplicate:
                continue
            log = self.messages[where.conversation]
            log.append(Stored(new, self._arrived.get(new.data, 0), tick))
            if new.file is not None and self.files.setdefault(new.file, where) is not where:
                self.fail("file", f"{new.file} is attached twice: {where}")
            if where.seq != len(log):
                self.fail("seq", f"seq {where.seq} of {where.conversation} follows {len(log) - 1}")
            before = self.by_text.get(new.data)
            if before is not None and now(self.disk.conversations_by_key(before[:1])):
                self.fail("client id", f"{new.data} is stored twice")
            self.by_text[new.data] = where.conversation, where.seq

    def _commit(self, tick: int, arguments: Any, _: Any, result: Sequence[Any]) -> None:
        for new, answer in zip(arguments[0], result, strict=True):
            if isinstance(new, NewMessage):
                if isinstance(answer, Appended):  # otherwise there is no such file
                    self._append(tick, ([new],), None, [answer])
            elif answer.outcome is Outcome.DONE:
                rev = answer.message.rev
                if rev > 1 and (new.conversation, rev - 1) not in self.changes:
                    self.fail("rev", f"rev {rev} of {new.conversation} follows a gap")
                if (new.conversation, rev) in self.changes:
                    self.fail("rev", f"rev {rev} of {new.conversation} is used twice")
                self.changes[new.conversation, rev] = new
                stored = self.messages[new.conversation][new.seq - 1]
                if isinstance(new, NewRemoval):
                    stored.removed.set(tick, True)
                elif isinstance(new, NewEdit):
                    stored.texts.set(tick, new.data)

    def _block(self, tick: int, arguments: Any, _: Any, result: None) -> None:
        self.ever_blocked.add(arguments[:2])

    def _create_room(self, tick: int, arguments: Any, _: Any, room: Any) -> None:
        self.kinds[room.conversation] = ()
        self._set_first_seq(tick, room.conversation, arguments[2], 1)

    def _join_room(self, tick: int, arguments: Any, _: Any, membership: Any) -> None:
        conversation, account = arguments
        self._set_first_seq(tick, conversation, account, membership.first_seq)

    def _leave_room(self, tick: int, arguments: Any, _: Any, result: None) -> None:
        conversation, account = arguments
        self._set_first_seq(tick, conversation, account, LEFT)

    def _delete_room(self, tick: int, arguments: Any, _: Any, result: None) -> None:
        for conversation, account in list(self._first_seqs):
            if conversation == arguments[0]:
                self._set_first_seq(tick, conversation, account, LEFT)

    def _set_first_seq(self, tick: int, conversation: int, account: int, seq: int) -> None:
        timeline = self.first_seq(conversation, account)
        if timeline.value != seq:
            timeline.set(tick, seq)
            for seen in self.ends.values():
                if seen.owner == self.name(account):
                    seen.baselines.pop(conversation, None)

    def _add_login_token(self, tick: int, arguments: Any, _: Any, result: None) -> None:
        session = arguments[0]
        self.token_ids[session.id] = session.token_hash
        self.token(session.token_hash).set(tick, True)

    def _revoke_login_tokens(self, tick: int, arguments: Any, _: Any, result: None) -> None:
        account, ids = arguments
        # A token that could not be stored is revoked as well: the server cannot know.
        hashes = [self.token_ids[id] for id in ids if id in self.token_ids]
        hashes = [hash for hash in hashes if self.token(hash).value]
        for hash in hashes:
            self.token(hash).set(tick, False)
        user = self.name(account)
        asked = [
            request
            for seen in self.ends.values()
            for request in (*seen.pending.values(), seen.original_login)
            if request is not None and request.user == user
            if request.event in ("login", "logout", "sessions")
        ]
        # A token that nobody was told is no login yet.
        hashes = [hash for hash in hashes if hash in self._told_tokens]
        if not hashes or self._by_operator:
            return
        if all(request.event == "login" for request in asked):
            since = [self._entered.get(user, tick), *(request.tick for request in asked)]
            self.check_eviction(user, min(since), hashes)
        # The last login ends those that are too many after it was answered.
        ending = self.loop.time() - self._entered_at.get(user, 0.0) < ENDING_SECONDS
        if len(asked) == 1 and not ending:
            asked[0].evicted += hashes

    def _update_account(self, tick: int, arguments: Any, options: Any, result: None) -> None:
        user = self.name(arguments[0])
        password = options.get("password_hash")
        if password is not None:
            text = password.partition(":")[2]
            if self._by_operator:
                self.passwords[user].set(tick, text)
            elif text != self.passwords[user].value:
                self.fail("password", f"the change of {user}'s password is undone")
        if options.get("disabled") is not None:
            self.disabled[user].set(tick, options["disabled"])

    def _rehash_password(self, tick: int, arguments: Any, _: Any, result: bool) -> None:
        account, _old, new = arguments
        if result and new.partition(":")[2] != self.passwords[self.name(account)].value:
            self.fail("password", f"the change of {self.name(account)}'s password is undone")

    def _create_account(self, tick: int, arguments: Any, _: Any, account: Any) -> None:
        password = (arguments[2] or "").partition(":")[2]
        self.passwords.setdefault(account.id, Timeline(password)).set(tick, password)
        self.disabled.setdefault(account.id, Timeline(False))

    # --- the rules ---

    def check_answer(
        self, end: ServerEnd, seen: Seen, request: Request, answer: Any, tick: int
    ) -> None:
        raise NotImplementedError

    def check_event(self, end: ServerEnd, seen: Seen, event: str, data: Any, tick: int) -> None:
        raise NotImplementedError

    def check_eviction(self, user: str, since: int, hashes: list[bytes]) -> None:
        raise NotImplementedError


def _line(what: tuple[Any, ...]) -> str:
    return " ".join(str(each) for each in what if each not in ((), {}))
