"""Pending changes: edits, reactions and removals that the server has not answered yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec import UNSET, Struct, structs

from pychat import protocol
from pychat.client.errors import InvalidAnswer, RequestRefused
from pychat.client.models import ChangeKind, MessageInfo, PendingChange
from pychat.client.storage.cache import Cache
from pychat.client.storage.sendqueue import QueuedRequest, SendQueue
from pychat.client.wire import (
    format_time,
    message_info,
    parse,
    parse_time,
    removed_message,
    with_reaction,
)

_LANE: Final = "changes"
_EVENTS: Final = {
    ChangeKind.EDIT: protocol.Event.EDIT,
    ChangeKind.REACTION: protocol.Event.REACT,
    ChangeKind.REMOVAL: protocol.Event.REMOVE,
}


class PendingChanges:
    """Sends changes of messages, in order for each message, until they are answered.

    A change of a message that is still in the outbox waits until the message is stored. Repeated
    changes have no effect on the server, so a change is sent again after a lost connection.

    - ``on_shown`` is called with a message when ``shown`` returns something else for it. It is the
      message as the user saw it last, with the change if the server has made it.
    - ``on_current`` is called with a message as the server has it now.
    - ``on_refused`` is called with each change that the server refused, and why.
    - ``on_count`` is called when ``waiting`` has changed.
    """

    def __init__(
        self,
        cache: Cache,
        queue: SendQueue,
        *,
        on_shown: Callable[[MessageInfo], None],
        on_current: Callable[[MessageInfo], None],
        on_refused: Callable[[PendingChange, RequestRefused], None],
        on_count: Callable[[], None],
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._on_shown = on_shown
        self._on_current = on_current
        self._on_refused = on_refused
        self._on_count = on_count
        self._changes: dict[str, list[PendingChange]] = {}
        """Changes in the order in which they are sent, by id of the message, or by client_id while
        it is in the outbox."""
        self._requests: dict[str, QueuedRequest] = {}
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self.user = ""
        """The id that is logged in."""

    def load(self, user: str, in_outbox: Callable[[str], bool]) -> None:
        """Load the changes from the cache. ``in_outbox``: whether it has a message."""
        self.user = user
        for change in self._cache.changes():
            if change.message.id or in_outbox(change.message.client_id):
                self._changes.setdefault(_place(change.message), []).append(change)
                # An earlier run of the program may have sent it.
                self._enqueue(change, written=True)
            else:
                self._cache.drop_change(change.key)

    @property
    def waiting(self) -> int:
        """Number of changes that are not answered yet."""
        return sum(map(len, self._changes.values()))

    def shown(self, message: MessageInfo) -> MessageInfo:
        """Return the message with the changes that are not answered yet."""
        changes = self._changes.get(_place(message)) if self._changes else None
        if not changes:
            return message
        for change in changes:
            message = _after(message, change, self.user)
        return structs.replace(message, pending=True)

    # --- make changes ---

    def add(self, change: PendingChange) -> PendingChange:
        """Persist a change and send it as soon as possible.

        Returns the change that will be sent: an earlier one if this one replaces its content.
        Raises RequestRefused if the message is being removed.
        """
        changes = self._changes.setdefault(_place(change.message), [])
        if any(each.kind is ChangeKind.REMOVAL for each in changes):
            if change.kind is ChangeKind.REMOVAL:
                return changes[-1]
            raise RequestRefused(protocol.Code.CONFLICT, "the message was removed")
        if change.kind is ChangeKind.REMOVAL:
            for each in [each for each in changes if not self._is_written(each)]:
                self._end(each, RequestRefused(protocol.Code.CONFLICT, "the message was removed"))
            changes = self._changes.setdefault(_place(change.message), [])
        earlier = [each for each in changes if _is_alike(each, change)]
        if earlier and not self._is_written(earlier[-1]):
            return self._merge(earlier[-1], change)
        if change.kind is ChangeKind.EDIT and earlier:
            # The message may show the earlier edit. Its answer updates ``base`` of this one.
            change = structs.replace(change, base=earlier[-1].base, based=earlier[-1].based)
        changes.append(change)
        self._cache.save_change(change)
        self._enqueue(change)
        self._on_count()
        self._on_shown(change.message)
        return change

    def _merge(self, earlier: PendingChange, change: PendingChange) -> PendingChange:
        merged = structs.replace(earlier, text=change.text, on=change.on, made_at=change.made_at)
        self._replace(merged)
        self._on_shown(change.message)
        return merged

    def _is_written(self, change: PendingChange) -> bool:
        request = self._requests.get(change.key)
        return request is not None and request.written

    def result(self, change: PendingChange) -> asyncio.Future[None]:
        """Return a future that is done when the server has made the change.

        It raises RequestRefused if the change is refused or given up.
        """
        loop = asyncio.get_running_loop()
        return self._waiters.setdefault(change.key, loop.create_future())

    def give_up(self, change: PendingChange) -> None:
        """Do not send a change any more. The server may have made it."""
        self._end(change, RequestRefused(protocol.Code.NOT_FOUND, "the change was given up"))
        self._on_shown(change.message)

    # --- messages of the outbox ---

    def stored(self, message: MessageInfo) -> None:
        """Send the changes of a message that was in the outbox: it has an id now."""
        for change in self._changes.pop(message.client_id, []):
            changed = structs.replace(change, message=message)
            self._changes.setdefault(_place(message), []).append(changed)
            self._cache.save_change(changed)
            self._enqueue(changed)

    def unsent(self, message: MessageInfo) -> list[PendingChange]:
        """Take out the changes of a message that the server refused, and return them."""
        changes = list(self._changes.get(message.client_id, ()))
        for change in changes:
            self._end(change, None)
        return changes

    def replaced(self, name: str) -> None:
        """Refuse all changes in a conversation: the server has other messages by its name now."""
        for changes in list(self._changes.values()):
            for change in list(changes):
                if change.message.conversation == name and change.message.id:
                    gone = RequestRefused(
                        protocol.Code.NOT_FOUND, "the server has lost the message"
                    )
                    self._end(change, gone)
                    self._on_refused(change, gone)

    # --- sending ---

    def _enqueue(self, change: PendingChange, *, written: bool = False) -> None:
        if not change.message.id:
            return
        request = QueuedRequest(
            (_LANE, change.message.id),
            _EVENTS[change.kind],
            payload=partial(self._payload, change.message.id, change.key),
            on_done=partial(self._done, change.message.id, change.key),
            on_refused=partial(self._refused, change.message.id, change.key),
            written=written,
        )
        self._requests[change.key] = request
        self._queue.add(request)

    def _get(self, id: str, key: str) -> PendingChange | None:
        return next((each for each in self._changes.get(id, ()) if each.key == key), None)

    def _payload(self, id: str, key: str) -> Struct:
        change = self._get(id, key)
        assert change is not None  # its request is in the queue
        match change.kind:
            case ChangeKind.EDIT:
                base = None if change.base is None else format_time(change.base)
                return protocol.EditRequest(id, change.text, base if change.based else UNSET)
            case ChangeKind.REACTION:
                return protocol.ReactRequest(id, change.emoji, change.on)
            case ChangeKind.REMOVAL:
                return protocol.RemoveRequest(id)

    def _done(self, id: str, key: str, answer: object) -> None:
        done = parse(answer, protocol.ChangeAnswer)
        change = self._get(id, key)
        if change is None:
            return
        if done.edited is not UNSET:
            for later in self._changes[id]:
                if later.kind is ChangeKind.EDIT and later.key != key:
                    self._replace(structs.replace(later, base=parse_time(done.edited)))
        # The server sends ``changed`` before its answer: the message is changed here already.
        self._end(change, None)
        self._on_shown(_after(change.message, change, self.user))

    def _refused(self, id: str, key: str, refusal: RequestRefused, answer: object) -> None:
        change = self._get(id, key)
        if change is None:
            return
        self._end(change, refusal)
        message = change.message
        if refusal.code == protocol.Code.NOT_FOUND:
            message = removed_message(message, message.rev)  # if it is not in the cache either
        if refusal.code == protocol.Code.CONFLICT and change.message.conversation:
            try:
                current = parse(answer, protocol.ConflictAnswer).current
            except InvalidAnswer:
                pass  # the next list shows whether the message has changed
            else:
                message = message_info(current, message.conversation, self.user)
                self._on_current(message)
        self._on_shown(message)
        self._on_refused(change, refusal)

    def _replace(self, change: PendingChange) -> None:
        changes = self._changes[_place(change.message)]
        index = next(index for index, each in enumerate(changes) if each.key == change.key)
        changes[index] = change
        self._cache.save_change(change)

    def _end(self, change: PendingChange, error: RequestRefused | None) -> None:
        """Take a change out. ``error``: why the server does not make it, None if it has."""
        place = _place(change.message)
        left = [each for each in self._changes.get(place, ()) if each.key != change.key]
        if left:
            self._changes[place] = left
        else:
            self._changes.pop(place, None)
        self._cache.drop_change(change.key)
        request = self._requests.pop(change.key, None)
        if request is not None:
            self._queue.remove(request)
        waiter = self._waiters.pop(change.key, None)
        if waiter is not None and not waiter.done():
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
                waiter.exception()  # the caller may have stopped waiting
        self._on_count()

    def close(self) -> None:
        """Let the futures of ``result`` raise RequestRefused."""
        closed = RequestRefused(protocol.Code.UNAVAILABLE, "the client was closed")
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_exception(closed)
                waiter.exception()
        self._waiters.clear()


def _place(message: MessageInfo) -> str:
    return message.id or message.client_id


def _is_alike(one: PendingChange, other: PendingChange) -> bool:
    """Whether the later of two changes of a message makes the other one superfluous."""
    return (one.kind, one.emoji) == (other.kind, other.emoji)


def _after(message: MessageInfo, change: PendingChange, user: str) -> MessageInfo:
    if message.removed:
        return message
    match change.kind:
        case ChangeKind.EDIT:
            if message.text == change.text:
                return message
            return structs.replace(message, text=change.text, edited=change.made_at)
        case ChangeKind.REACTION:
            return with_reaction(message, change.emoji, change.on, user)
        case ChangeKind.REMOVAL:
            return removed_message(message, message.rev)
