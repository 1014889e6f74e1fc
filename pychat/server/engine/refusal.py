"""Refusals of a request, in Engine.IO's words."""

from __future__ import annotations

import json


class Refused(Exception):
    """The request is answered with an error of Engine.IO: its code, its message, the status."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    @property
    def body(self) -> bytes:
        """JSON, as Node's."""
        return json.dumps({"code": self.code, "message": self.message}).encode()


def bad_request() -> Refused:
    """Node's answer to what a session does not allow now."""
    return Refused(3, "Bad request")


def body_too_slow() -> Refused:
    """For a body that has not come in time."""
    return Refused(3, "The body took too long", 408)
