"""The server's log, as text or JSON lines. Passwords, tokens and messages are never logged."""

from __future__ import annotations

import json
import logging
import sys
from typing import Literal

from pychat.server.chat.clock import rfc3339

LogFormat = Literal["text", "json"]


class TextFormatter(logging.Formatter):
    """Lines such as ``2026-11-23T01:36:00.000Z INFO …``.

    Control characters are escaped, so that text from a client cannot start a line or set a colour.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = f"{_time(record)} {record.levelname} {_plain(record.getMessage())}"
        fields = getattr(record, "fields", None)
        if fields:
            line += "".join(f" {name}={_plain(str(value))!r}" for name, value in fields.items())
        if record.exc_info:
            line += "\n" + "\n".join(
                "  " + _plain(part) for part in self.formatException(record.exc_info).splitlines()
            )
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, ``fields``, exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def configure(level: str, format: LogFormat) -> None:
    """Set up the root logger to write to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # The gate logs what clients do wrong.
    logging.getLogger("aiohttp").setLevel(max(logging.WARNING, logging.root.level))


def _time(record: logging.LogRecord) -> str:
    return rfc3339(int(record.created * 1000))


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
