"""The JSON that a server sends: whatever it is, what comes out can be compared, stored and shown.

A face like the standard ``json`` module's, for python-socketio.
"""

from __future__ import annotations

import json
from typing import Any, Final

UNREADABLE: Final = ["unreadable"]
"""Instead of what cannot be decoded: an event that nobody knows, an answer that is none."""


def dumps(value: Any, **options: Any) -> str:
    """As ``json.dumps``."""
    return json.dumps(value, **options)


def loads(text: str | bytes) -> Any:
    """As ``json.loads``, but lone surrogates become U+FFFD, NaN and the infinities null, and what
    is malformed or nested too deeply ``UNREADABLE``."""
    try:
        value = json.loads(text, parse_constant=lambda _: None)
        # Only an escape can bring a surrogate: UTF-8 cannot.
        escape = b"\\u" if isinstance(text, bytes) else "\\u"
        return _without_surrogates(value) if escape in text else value  # type: ignore[operator] # of the same type
    except (ValueError, RecursionError):
        return UNREADABLE


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
    return value
