"""Signed links to files, and files as text for clients of the original protocol."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final
from urllib.parse import quote

from pychat.server.chat.clock import now
from pychat.server.store.base import Store
from pychat.server.store.records import FileRecord
from pychat.visible import with_file

ORIGINAL_SECONDS: Final = 7 * 24 * 3600
"""How long the links work that original clients get as text."""


class FileLinks:
    """Makes and checks links that open a file as one account, without a token.

    ``public_url``: the address of the server for links in texts; without one, texts have no links.
    Links are neither stored nor logged. ``load`` must have returned before the other methods.
    """

    def __init__(self, store: Store, public_url: str = "") -> None:
        self._store = store
        self._public_url = public_url.rstrip("/")
        self._key = b""

    async def load(self) -> None:
        """Read the key. Raises StoreError."""
        if not self._key:
            self._key = await self._store.file_key()

    def path(self, file: FileRecord, account: int, until: int) -> str:
        """Return the link, relative to the server's address. ``until``: seconds since the
        epoch."""
        sign = self._sign(file.id, account, until)
        return f"files/{file.id}/{quote(file.name, safe='')}?by={account}&until={until}&sign={sign}"

    def is_valid(self, id: str, account: int, until: int, sign: str) -> bool:
        """Return whether a link is one of ours and has not expired. The caller checks what the
        account may read."""
        expected = self._sign(id, account, until)
        return hmac.compare_digest(expected.encode(), sign.encode()) and until * 1000 > now()

    def _sign(self, id: str, account: int, until: int) -> str:
        assert self._key
        digest = hmac.digest(self._key, f"{id} {account} {until}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def as_text(self, data: str, file: FileRecord, account: int) -> str:
        """Return the text of a message with a file for an original client of this account."""
        link = ""
        if self._public_url:
            until = now() // 1000 + ORIGINAL_SECONDS
            link = f"{self._public_url}/{self.path(file, account, until)}"
        return with_file(data, file.name, file.size, link)
