"""Methods of ChatClient that send and change messages, report typing and save drafts."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from pychat import protocol
from pychat.client.api.files import FileTransfer, ignored
from pychat.client.core import ClientCore
from pychat.client.errors import RequestRefused
from pychat.client.events import MessageChanged
from pychat.client.models import (
    ChangeKind,
    DeliveryStatus,
    FileInfo,
    MessageInfo,
    PendingChange,
    QuoteInfo,
)
from pychat.client.storage.cache import message_at
from pychat.client.wire import Progress, quote_of
from pychat.protocol import Event


class MessageWriter(FileTransfer):
    """Methods of ChatClient that send and change messages, report typing and save drafts."""

    _core: ClientCore

    async def send(
        self,
        to: str,
        text: str = "",
        *,
        client_id: str | None = None,
        reply_to: int | None = None,
        file: FileInfo | Path | str | None = None,
        progress: Progress = ignored,
    ) -> MessageInfo:
        """Send a message and return it once the server has stored it. Waits while offline.

        ``client_id``, ``reply_to``: see ``post``. ``file``: a path, which is uploaded first (see
        ``upload`` for ``progress`` and errors: the client must be online), or a file that was
        uploaded. Raises RequestRefused. If the call is cancelled, the message is not sent again,
        but the server may have stored it.
        """
        if isinstance(file, Path | str):
            file = await self.upload(file, progress=progress)
        posted = self.post(to, text, client_id=client_id, reply_to=reply_to, file=file)
        client_id = posted.client_id
        try:
            return await self._core.outbox.stored(client_id)
        except (asyncio.CancelledError, RequestRefused):
            if not self._core.closed:
                self.discard(client_id)
            raise

    def post(
        self,
        to: str,
        text: str = "",
        *,
        client_id: str | None = None,
        reply_to: int | None = None,
        file: FileInfo | None = None,
    ) -> MessageInfo:
        """Put a message into the outbox and return at once.

        ``client_id``: a UUID, by default a random one. The server stores messages with the same
        one once, also after a restart of the program.
        ``reply_to``: the seq of the message of the conversation that this one answers. The server
        refuses the message with 404 if the user cannot read that one.
        ``file``: a file from ``upload``, attached to no other message. The text may then be empty.
        The server refuses the message with 404 if more than an hour has passed since the upload.

        Publishes ``MessageAdded`` now, and ``MessageChanged`` when the message is stored or
        refused. Raises RequestRefused if the text is empty or too long, or ``to`` is not the name
        of a conversation.

        After ``start``, posting marks the messages published so far in the conversation as read.
        Messages that arrive while the message is in the outbox stay unread. After ``connect``, the
        cursors are left to the caller.
        """
        self._core.check_not_closed()
        text = _valid(text)
        with _refused_here():
            _check_conversation_name(to)
            (protocol.check_data if file is None else protocol.check_caption)(text)
        to = self._core.roster.known_name(to)
        message = MessageInfo(
            conversation=to,
            sender=self._core.reconnector.login.user,
            text=text,
            client_id=client_id or str(uuid.uuid4()),
            sent_at=time.time(),
            own=True,
            delivery=DeliveryStatus.SENDING,
            reply_to=None if reply_to is None else self._quote(to, reply_to),
            file=file,
        )
        self._core.typing_notice.stop(to)
        self._core.outbox.add(message)
        self._core.transcripts.posted(message)
        self._core.roster.posted(message)
        if not self._core.transcripts.fetch_all:
            self._core.move_cursor(Event.READ, to, self._core.transcripts.published_seq(to))
        return message

    def _quote(self, name: str, seq: int) -> QuoteInfo:
        found = message_at(self._core.cache, name, seq)
        return QuoteInfo(seq) if found is None else quote_of(found)

    # --- changes ---

    def post_edit(self, message: MessageInfo | str, text: str) -> None:
        """Replace the text of one of the user's own messages, and return at once.

        ``message``: from an event or a page, or its ``id``. A message that was not sent yet is
        sent with the new text. Otherwise the edit is sent after the message. With a MessageInfo,
        the server refuses the edit with 409 if somebody has edited the message since; with an id,
        the last edit wins.

        The message is shown with the change at once (``MessageChanged``), also while offline and
        after a restart. If the server refuses the change, ``MessageChanged`` has the message as it
        is, and ``ChangeRefused`` says why. Raises RequestRefused if the text is empty or too long,
        or if the message is being removed.
        """
        self._edit(message, text)

    def post_reaction(self, message: MessageInfo | str, emoji: str, on: bool = True) -> None:
        """Add a reaction to a message, or take it back, and return at once. See ``post_edit``.

        ``emoji``: 1 to 64 bytes without spaces.
        """
        self._react(message, emoji, on)

    def post_removal(self, message: MessageInfo | str) -> None:
        """Remove a message for everybody, and return at once. See ``post_edit``.

        Its sender, the owner of the room and the server's admins may. A message that was not sent
        yet is discarded.
        """
        self._remove(message)

    async def edit(self, message: MessageInfo | str, text: str) -> None:
        """Replace the text of a message, and return when the server has done so.

        Waits while offline. See ``post_edit``. Raises RequestRefused (409 if the message was
        removed, or edited by somebody else). If the call is cancelled, the edit is not sent again,
        but the server may have made it.
        """
        await self._made(self._edit(message, text))

    async def react(self, message: MessageInfo | str, emoji: str, on: bool = True) -> None:
        """Add a reaction to a message, or take it back, and return when the server has done so.

        See ``edit``. Refused with 409 if the message was removed or has too many reactions.
        """
        await self._made(self._react(message, emoji, on))

    async def remove(self, message: MessageInfo | str) -> None:
        """Remove a message for everybody, and return when the server has done so. See ``edit``."""
        await self._made(self._remove(message))

    def _edit(self, message: MessageInfo | str, text: str) -> PendingChange | None:
        text = _valid(text)
        with _refused_here():
            protocol.check_data(text)
        target, based = self._target(message)
        rewritten = None if target.id else self._core.outbox.rewrite(target.client_id, text)
        if rewritten is not None:
            self._core.unsent_changed(rewritten)
            return None
        edit = _change(ChangeKind.EDIT, target)
        return self._add(structs.replace(edit, text=text, base=target.edited, based=based))

    def _react(self, message: MessageInfo | str, emoji: str, on: bool) -> PendingChange:
        emoji = _valid(emoji)
        with _refused_here():
            emoji = protocol.check_emoji(emoji)
        target, _ = self._target(message)
        reaction = _change(ChangeKind.REACTION, target)
        return self._add(structs.replace(reaction, emoji=emoji, on=on))

    def _remove(self, message: MessageInfo | str) -> PendingChange | None:
        target, _ = self._target(message)
        if not target.id and not self._core.outbox.is_written(target.client_id):
            self._core.discard(target.client_id)
            return None
        return self._add(_change(ChangeKind.REMOVAL, target))

    def _add(self, change: PendingChange) -> PendingChange:
        self._core.check_not_closed()
        return self._core.pending.add(change)

    def _target(self, message: MessageInfo | str) -> tuple[MessageInfo, bool]:
        """Return the message as the server has it, and whether the user saw it."""
        if isinstance(message, str):
            posted = self._core.outbox.get(message)
            if posted is not None:
                return posted, True
            return self._known(message), False
        posted = self._core.outbox.get(message.client_id) if not message.id else None
        if posted is not None:
            return posted, True
        kept = message_at(self._core.cache, message.conversation, message.seq)
        if kept is not None and message.id in ("", kept.id):
            return kept, True
        if message.id:
            return message, True
        raise RequestRefused(protocol.Code.NOT_FOUND, "there is no such message")

    def _known(self, id: str) -> MessageInfo:
        """Return the message with this id, of which perhaps no more is known."""
        # An id is the id of the conversation, a hyphen and the seq.
        prefix, _, seq = id.rpartition("-")
        for each in self._core.roster.newest_first():
            stored = each.last_stored
            if stored is not None and stored.id.rpartition("-")[0] == prefix and is_seq(seq):
                kept = message_at(self._core.cache, each.name, int(seq))
                if kept is not None:
                    return kept
                return MessageInfo(each.name, "", "", "", id=id, seq=int(seq))
        return MessageInfo("", "", "", "", id=id)

    async def _made(self, change: PendingChange | None) -> None:
        if change is None:
            return
        try:
            await self._core.pending.result(change)
        except asyncio.CancelledError:
            if not self._core.closed:
                self._core.pending.give_up(change)
            raise

    def retry(self, client_id: str) -> None:
        """Send a FAILED message again, as the last one in the outbox."""
        message = self._core.outbox.retry(client_id)
        if message is not None:
            self._core.roster.posted(message)
            self._core.publish(MessageChanged(message))

    def discard(self, client_id: str) -> None:
        """Delete a message from the outbox. Publishes ``MessageChanged`` with ``removed`` set."""
        self._core.discard(client_id)

    def typing(self, to: str, typing: bool) -> None:
        """Report typing. Call it at every key press, and with False when the text is cleared.

        The client sends it every 3 seconds at most, and stops it 5 seconds after the last call.
        """
        if self._core.reconnector.connection is not None:
            self._core.typing_notice.set(to, typing)

    def draft(self, name: str) -> str:
        """Return the draft of a conversation. With an empty name: text for no conversation yet."""
        return self._core.cache.draft(name)

    def set_draft(self, name: str, text: str) -> None:
        """Save the draft of a conversation. With a cache file it survives a restart."""
        self._core.cache.save_draft(name, text)
        self._core.flush_soon()


def is_seq(text: str) -> bool:
    """Whether a text is a seq of not more digits than the server gives."""
    return text.isascii() and text.isdigit() and len(text) <= 15


def _change(kind: ChangeKind, message: MessageInfo) -> PendingChange:
    # A message that is not cached is given as the user sees it, perhaps with earlier changes.
    message = structs.replace(message, pending=False)
    return PendingChange(str(uuid.uuid4()), kind, message, made_at=time.time())


@contextmanager
def _refused_here() -> Iterator[None]:
    """Raise RequestRefused for what the server would refuse as well."""
    try:
        yield
    except protocol.ProtocolError as error:
        raise RequestRefused(error.code, str(error)) from None


def _valid(text: str) -> str:
    """Return the text with lone surrogates replaced, which UTF-8 cannot encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _check_conversation_name(name: str) -> None:
    """Raise ProtocolError unless the name is a valid login id, ``#roomId`` or ``ALL``."""
    if name == protocol.EVERYONE:
        return
    if name.startswith(protocol.ROOM_PREFIX):
        protocol.check_id(name[1:], "room")
    else:
        protocol.check_id(name, "recepient")
