"""A value as a line of JSON, which is the same to a program and harmless in a terminal."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

# JSON leaves DEL, C1 controls (a terminal may take U+009B for ESC [) and bidi controls as they are.
_OBEYED: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff]")


def json_line(value: Any) -> str:
    """What a terminal would obey is escaped. No line feed at the end."""
    return harmless_json(msgspec.json.encode(value).decode())


def harmless_json(encoded: str) -> str:
    """The same value, for a terminal."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", encoded)
