"""Many messages quickly: of a hundred, only the last one's answer is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import socketio

AT_ONCE: Final = 100


async def say_many(url: str, sender: str, to: str, texts: Sequence[str]) -> None:
    """Returns when the server has stored them; accounts must be open, and limits off."""
    page = socketio.AsyncClient()
    await page.connect(url, transports=["websocket"])
    try:
        await page.call("login", {"id": sender, "password": "", "alias": sender, "today": ""})
        message = {"sender": sender, "recepient": to, "command": "chat", "type": "text"}
        for number, text in enumerate(texts, 1):
            if number % AT_ONCE and number < len(texts):
                await page.emit("message", {**message, "data": text})
            else:
                answer = await page.call("message", {**message, "data": text})
                assert answer["code"] in ("200", "202")
    finally:
        await page.disconnect()
