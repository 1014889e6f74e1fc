"""The rules that every step must keep, whatever the order and whatever fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pychat.server.chat.accounts.authentication import token_hash
from pychat.server.store.memory import MemoryStore
from pychat.server.store.records import NewEdit, NewReaction, NewRemoval, RoomRecord, Standing
from tests.simulation.ledger import ACCEPTED, LEFT, Ledger, Request, Seen, Stored
from tests.simulation.store import now

if TYPE_CHECKING:
    from tests.simulation.network import ServerEnd


FILE_NAME, FILE_SIZE = "note.txt", 5
FILE_LINE = "note.txt (5 B)"
"""What original clients are told of a file."""


def place(id: str) -> tuple[int, int]:
    """Conversation and seq."""
    conversation, _, seq = id.partition("-")
    return int(conversation), int(seq)


def visible_to(disk: MemoryStore, room: RoomRecord) -> set[int]:
    """The accounts that may know of a private room."""
    invited = {
        each.account
        for each in now(disk.standings())
        if each.conversation == room.conversation and each.standing is Standing.INVITED
    }
    return {room.owner, *now(disk.members(room.conversation)), *invited}


class Invariants(Ledger):
    """A Ledger that looks at everything as it happens."""

    # --- answers ---

    def check_answer(
        self, end: ServerEnd, seen: Seen, request: Request, answer: Any, tick: int
    ) -> None:
        check = getattr(self, f"_answer_to_{request.event}", None)
        if check is not None:
            check(end, seen, request, answer, tick)

    def _answer_to_login(
        self, end: ServerEnd, seen: Seen, request: Request, answer: Any, tick: int
    ) -> None:
        code, since = answer["code"], request.tick
        user, token = request.data["id"], request.data.get("token", "")
        if code != "200" and request.evicted:
            self.fail("eviction", f"a refused login of {user} ended another one: {answer}")
        if user not in self.disabled:
            return  # its claim was under way
        disabled = self.disabled[user].since(since)
        if token:
            right = self.token(token_hash(token)).since(since)
        else:
            given = request.data.get("password", "")
            right = [each == given for each in self.passwords[user].since(since)]
        if code == "200" and not (any(right) and not all(disabled)):
            self.fail("login", f"{end.user_agent} logged in with {request.data}")
        if code == "401" and all(right):
            self.fail("login", f"{end.user_agent} was refused with {request.data}: {answer}")
        if code == "403" and not any(disabled):
            self.fail("login", f"{end.user_agent} was told to be disabled")

    def check_eviction(self, user: str, since: int, hashes: list[bytes]) -> None:
        for seen in self.ends.values():
            if seen.open and seen.user and seen.token in hashes and seen.logged_in_at < since:
                self.fail("eviction", f"a login of {user} ended one that is connected")

    def _answer_to_message(
        self, end: ServerEnd, seen: Seen, request: Request, answer: Any, tick: int
    ) -> None:
        if answer["code"] not in ACCEPTED:
            return
        conversation, seq = place(answer["id"])
        stored = self._stored(conversation, seq)
        if stored is None or stored.data != request.data["data"] or seq != answer["seq"]:
            self.fail(
                "acknowledged", f"{request.data} was answered {answer}, and that is another message"
            )
            return
        # What was stored before it was sent, this time, is answered as it was then.
        first = stored.shown == LEFT and stored.committed >= request.tick
        stored.shown = min(stored.shown, tick)
        stored.acknowledged = True
        if first and not stored.doubtful and seq <= seen.last_seq[conversation]:
            self.fail("order", f"{end.user_agent}: answer {answer['id']} after {seen.last_seq}")
        seen.last_seq[conversation] = max(seen.last_seq[conversation], seq)
        seen.got[conversation].add(seq)
        recepient = request.data["recepient"]
        if self.pair(conversation) and recepient != seen.owner:
            told = answer["code"] != "202" and self.block(recepient, seen.owner).value
            if told:
                self.fail(
                    "block", f"{seen.owner} is blocked by {recepient} and is answered {answer}"
                )

    def _answer_to_history(
        self, end: ServerEnd, seen: Seen, request: Request, answer: Any, tick: int
    ) -> None:
        if answer["code"] != "200" or not answer["messages"] or not seen.open:
            return
        conversation = place(answer["messages"][0]["id"])[0]
        seqs = [each["seq"] for each in answer["messages"]]
        # Changed messages come in the order of their revs.
        if "changedAfter" not in request.data and seqs != list(range(seqs[0], seqs[0] + len(seqs))):
            self.fail("history", f"history skips: {seqs}")
        firsts = [1]
        if not self.pair(conversation):
            firsts = self.first_seq(conversation, self.key(seen.owner)).since(request.tick)
        after = request.data.get("after")
        if after is not None and seqs[0] > max(after + 1, *firsts):
            self.fail("history", f"history after {after} begins at {seqs[0]}")
        if not answer["hasMore"] and after is not None:
            there = sum(each.committed < request.tick for each in self.messages[conversation])
            if seqs[-1] < there:
                self.fail("history", f"history ends at {seqs[-1]} of {there}")
        for each in answer["messages"]:
            self._check_entry(seen, each, min(firsts), request.tick)

    def _check_entry(
        self, seen: Seen, entry: Any, first_seq: int, since: int, *, told: bool = False
    ) -> None:
        """A message as it is shown to somebody who asked for it, or is told of it."""
        conversation, seq = place(entry["id"])
        stored = self._stored(conversation, seq)
        pair = self.pair(conversation)
        if stored is None or (pair and self.key(seen.owner) not in pair):
            self.fail("not theirs", f"{seen.owner} is shown {entry}")
            return
        if seq < first_seq and not self._joining(conversation, seen.owner):
            self.fail("first seq", f"{seen.owner} may read from {first_seq} and is shown {entry}")
        sender = self.name(stored.sender)
        hidden = self.block(seen.owner, sender).value if sender != seen.owner else False
        removed = stored.removed.since(since)
        if entry.get("removed"):
            if hidden is False and not any(removed):
                self.fail("unblock", f"{seen.owner} is not shown {entry} of {sender}")
            if "file" in entry or "replyTo" in entry:
                self.fail("removed", f"{seen.owner} is shown more of {entry}")
            return
        if hidden:
            self.fail("block", f"{seen.owner} has blocked {sender} and is shown {entry}")
        if all(removed):
            self.fail("removed", f"{seen.owner} is shown what was removed: {entry}")
        data = entry["data"]
        if stored.file is not None and not seen.modern:
            data, _, name = data.rpartition("\n")
            if name != FILE_LINE:
                self.fail("file", f"{seen.owner} is shown {entry} instead of a file")
        if entry["sender"] != sender or data not in stored.texts.since(since):
            self.fail("text", f"{entry} is not what {sender} wrote: {stored.data}")
        if seen.modern:
            if entry.get("file", {}).get("id") != stored.file:
                self.fail("file", f"{entry} does not have the file {stored.file}")
            self._check_quote(seen, entry, conversation, stored, since, told=told)

    def _check_quote(
        self,
        seen: Seen,
        entry: Any,
        conversation: int,
        stored: Stored,
        since: int,
        *,
        told: bool,
    ) -> None:
        """``told``: in an event, which has no text of the quote if the store cannot be read."""
        quote = entry.get("replyTo", {})
        if quote.get("seq") != stored.reply_to:
            self.fail("quote", f"{entry} answers {stored.reply_to}")
        if stored.reply_to is None:
            return
        origin = self._stored(conversation, stored.reply_to)
        if origin is None:
            self.fail("quote", f"{entry} answers a message that does not exist")
            return
        user, sender = seen.owner, self.name(origin.sender)
        removed = origin.removed.since(since)
        firsts = [1]
        if not self.pair(conversation):
            firsts = self.first_seq(conversation, self.key(user)).since(since)
        block = self.block(user, sender) if sender != user else None
        joining = self._joining(conversation, user)
        if "sender" in quote:
            if block is not None and block.value:
                self.fail("block", f"{user} has blocked {sender} and is shown {entry}")
            if all(removed):
                self.fail("removed", f"{user} is shown what was removed: {entry}")
            if stored.reply_to < min(firsts) and not joining:
                self.fail("first seq", f"{user} may read from {firsts} and is shown {entry}")
            if quote["sender"] != sender or quote["data"] not in origin.texts.since(since):
                self.fail("quote", f"{entry} does not quote {sender}: {origin.data}")
        elif not (told or any(removed) or joining or stored.reply_to < max(firsts)):
            blocked = [False] if block is None else block.since(since)
            if not any(each is not False for each in blocked):
                self.fail("quote", f"{user} is not shown what {entry} answers")

    def _answer_to_search(
        self, end: ServerEnd, seen: Seen, request: Request, answer: Any, tick: int
    ) -> None:
        if answer["code"] != "200" or not seen.open:
            return
        for each in answer["messages"]:
            conversation = place(each["id"])[0]
            first_seq = 1
            if not self.pair(conversation):
                account = self.key(seen.owner)
                first_seq = min(self.first_seq(conversation, account).since(request.tick))
            self._check_entry(seen, each, first_seq, request.tick)

    def _answer_to_users(
        self, end: ServerEnd, seen: Seen, request: Request, answer: Any, tick: int
    ) -> None:
        if answer["code"] != "200" or not seen.open:
            return
        for each in answer["users"]:
            if each["online"] and each["id"] != seen.owner:
                self._check_visible(seen.owner, each["id"])

    def _check_visible(self, user: str, other: str) -> None:
        """For somebody who is shown to be there."""
        if self.block(user, other).value or self.block(other, user).value:
            self.fail("hidden", f"{user} is told that {other} is online, who is hidden")

    def _answer_to_conversations(
        self, end: ServerEnd, seen: Seen, request: Request, answer: Any, tick: int
    ) -> None:
        if answer["code"] != "200" or not seen.open:
            return
        for entry in answer["conversations"]:
            self._check_listed(seen, entry, request.tick)

    def _check_listed(self, seen: Seen, entry: Any, since: int) -> None:
        name, user = entry["with"], seen.owner
        conversation = self.conversation(user, name)
        if conversation is None:
            return
        log = self.messages[conversation]
        there = sum(each.committed < since for each in log)
        if not there <= entry["lastSeq"] <= len(log):
            self.fail(
                "list", f"{user} is told that {name} ends at {entry['lastSeq']} of {len(log)}"
            )
        first_seq = 1
        if not self.pair(conversation):
            first_seqs = self.first_seq(conversation, self.key(user)).since(since)
            first_seq = min(first_seqs)
            if entry["firstSeq"] not in first_seqs:
                self.fail(
                    "first seq",
                    f"{user} is told to read {name} from {entry['firstSeq']}: {first_seqs}",
                )
            settled = len(first_seqs) == 1 and not self._joining(conversation, user)
            if settled and seen.user and seen.modern:
                seen.baselines.setdefault(conversation, entry["lastSeq"])
        elif seen.user and seen.modern:
            seen.baselines.setdefault(conversation, entry["lastSeq"])
            if name != user:
                self._check_presence(user, name, entry, since)
        if entry["last"] is not None and self.conversation(user, name) == conversation:
            self._check_entry(seen, entry["last"], first_seq, since)

    def _joining(self, conversation: int, user: str) -> bool:
        """Whether a room of theirs is changing now, or may be."""
        return (conversation, self.key(user)) in self.doubtful_rooms or any(
            request.event == "room" and request.data["command"] != "list"
            for seen in self.ends.values()
            for request in seen.pending.values()
            if user in (seen.owner, request.data.get("user"))
        )

    def _check_presence(self, user: str, other: str, entry: Any, since: int) -> None:
        blocks = all(self.block(user, other).since(since))
        hidden = all(self.block(other, user).since(since))
        last_seen = entry.get("lastSeen")
        if ((blocks or hidden) and entry["online"]) or (blocks and last_seen):
            self.fail("hidden", f"{user} is told of {other}, who is hidden: {entry}")
        # Who is blocked goes on being told the same.
        if hidden and not entry.get("blocked"):
            before, told = self.last_seens.get((user, other), (since, last_seen))
            if told != last_seen and all(self.block(other, user).since(before)):
                self.fail("hidden", f"{user} was told {told} of {other}, who is hidden: {entry}")
            self.last_seens[user, other] = since, last_seen

    # --- events ---

    def check_event(self, end: ServerEnd, seen: Seen, event: str, data: Any, tick: int) -> None:
        if not seen.user:
            self.fail("login", f"{end.user_agent} is not logged in and is sent {event} {data}")
            return
        check = getattr(self, f"_event_{event}", None)
        if check is not None:
            check(end, seen, data, tick)

    def _event_message(self, end: ServerEnd, seen: Seen, data: Any, tick: int) -> None:
        conversation, seq = place(data["id"])
        stored = self._stored(conversation, seq)
        if stored is None:
            self.fail("acknowledged", f"{end.user_agent} is sent {data}, which is not stored")
            return
        stored.shown = min(stored.shown, tick)
        first_seq = 1
        account = self.key(seen.owner)
        if not self.pair(conversation):
            first_seq = min(self.first_seq(conversation, account).since(stored.arrived))
        # A new account may get what is being said to ALL while it is made.
        strange = stored.sender != account and data["recepient"] != "ALL"
        if seq < first_seq and strange and not self._joining(conversation, seen.owner):
            self.fail("joined", f"{seen.owner} reads from {first_seq} and is sent {data}")
        self._check_entry(seen, data, 1, stored.committed, told=True)
        if seq in seen.got[conversation] and not stored.doubtful and seen.modern:
            self.fail("twice", f"{end.user_agent} is sent {data} again")
        if seq < seen.last_seq[conversation] and not stored.doubtful:
            self.fail(
                "order", f"{end.user_agent} is sent {seq} after {seen.last_seq[conversation]}"
            )
        seen.last_seq[conversation] = max(seen.last_seq[conversation], seq)
        seen.got[conversation].add(seq)

    def _event_changed(self, end: ServerEnd, seen: Seen, data: Any, tick: int) -> None:
        conversation, rev = self.conversation(seen.owner, data["with"]), data["rev"]
        change = None if conversation is None else self.changes.get((conversation, rev))
        if conversation is None or change is None or not seen.modern:
            if seen.modern and conversation is not None and self.kinds.get(conversation):
                self.fail("acknowledged", f"{end.user_agent} is sent {data}, which is not stored")
            return  # of a room that has just been deleted
        account = self.key(seen.owner)
        before, since = seen.revs.get(conversation, (rev - 1, tick))
        seen.revs[conversation] = rev, tick
        rejoined = len(self.first_seq(conversation, account).since(since)) > 1
        if rev <= before:
            self.fail("rev", f"{end.user_agent} is sent {data} after {before}")
        if rev > before + 1 and not rejoined and conversation not in self.doubtful_changes:
            self.fail("rev", f"{end.user_agent} is sent {data} after {before}")
        stored = self._stored(conversation, change.seq)
        if "seq" not in data or stored is None:
            return
        right = {
            NewEdit: isinstance(change, NewEdit) and data.get("data") == change.data,
            NewRemoval: data.get("removed") is True,
            NewReaction: "reaction" in data,
        }[type(change)]
        if data["seq"] != change.seq or not right:
            self.fail("change", f"{data} is not {change}")
        sender = self.name(stored.sender)
        if sender != seen.owner and self.block(seen.owner, sender).value:
            self.fail("block", f"{seen.owner} has blocked {sender} and is sent {data}")
        if isinstance(change, NewReaction):
            by = self.name(change.account)
            if by != seen.owner and self.block(seen.owner, by).value:
                self.fail("block", f"{seen.owner} has blocked {by} and is sent {data}")
        firsts = self.first_seq(conversation, account).since(stored.committed)
        joining = self._joining(conversation, seen.owner)
        if not self.pair(conversation) and data["seq"] < min(firsts) and not joining:
            self.fail("joined", f"{seen.owner} reads from {firsts} and is sent {data}")

    def _answer_to_edit(
        self, end: ServerEnd, seen: Seen, request: Request, answer: Any, tick: int
    ) -> None:
        if answer["code"] == "200":
            stored = self._stored(*place(answer["id"]))
            kept = stored is not None and request.data["data"] in stored.texts.since(request.tick)
            if not kept:
                self.fail("acknowledged", f"{request.data} was answered {answer}")

    def _event_room(self, end: ServerEnd, seen: Seen, data: Any, tick: int) -> None:
        for each in data["rooms"]:
            room = now(self.disk.room(each["id"])) if each.get("private") else None
            if room is None or self._is_changing(room):
                continue
            if self.key(seen.owner) not in visible_to(self.disk, room):
                self.fail("private", f"{seen.owner} is shown {each}")

    def _is_changing(self, room: RoomRecord) -> bool:
        """Whether somebody changes the room now, or may have."""
        return any(key == room.conversation for key, _ in self.doubtful_rooms) or any(
            request.event == "room" and request.data.get("roomId") in (room.id, None, "")
            for seen in self.ends.values()
            for request in seen.pending.values()
        )

    def _event_presence(self, end: ServerEnd, seen: Seen, data: Any, tick: int) -> None:
        if data["online"]:
            self._check_visible(seen.owner, data["id"])

    def _event_receipt(self, end: ServerEnd, seen: Seen, data: Any, tick: int) -> None:
        user, other = seen.owner, data["by"]
        if user != other and self.block(other, user).value:
            self.fail("hidden", f"{user} is told how far {other} has read, who has blocked them")

    def _event_typing(self, end: ServerEnd, seen: Seen, data: Any, tick: int) -> None:
        user, other = seen.owner, data["sender"]
        if user != other and self.block(user, other).value:
            self.fail("block", f"{user} has blocked {other} and is told that they type")
        if user != other and self.block(other, user).value and data["recepient"] == user:
            self.fail("hidden", f"{user} is told that {other} types, who has blocked them")

    # --- what is asked of the records ---

    def _stored(self, conversation: int, seq: int) -> Stored | None:
        log = self.messages.get(conversation, [])
        return log[seq - 1] if 1 <= seq <= len(log) else None

    def conversation(self, user: str, name: str) -> int | None:
        """The key of what the user calls so, as the disk has it now."""
        if name == "ALL":
            return now(self.disk.everyone()).key
        if name.startswith("#"):
            room = now(self.disk.room(name[1:]))
            return None if room is None else room.conversation
        pair = now(self.disk.pair(self.key(user), self.key(name)))
        return None if pair is None else pair.key
