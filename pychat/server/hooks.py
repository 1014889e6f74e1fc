"""``POST /hooks/TOKEN``: incoming webhooks with Slack's basic payload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs

import msgspec
from aiohttp import web
from msgspec import Struct

from pychat.protocol import MAX_DATA_BYTES, Code, ProtocolError
from pychat.server.chat.chat import Chat
from pychat.server.guard.gate import HEADERS
from pychat.server.site import refused
from pychat.slacktext import slack_text

MAX_BODY: Final = 6 * MAX_DATA_BYTES
"""Bytes. JSON writes a byte of text in up to six (``\\u0000``)."""
BODY_SECONDS: Final = 10.0
"""Time limit for the body."""
MAX_KEY: Final = 255
"""Characters of the header Idempotency-Key."""
_FORM: Final = "application/x-www-form-urlencoded"


class _Payload(Struct):
    """What Slack calls a basic message. Other fields are ignored."""

    text: str = ""


_payload: Final = msgspec.json.Decoder(_Payload)


def add_hooks(app: web.Application, chat: Callable[[], Chat]) -> None:
    """Serve ``POST /hooks/TOKEN``. The answer is ``ok`` once the message is stored."""

    async def hook(request: web.Request) -> web.Response:
        token = request.match_info["token"]
        try:
            # First: without a token, nobody makes the server read and decode a body.
            await chat().admit_hook(token)
            key = _key(request)
            text = _text(await _body(request), request)
            await chat().post(token, text, key)
        except ProtocolError as error:
            response = refused(error)
            if error.code is Code.TOO_LARGE:
                response.force_close()
            return response
        return web.Response(text="ok", headers=HEADERS)

    app.router.add_post("/hooks/{token:[A-Za-z0-9_-]{1,100}}", hook)


def _key(request: web.Request) -> str | None:
    """Return the key of a request that may be repeated. Raises ProtocolError 400."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise ProtocolError(
            Code.MALFORMED,
            f"must be 1 to {MAX_KEY} printable ASCII characters",
            field="Idempotency-Key",
        )
    return key


async def _body(request: web.Request) -> bytes:
    """Read the body. Raises ProtocolError 400 or 413."""
    too_large = ProtocolError(Code.TOO_LARGE, f"the body must have at most {MAX_BODY} bytes")
    if (request.content_length or 0) > MAX_BODY:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.content.iter_any():
                body += part
                if len(body) > MAX_BODY:
                    raise too_large
    except TimeoutError:
        raise ProtocolError(
            Code.MALFORMED, f"the body must arrive within {BODY_SECONDS:.0f} s"
        ) from None
    except web.RequestPayloadError:
        raise ProtocolError(Code.MALFORMED, "the body is damaged") from None
    return bytes(body)


def _text(body: bytes, request: web.Request) -> str:
    """Return the text of a payload, as JSON or as the form field ``payload``. Raises
    ProtocolError 400."""
    try:
        # curl -d calls JSON a form, too.
        if request.content_type == _FORM and not body.lstrip().startswith(b"{"):
            body = parse_qs(body.decode(), max_num_fields=10).get("payload", [""])[0].encode()
        text = _payload.decode(body).text
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise ProtocolError(
            Code.MALFORMED, 'the body must be JSON like {"text": "Hello"}, or a form with payload='
        ) from None
    shown = slack_text(text)
    if not shown.strip():
        raise ProtocolError(Code.MALFORMED, "text must not be empty")
    return shown
