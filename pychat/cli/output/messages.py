"""Print a message: a line of JSON for programs, text for people."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from pychat.client.models import MessageInfo
from pychat.client.safetext import safe_text

# JSON does not escape DEL, C1 controls (some terminals treat U+009B as ESC [) and bidi controls.
_OBEYED: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff]")


def json_line(value: Any) -> str:
    """Encode as JSON and escape control characters. No line feed at the end."""
    return harmless_json(msgspec.json.encode(value).decode())


def harmless_json(encoded: str) -> str:
    """Escape the characters in JSON text that could control a terminal."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", encoded)


def as_json(message: MessageInfo) -> str:
    """A message as one line of JSON, with the field names of docs/protocol.md. No line feed."""
    fields: dict[str, object] = {
        "with": message.conversation,
        "id": message.id,
        "seq": message.seq,
    }
    if message.removed:
        fields["removed"] = True
    else:
        fields |= {
            "sender": message.sender,
            "data": message.text,
            "sentAt": _utc(message.sent_at),
            "clientId": message.client_id,
        }
    return json_line(fields)


def as_text(message: MessageInfo, *, conversation: bool = False) -> str:
    """Time, sender and text, safe for a terminal. Further lines are indented.

    ``conversation`` also names the room or ALL, for output of several conversations.
    """
    if message.removed:
        return f"[{_local(message.sent_at)}] (removed)" if message.sent_at else "(removed)"
    sender = safe_text(message.sender, multiline=False)
    if conversation and message.conversation != message.sender:
        sender += f" → {safe_text(message.conversation, multiline=False)}"
    text = safe_text(message.text).replace("\n", "\n    ")
    return f"[{_local(message.sent_at)}] {sender}: {text}"


def _utc(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
