"""Files: uploads within limits, who may read a file, and ``fileLink``."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Final

import msgspec
from msgspec import Struct

from pychat.protocol import (
    MAX_BLURHASH,
    MAX_FILE_NAME,
    MAX_PIXELS,
    Code,
    FileLinkAnswer,
    FileLinkRequest,
    FilePayload,
    ProtocolError,
    decode,
)
from pychat.server.chat.accounts.authentication import token_hash
from pychat.server.chat.answers import Answers, require_acknowledgement
from pychat.server.chat.clock import now, rfc3339
from pychat.server.chat.limits import Limiter
from pychat.server.chat.notices.file_links import FileLinks
from pychat.server.chat.state.directory import Directory
from pychat.server.chat.state.entities import OnlineUser, Room
from pychat.server.chat.state.session import ChatSession, Work
from pychat.server.chat.views import file_payload
from pychat.server.store.base import Store, StoreFull
from pychat.server.store.files import Blob
from pychat.server.store.records import FileRecord
from pychat.visible import file_name, file_size

LINK = msgspec.json.Decoder(FileLinkRequest)

AT_ONCE: Final = 2
"""Uploads of an account at the same time."""
LINK_SECONDS: Final = 600
UNATTACHED_MS: Final = 3600 * 1000
"""How long an uploaded file waits for its message."""


class FileSettings(Struct, frozen=True):
    """``largest``: limit for one file, in bytes. ``quota``: limit for all files of an account, None
    for no limit. ``public_url``: the server's address for links in the texts of original clients;
    empty for texts without links."""

    largest: int = 25_000_000
    quota: int | None = None
    public_url: str = ""


class OfferedFile(Struct, frozen=True):
    """What a client says of a file before it sends the content."""

    size: int
    name: str = ""
    width: int | None = None
    height: int | None = None
    blurhash: str = ""


class Upload:
    """An upload that has been admitted. ``close`` must be called; it discards what is not
    finished."""

    def __init__(self, store: Store, uploads: Uploads, account: int, file: OfferedFile) -> None:
        self._store = store
        self._uploads = uploads
        self._account = account
        self._file = file
        self._id = secrets.token_hex(16)
        self._blob: Blob | None = None

    async def write(self, data: bytes) -> None:
        """Append to the content. Raises StoreError, and ProtocolError 507."""
        try:
            if self._blob is None:
                self._blob = await self._store.new_blob(self._id)
            await self._blob.write(data)
        except StoreFull:
            raise _no_space() from None

    async def finish(self, mime: str) -> FilePayload:
        """Store the file. All of its content has been written. Raises StoreError, and ProtocolError
        507."""
        assert self._blob is not None
        file = FileRecord(
            self._id,
            self._account,
            file_name(self._file.name, MAX_FILE_NAME),
            self._file.size,
            mime,
            now(),
            self._file.width,
            self._file.height,
            self._file.blurhash,
        )
        try:
            await self._blob.finish(file)
        except StoreFull:
            raise _no_space() from None
        self._blob = None
        return file_payload(file)

    def close(self) -> None:
        """End the upload."""
        if self._blob is not None:
            self._blob.discard()
        self._uploads.ended(self._account, self._file.size)


def _no_space() -> ProtocolError:
    return ProtocolError(Code.NO_SPACE, "the server has no space for files: tell its operator")


class Uploads:
    """Counts the uploads that are under way."""

    def __init__(self) -> None:
        self._count: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()

    def begin(self, account: int, size: int) -> None:
        """Raises ProtocolError 429."""
        if self._count[account] >= AT_ONCE:
            raise ProtocolError(
                Code.TOO_FAST,
                f"you are already uploading {AT_ONCE} files: wait for one to end",
                retry_after=1.0,
            )
        self._count[account] += 1
        self._bytes[account] += size

    def bytes_of(self, account: int) -> int:
        """Return how many bytes an account is uploading."""
        return self._bytes[account]

    def ended(self, account: int, size: int) -> None:
        self._count[account] -= 1
        self._bytes[account] -= size
        if not self._count[account]:
            del self._count[account], self._bytes[account]


class FileAccess:
    """Methods that read the store raise StoreError."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        links: FileLinks,
        limiter: Limiter,
        answers: Answers,
        settings: FileSettings,
        *,
        tokens: bool,
    ) -> None:
        """``tokens``: whether logins have tokens. With open accounts they have none."""
        self._store = store
        self._directory = directory
        self._links = links
        self._limiter = limiter
        self._answers = answers
        self._settings = settings
        self._tokens = tokens
        self._uploads = Uploads()

    # --- upload ---
    async def begin(self, token: str, file: OfferedFile) -> Upload:
        """Admit an upload. Raises ProtocolError: 400 for what was offered, 401 for the token, 403
        if the account is disabled, 413, 429, 507."""
        account = await self._account_of(token)
        self._limiter.take(account, "messages")
        self._check(file)
        self._uploads.begin(account, file.size)
        try:
            await self._require_space(account, file.size)
        except BaseException:
            self._uploads.ended(account, file.size)
            raise
        return Upload(self._store, self._uploads, account, file)

    def _check(self, file: OfferedFile) -> None:
        if file.size <= 0:
            raise ProtocolError(Code.MALFORMED, "an empty file cannot be sent")
        if file.size > self._settings.largest:
            raise ProtocolError(
                Code.TOO_LARGE, f"a file may have at most {file_size(self._settings.largest)}"
            )
        for field, value in (("width", file.width), ("height", file.height)):
            if value is not None and not 1 <= value <= MAX_PIXELS:
                raise ProtocolError(Code.MALFORMED, f"must be from 1 to {MAX_PIXELS}", field=field)
        blurhash = file.blurhash
        if len(blurhash) > MAX_BLURHASH or not (blurhash.isascii() and blurhash.isprintable()):
            raise ProtocolError(
                Code.MALFORMED,
                f"must have at most {MAX_BLURHASH} characters of ASCII",
                field="blurhash",
            )

    async def _require_space(self, account: int, size: int) -> None:
        quota = self._settings.quota
        if quota is not None:
            used = await self._store.file_bytes(account)
            if used + self._uploads.bytes_of(account) > quota:
                raise ProtocolError(
                    Code.TOO_LARGE,
                    f"your files would have more than {file_size(quota)}: remove messages with"
                    " files",
                )
        if not await self._store.has_room(size):
            raise _no_space()

    async def expire(self) -> None:
        """Delete files that no message came for."""
        await self._store.expire_files(now() - UNATTACHED_MS)

    # --- who may read ---
    async def read_by_token(self, id: str, token: str) -> FileRecord:
        """Return a file that the owner of the token may read. Raises ProtocolError 401, 403 or
        404."""
        return await self._readable(id, await self._account_of(token))

    async def read_by_link(self, id: str, account: int, until: int, sign: str) -> FileRecord:
        """Return the file of a signed link, if its account may still read it. Raises ProtocolError
        403 or 404."""
        await self._links.load()
        if not self._links.is_valid(id, account, until, sign):
            raise ProtocolError(Code.FORBIDDEN, "this link is not valid any more: get another one")
        await self._require_enabled(account)
        return await self._readable(id, account)

    async def _account_of(self, token: str) -> int:
        if not self._tokens:
            raise ProtocolError(
                Code.FORBIDDEN,
                "with open accounts nobody can prove who they are: files need another server"
                " (--accounts claim or closed)",
            )
        record = await self._store.login_token(token_hash(token)) if token else None
        if record is None or record.expires_at <= now():
            raise ProtocolError(
                Code.UNAUTHORIZED, "send the token of a login as 'Authorization: Bearer TOKEN'"
            )
        await self._require_enabled(record.account)
        return record.account

    async def _require_enabled(self, account: int) -> None:
        accounts = await self._store.accounts([account])
        if not accounts or accounts[0].disabled:
            raise ProtocolError(Code.FORBIDDEN, "this id is disabled")

    async def _readable(self, id: str, account: int) -> FileRecord:
        file = await self._store.file(id)
        user = (await self._directory.users({account})).get(account)
        if file is None or user is None or not await self._may_read(user, file):
            raise ProtocolError(Code.NOT_FOUND, "there is no such file", field="id")
        return file

    async def _may_read(self, user: OnlineUser, file: FileRecord) -> bool:
        if file.message is None:
            return file.account == user.key
        key, seq = file.message
        conversation = (await self._directory.conversations({key})).get(key)
        if conversation is None or (isinstance(conversation, Room) and conversation.deleted):
            return False
        # Not ``user.blocked``: it is only known while the user is online.
        if file.account in await self._store.blocked(user.key):
            return False
        return await self._directory.memberships.may_read(conversation, user, seq)

    # --- fileLink ---
    def link(self, session: ChatSession, payload: bytes, ack_id: int | None) -> Work:
        user = session.require_user()
        request = decode(LINK, payload)
        ack_id = require_acknowledgement(ack_id)
        self._limiter.take(user.key, "queries")
        return self._link(session, user, request.id, ack_id)

    async def _link(self, session: ChatSession, user: OnlineUser, id: str, ack_id: int) -> None:
        file = await self._readable(id, user.key)
        await self._links.load()
        until = now() // 1000 + LINK_SECONDS
        answer = FileLinkAnswer(
            Code.DONE,
            "done",
            url=self._links.path(file, user.key, until),
            expires=rfc3339(until * 1000),
        )
        self._answers.answer(session, ack_id, answer)
