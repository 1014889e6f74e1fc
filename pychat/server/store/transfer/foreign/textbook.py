"""The ``users`` collection of the textbook's MongoDB, as mongoexport writes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct, field

from pychat.protocol import MAX_PASSWORD_CHARACTERS
from pychat.server.store.base import StoreError
from pychat.server.store.transfer.foreign.collecting import Collector
from pychat.server.store.transfer.foreign.files import Files, decoded
from pychat.server.store.transfer.lines import YEAR_10000

HashPassword = Callable[[str, bytes], str]
"""Hash a password with a salt of 16 bytes."""


class _ObjectId(Struct):
    oid: str = field(name="$oid", default="")


class _Date(Struct):
    date: str | int | dict[str, str] = field(name="$date", default="")


class User(Struct):
    """A document. Early chapters have ``id`` and ``password``, later ones ``email``, a
    ``hashed_password`` and its ``salt``."""

    id: str = ""
    email: str = ""
    username: str = ""
    name: str = ""
    alias: str = ""
    password: str = ""
    hashed_password: str = ""
    key: _ObjectId | str = field(name="_id", default="")
    created_at: _Date | str | None = None


_one: Final = msgspec.json.Decoder(User)
_all: Final[msgspec.json.Decoder[list[msgspec.Raw]]] = msgspec.json.Decoder(list[msgspec.Raw])


def collect_users(files: Files, collector: Collector, hash_password: HashPassword) -> None:
    """Collect an account for each document. Passwords in plain text stay valid. Raises
    StoreError."""
    for place, content in _documents(files):
        user = decoded(_one, content, place)
        id = user.id or user.email or user.username
        if not id:
            raise StoreError(f"{place}: the document has neither id nor email nor username")
        key = user.key.oid if isinstance(user.key, _ObjectId) else user.key
        plain = 1 <= len(user.password) <= MAX_PASSWORD_CHARACTERS
        if user.hashed_password or (user.password and not plain):
            collector.leave_out("passwords that cannot be taken over", place)
        collector.person(
            place,
            id,
            alias=user.name or user.alias,
            created_at=_created_at(user, key, place),
            # The salt is always the same, so that a repeated import gives the same lines. An
            # ObjectId is unique, so no other store has this salt.
            password_hash=(
                hash_password(user.password, hashlib.sha256(f"{key} {id}".encode()).digest()[:16])
                if plain
                else None
            ),
        )


def _documents(files: Files) -> Iterator[tuple[str, bytes]]:
    """Yield the place and JSON of each document: one in a line, or all in one array."""
    for name in files.sizes:
        for place, line in files.lines(name):
            if line.lstrip().startswith("["):
                break
            if line.strip():
                yield place, line.encode()
        else:
            continue
        documents = decoded(_all, files.read(name), name)
        for number, raw in enumerate(documents, 1):
            yield f"{name}, document {number}", bytes(raw)


def _created_at(user: User, key: str, place: str) -> int:
    """Return milliseconds since the epoch. An ObjectId begins with the time of its creation."""
    date = user.created_at.date if isinstance(user.created_at, _Date) else user.created_at
    try:
        if isinstance(date, dict):
            date = int(date["$numberLong"])
        if isinstance(date, str) and date:
            date = int(datetime.fromisoformat(date).timestamp() * 1000)
        if isinstance(date, int):
            if not 0 <= date < YEAR_10000:
                raise ValueError
            return date
    except (KeyError, ValueError, OverflowError, OSError):
        raise StoreError(f"{place}: created_at is not a date from 1970 to 9999") from None
    try:
        return int(key[:8], 16) * 1000 if len(key) == 24 else 0
    except ValueError:
        return 0
