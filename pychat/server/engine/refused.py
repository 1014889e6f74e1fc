"""Refused: an Engine.IO request that is answered with an error."""

from __future__ import annotations

import json


class Refused(Exception):
    """The request is refused: Engine.IO error code, message, HTTP status."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    @property
    def body(self) -> bytes:
        """The error as JSON, in the format of Node's server."""
        return json.dumps({"code": self.code, "message": self.message}).encode()


def bad_request() -> Refused:
    """The error for a request that the session's state does not allow; the text is Node's."""
    return Refused(3, "Bad request")


def body_too_slow() -> Refused:
    """The error for a request body that did not arrive in time."""
    return Refused(3, "The body took too long", 408)
