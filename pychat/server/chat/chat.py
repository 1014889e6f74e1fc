"""Chat: create all parts, dispatch events to their handlers, keep each connection's order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from time import monotonic
from typing import TypeAlias, TypeVar

from pychat.protocol import Code, Event, FilePayload, ProtocolError
from pychat.server.chat.accounts.authentication import (
    MIN_PASSWORD,
    AccountsMode,
    Authentication,
)
from pychat.server.chat.accounts.changes import AccountChanges, AccountWatch
from pychat.server.chat.answers import MAX_EVENT_NAME_SHOWN, Answers
from pychat.server.chat.delivery import Delivery
from pychat.server.chat.events.changes import Changes
from pychat.server.chat.events.conversations import Conversations
from pychat.server.chat.events.cursors import Cursors
from pychat.server.chat.events.files import FileAccess, FileSettings, OfferedFile, Upload
from pychat.server.chat.events.history import History
from pychat.server.chat.events.hook import Hooks
from pychat.server.chat.events.login import Logins
from pychat.server.chat.events.message import Messages
from pychat.server.chat.events.notify import NotifyLevels
from pychat.server.chat.events.people.block import Blocks
from pychat.server.chat.events.people.profile import Profiles
from pychat.server.chat.events.people.users import Users
from pychat.server.chat.events.rooms.moderation import Moderation
from pychat.server.chat.events.rooms.room import Rooms
from pychat.server.chat.events.typing import TypingRelay
from pychat.server.chat.limits import Limiter, Limits
from pychat.server.chat.notices.cursors import CursorWriter
from pychat.server.chat.notices.file_links import FileLinks
from pychat.server.chat.notices.original import OriginalClients
from pychat.server.chat.notices.presence import Presence
from pychat.server.chat.notices.room_list import RoomList
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.mentions import Mentions
from pychat.server.chat.state.reach import LocalReach, Reach
from pychat.server.chat.state.relations import Relations
from pychat.server.chat.state.roles import Roles
from pychat.server.chat.state.session import ChatConnection, ChatSession, EncodeEvent, Work
from pychat.server.chat.views import MessageViews
from pychat.server.store.base import Store, StoreError
from pychat.server.store.records import FileRecord

T = TypeVar("T")

log = logging.getLogger(__name__)

FINISH_SECONDS = 2.0
"""How long ``stop`` waits for unfinished work."""
LOG_AGAIN_SECONDS = 60.0
DEFAULT_FILES = FileSettings()
READS_MESSAGES = frozenset(
    {
        Event.CONVERSATIONS.value,
        Event.HISTORY.value,
        Event.SEARCH.value,
        Event.REACTIONS.value,
    }
)
"""The answers to these must contain what the same connection has sent before."""

Handler: TypeAlias = Callable[[ChatSession, bytes, int | None], Work | None]
"""Handle an event: session, payload, id of the acknowledgement. Raises ProtocolError to refuse it.
What cannot be done at once is returned as a coroutine."""


class Chat:
    """The chat's interface to the engine: ``connected``, ``event`` and ``disconnected``.

    They are synchronous. The store must be open from before ``start`` until ``stop`` returns.
    """

    def __init__(
        self,
        store: Store,
        *,
        encode_event: EncodeEvent,
        accounts: AccountsMode = "claim",
        limits: Limits | None = None,
        admins: Iterable[str] = (),
        min_password: int = MIN_PASSWORD,
        files: FileSettings = DEFAULT_FILES,
    ) -> None:
        """``limits`` None turns off rates; sizes stay limited. ``admins``: see Roles.
        ``min_password``: see Authentication. ``files``: limits and addresses of uploaded files."""
        admins = tuple(admins)
        limiter = Limiter(limits)
        answers = self._answers = Answers(encode_event)
        reach: Reach = LocalReach(encode_event)
        self._reach = reach
        relations = Relations(store, reach)
        directory = self._directory = Directory(store, reach, relations)
        presence = self._presence = Presence(directory, reach)
        writer = self._cursors = CursorWriter(store, directory.memberships, reach, answers)
        links = FileLinks(store, files.public_url)
        delivery = self._delivery = Delivery(
            store, reach, writer, answers, presence.pair_opened, directory.text_gone, links
        )
        originals = self._original_clients = OriginalClients(
            store, directory, writer, encode_event, delivery.settled, links
        )
        views = MessageViews(store, directory)
        changes = AccountChanges(store)
        authentication = self._authentication = Authentication(
            store, changes, accounts, limiter, reserved=admins, min_password=min_password
        )
        logins = self._logins = Logins(
            store,
            changes,
            authentication,
            directory,
            relations,
            reach,
            presence,
            originals,
            limiter,
            answers,
        )
        room_list = self._room_list = RoomList(directory, reach)
        roles = Roles(admins)
        moderation = Moderation(store, directory, reach, room_list, delivery, answers, roles)
        rooms = self._rooms = Rooms(
            store, directory, room_list, delivery, limiter, answers, moderation
        )
        blocks = Blocks(relations, writer, directory, presence, limiter, answers)
        conversations = Conversations(store, directory, reach, writer, views, limiter, answers)
        cursors = Cursors(directory, writer, limiter, answers)
        history = History(store, directory, views, limiter, answers)
        mentions = Mentions(directory, roles)
        messages = Messages(
            store,
            directory,
            reach,
            delivery,
            limiter,
            logins.by_message if accounts == "open" else None,
            mentions,
            links,
        )
        self._files = FileAccess(
            store, directory, links, limiter, answers, files, tokens=accounts != "open"
        )
        message_changes = Changes(
            store,
            directory,
            delivery,
            reach,
            views,
            limiter,
            answers,
            mentions,
            roles,
            self._answer_later,
        )
        self._hooks = Hooks(store, directory, delivery, limiter, mentions)
        typing = TypingRelay(directory, reach, limiter, answers)
        notify_levels = NotifyLevels(store, directory, reach, limiter, answers)
        profiles = Profiles(directory, authentication, logins, presence, limiter, answers)
        users = Users(store, directory, reach, limiter, answers)
        self._watch = AccountWatch(store, changes, reach, logins.expel)
        self._handlers: dict[str, Handler] = {
            Event.LOGIN.value: logins.login,
            Event.LOGOUT.value: logins.logout,
            Event.SESSIONS.value: logins.sessions,
            Event.PROFILE.value: profiles.profile,
            Event.MESSAGE.value: messages.message,
            Event.ROOM.value: rooms.room,
            Event.CONVERSATIONS.value: conversations.conversations,
            Event.HISTORY.value: history.history,
            Event.SEARCH.value: history.search,
            Event.DELIVERED.value: cursors.delivered,
            Event.READ.value: cursors.read,
            Event.NOTIFY.value: notify_levels.notify,
            Event.TYPING.value: typing.typing,
            Event.USERS.value: users.users,
            Event.BLOCK.value: blocks.block,
            Event.UNBLOCK.value: blocks.unblock,
            Event.EDIT.value: message_changes.edit,
            Event.REMOVE.value: message_changes.remove,
            Event.REACT.value: message_changes.react,
            Event.REACTIONS.value: message_changes.reactions,
            Event.FILE_LINK.value: self._files.link,
        }
        self._stopping = False
        self._failing, self._failing_since = "", 0.0
        self._too_fast = 0
        self._failures = 0
        self.failed: asyncio.Future[BaseException]
        """Available after ``start``. Done when the chat cannot continue, with the reason: the
        server must stop then."""
        self._has_failed = False
        self._background: list[asyncio.Task[None]] = []
        self._working: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Load the rooms and start the background tasks. Raises StoreError."""
        await self._directory.load()
        await self._logins.load()
        loop = asyncio.get_running_loop()
        self._background = [
            loop.create_task(self._delivery.run(), name="delivery"),
            loop.create_task(self._watch.run(), name="account watch"),
        ]
        self.failed = loop.create_future()
        for task in self._background:
            task.add_done_callback(self._background_ended)

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._has_failed:
            return
        self._has_failed = True
        error = task.exception() or RuntimeError(f"{task.get_name()} has ended")
        if not isinstance(error, StoreError):
            log.error("background task ended: %s", task.get_name(), exc_info=error)
        self.failed.set_result(error)

    async def stop(self) -> None:
        """Refuse new events, finish those that came in, and end the background tasks."""
        self._stopping = True
        if not self._has_failed:
            await self._finish()
        self._authentication.close()
        self._room_list.close()
        tasks = [*self._background, *self._working, *self._cursors.close(), *self._rooms.close()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                if self._working:
                    await asyncio.wait(self._working)
                await self._delivery.settled()
                self._original_clients.finish()
                await self._cursors.flush()
                await self._presence.finish()
        except TimeoutError:
            log.error("work not finished within %s s", FINISH_SECONDS)
        except StoreError as error:
            log.error("work not finished: %s", error)

    def figures(self) -> dict[str, float]:
        """Current numbers, and counters since the start, for the metrics."""
        return {
            "connections": len(self._reach.connections()),
            "users_online": len(self._reach.accounts()),
            "rooms": len(self._directory.rooms),
            "messages_waiting": self._delivery.waiting,
            "messages": self._delivery.stored,
            "logins": self._logins.succeeded,
            "logins_refused": self._logins.refused,
            "too_fast": self._too_fast,
            "failures": self._failures,
        }

    async def issue_token(self, id: str, alias: str, device: str) -> str:
        """Log a user of the application in (``Logins.issue_token``). Raises ProtocolError."""
        self._require_running()
        try:
            return await self._logins.issue_token(id, alias, device)
        except Exception as error:
            raise self._refusal("login", error) from None

    async def admit_hook(self, token: str) -> None:
        """Admit a request of a webhook (``Hooks.admit``). Raises ProtocolError."""
        self._require_running()
        try:
            await self._hooks.admit(token)
        except Exception as error:
            raise self._refusal("hook", error) from None

    async def post(self, token: str, text: str, key: str | None = None) -> None:
        """Post a message through a webhook (``Hooks.post``). Raises ProtocolError."""
        self._require_running()
        task = asyncio.get_running_loop().create_task(self._hooks.post(token, text, key))
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        try:
            await asyncio.shield(task)
        except Exception as error:
            raise self._refusal("hook", error) from None

    # --- files, which come and go over HTTP; all of these raise ProtocolError ---
    async def begin_upload(self, token: str, file: OfferedFile) -> Upload:
        """Admit an upload (``FileAccess.begin``)."""
        return await self._for_http(self._files.begin(token, file))

    async def write_upload(self, upload: Upload, data: bytes) -> None:
        """Append to the content of an upload."""
        await self._for_http(upload.write(data))

    async def finish_upload(self, upload: Upload, mime: str) -> FilePayload:
        """Store an uploaded file (``Upload.finish``)."""
        return await self._for_http(upload.finish(mime))

    async def file_by_token(self, id: str, token: str) -> FileRecord:
        """Return a file (``FileAccess.read_by_token``)."""
        return await self._for_http(self._files.read_by_token(id, token))

    async def file_by_link(self, id: str, account: int, until: int, sign: str) -> FileRecord:
        """Return a file (``FileAccess.read_by_link``)."""
        return await self._for_http(self._files.read_by_link(id, account, until, sign))

    async def expire_files(self) -> None:
        """Delete files that no message came for."""
        await self._for_http(self._files.expire())

    async def _for_http(self, work: Coroutine[None, None, T]) -> T:
        try:
            self._require_running()
            return await work
        except Exception as error:
            work.close()
            raise self._refusal("file", error) from None

    def _require_running(self) -> None:
        if self._stopping:
            raise ProtocolError(Code.UNAVAILABLE, "the server is stopping", retry_after=1.0)

    # --- called by the engine ---
    def connected(self, connection: ChatConnection) -> None:
        connection.context = ChatSession(connection)

    def event(
        self, connection: ChatConnection, event: str, payload: bytes, ack_id: int | None
    ) -> None:
        session = connection.context
        try:
            if session.waiting is not None:
                session.enqueue(event, payload, ack_id)
                return
            work = self._handle(session, event, payload, ack_id)
        except Exception as error:
            self._refuse(session, event, ack_id, error)
            return
        if work is not None:
            session.waiting = deque()
            session.login_pending = event == Event.LOGIN
            task = asyncio.get_running_loop().create_task(self._work(session, event, ack_id, work))
            self._working.add(task)
            task.add_done_callback(partial(self._worked, session))

    def _answer_later(
        self, session: ChatSession, event: str, ack_id: int | None, work: Work
    ) -> None:
        """Run the rest of a request while later events of the connection are handled."""
        task = asyncio.get_running_loop().create_task(self._rest(session, event, ack_id, work))
        self._working.add(task)
        task.add_done_callback(partial(self._worked, session))

    async def _rest(self, session: ChatSession, event: str, ack_id: int | None, work: Work) -> None:
        try:
            await work
        except Exception as error:
            self._refuse(session, event, ack_id, error)

    def _worked(self, session: ChatSession, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and (error := task.exception()):
            # Later events of the connection would wait forever. The client reconnects and retries.
            self._failures += 1
            log.error("request not answered, client disconnected", exc_info=error)
            session.connection.close()

    def disconnected(self, connection: ChatConnection, reason: str) -> None:
        session = connection.context
        user = session.user
        if user is not None:
            log.info("disconnected: user=%r reason=%s", user.id, reason)
        if self._stopping:
            session.closed = True
            return
        self._logins.disconnected(session)

    # --- the order of a connection's events ---
    def _handle(
        self, session: ChatSession, event: str, payload: bytes, ack_id: int | None
    ) -> Work | None:
        handler = self._handlers.get(event)
        if handler is None:
            name = event[:MAX_EVENT_NAME_SHOWN]
            raise ProtocolError(Code.MALFORMED, f"there is no event {name!r}")
        if self._stopping:
            raise ProtocolError(Code.UNAVAILABLE, "the server is stopping", retry_after=1.0)
        if session.unanswered and event in READS_MESSAGES:
            return self._after_messages(handler, session, payload, ack_id)
        return handler(session, payload, ack_id)

    async def _after_messages(
        self, handler: Handler, session: ChatSession, payload: bytes, ack_id: int | None
    ) -> None:
        await self._delivery.settled()
        work = handler(session, payload, ack_id)
        if work is not None:
            await work

    async def _work(
        self, session: ChatSession, event: str, ack_id: int | None, work: Work | None
    ) -> None:
        waiting = session.waiting
        assert waiting is not None
        while True:
            try:
                if work is not None:
                    await work
            except Exception as error:
                self._refuse(session, event, ack_id, error)
            if not waiting:
                break
            event, payload, ack_id = waiting.popleft()
            session.waiting_bytes -= len(payload)
            session.login_pending = event == Event.LOGIN
            work = None
            try:
                work = self._handle(session, event, payload, ack_id)
            except Exception as error:
                self._refuse(session, event, ack_id, error)
        session.waiting = None

    def _log_failing(self, reason: str) -> None:
        """Log a reason once a minute, not with every request: the log must not fill the disk."""
        if reason != self._failing or monotonic() - self._failing_since > LOG_AGAIN_SECONDS:
            self._failing, self._failing_since = reason, monotonic()
            log.error("requests are refused: %s", reason)

    def _refuse(
        self, session: ChatSession, event: str, ack_id: int | None, error: Exception
    ) -> None:
        self._answers.refuse(session, event, ack_id, self._refusal(event, error))

    def _refusal(self, event: str, error: Exception) -> ProtocolError:
        """Count and log an error, and return what the client is told of it."""
        if isinstance(error, ProtocolError):
            self._too_fast += error.code is Code.TOO_FAST
            return error
        if isinstance(error, StoreError):
            self._log_failing(str(error))
            return ProtocolError(
                Code.UNAVAILABLE, "the store cannot be reached: try again", retry_after=1.0
            )
        self._failures += 1
        log.error("%s failed", event[:MAX_EVENT_NAME_SHOWN], exc_info=error)
        return ProtocolError(Code.INTERNAL, "internal server error")
