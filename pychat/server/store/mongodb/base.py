"""What the parts of the MongoDB store share: the database, counters, errors in clear words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from pymongo import ReturnDocument
from pymongo.errors import (
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
    """One line about why the database does not do what it is asked."""
    match error:
        case InvalidURI() | ConfigurationError() | ValueError():
            return f"not a MongoDB address: {error}"
        case OperationFailure(code=code) if code in (_UNAUTHORIZED, _AUTHENTICATION_FAILED):
            return f"{location} refuses this user name or password"
        case ConnectionFailure():
            return f"no answer from {location}: is the database running?"
    return f"{location}: {' '.join(str(error).split())[:300]}"


class MongoPart:
    """The database, while the store is open."""

    location: str
    _database: Database
    _lease: Lease | None
    _counting: asyncio.Lock

    async def _next(self, counter: str, count: int = 1) -> int:
        """The first of so many new numbers; they are never given again."""
        # MongoDB needs no lock for it; FerretDB gives one number to two who ask at once.
        async with self._counting:
            after = await self._database["meta"].find_one_and_update(
                {"_id": counter},
                {"$inc": {"value": count}},
                return_document=ReturnDocument.AFTER,
            )
        assert after is not None  # prepared when the store was made
        return int(after["value"]) - count + 1


Part = TypeVar("Part", bound=MongoPart)


def query(
    method: Callable[Concatenate[Part, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Part, P], Coroutine[Any, Any, T]]:
    """Tells the driver's errors as StoreUnavailable, and refuses once another server has taken the
    store over."""

    @wraps(method)
    async def guarded(self: Part, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._lease:
            self._lease.check_not_lost()
        try:
            return await method(self, *args, **kwargs)
        except PyMongoError as error:
            if self._lease:
                self._lease.doubt()
            raise StoreUnavailable(explain(error, self.location)) from error

    return guarded


def change(
    method: Callable[Concatenate[Part, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Part, P], Coroutine[Any, Any, T]]:
    """The same, and refuses already if another server may have taken the store over."""
    guarded = query(method)

    @wraps(method)
    async def held(self: Part, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._lease:
            self._lease.check()
        return await guarded(self, *args, **kwargs)

    return held
