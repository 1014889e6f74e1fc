"""What the parts of the MongoDB store share: the database, counters, and errors as StoreErrors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from pymongo import ReturnDocument
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)

from pychat.server.store.base import StoreUnavailable
from pychat.server.store.mongodb.lease import Lease
from pychat.server.store.mongodb.schema import Database

P = ParamSpec("P")
T = TypeVar("T")

_UNAUTHORIZED, _AUTHENTICATION_FAILED = 13, 18


def explain(error: PyMongoError | ValueError, location: str) -> str:
    """Return one line that says what is wrong with the address or the database."""
    reason = str(error)
    match error:
        case InvalidURI() | ConfigurationError() | ValueError():
            return f"not a MongoDB address: {error}"
        case OperationFailure(code=code) if code in (_UNAUTHORIZED, _AUTHENTICATION_FAILED):
            return f"{location} refuses this user name or password"
        case ConnectionFailure():
            return f"no answer from {location}: is the database running?"
        case BulkWriteError(details={"writeErrors": [{"errmsg": str(first)}, *_]}):
            reason = first
    return f"{location}: {' '.join(reason.split())[:300]}"


class MongoPart:
    """Base of the parts. The database is set while the store is open."""

    location: str
    _database: Database
    _lease: Lease | None
    _counting: asyncio.Lock

    async def _next(self, counter: str, count: int = 1) -> int:
        """Reserve ``count`` numbers of a counter and return the first."""
        # MongoDB does not need the lock, but FerretDB 1 gives concurrent callers the same number.
        async with self._counting:
            after = await self._database["meta"].find_one_and_update(
                {"_id": counter},
                {"$inc": {"value": count}},
                return_document=ReturnDocument.AFTER,
            )
        assert after is not None  # schema.prepare has created it
        return int(after["value"]) - count + 1


Part = TypeVar("Part", bound=MongoPart)


def query(
    method: Callable[Concatenate[Part, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Part, P], Coroutine[Any, Any, T]]:
    """Raise the driver's errors as StoreUnavailable, and StoreLost once another server has taken
    over the store."""

    @wraps(method)
    async def guarded(self: Part, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._lease:
            self._lease.check_not_lost()
        try:
            return await method(self, *args, **kwargs)
        except PyMongoError as error:
            if self._lease:
                self._lease.note_failed()
            raise StoreUnavailable(explain(error, self.location)) from error

    return guarded


def change(
    method: Callable[Concatenate[Part, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Part, P], Coroutine[Any, Any, T]]:
    """Do the same as ``query``, and raise StoreUnavailable while another server may have taken
    over the store."""
    guarded = query(method)

    @wraps(method)
    async def held(self: Part, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._lease:
            self._lease.check()
        return await guarded(self, *args, **kwargs)

    return held
