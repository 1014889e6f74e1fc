"""The bot of ``pychat demo``: answers a few commands and repeats everything else."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from pychat.client import ChatClient
from pychat.client.models import MessageInfo

BOT: Final = "bot"
ALIAS: Final = "Pip the bot"

HELP: Final = """Here is what I can do:
**time** – tell the time
**roll 2d6** – throw dice
**flip** – toss a coin
**reverse some words** – reverse the order of words
**shout some words** – LOUDER
**code** – show a code block
**languages** – show text in other scripts
I repeat everything else."""

CODE: Final = """This is all a bot needs:
```python
async with ChatClient(server, user="bot", password=secret) as client:
    async for message in client.messages():
        await client.send(message.conversation, message.text)
```"""

LANGUAGES: Final = "안녕하세요 · こんにちは · 你好 · Привет · مرحبا · नमस्ते · 👋🏽 👩‍👩‍👧"

GREETING: Final = """Hello! 👋 I am Pip, a bot. Write **help** to see what I can do.
There is also a page: open {page} in a browser, sign in with another id (any password works in \
this demo) and write to **{user}**. Or run this in another terminal:
`{command}`"""

_NAME: Final = re.compile(rf"\b{BOT}\b|\bpip\b", re.IGNORECASE)
_DICE: Final = re.compile(r"(?P<count>\d{0,2})d(?P<sides>\d{1,3})")


async def run_bot(client: ChatClient, *, pause: float = 0.6) -> None:
    """Answer messages until cancelled. ``pause``: seconds of typing before an answer."""
    async for message in client.messages():
        if message.removed or not is_for_bot(message):
            continue
        client.typing(message.conversation, True)
        await asyncio.sleep(pause)
        client.typing(message.conversation, False)
        await client.send(message.conversation, answer(message.text, message.sender))


def is_for_bot(message: MessageInfo) -> bool:
    """Whether to answer: one-to-one messages, and those in rooms and ALL that name the bot."""
    return message.conversation == message.sender or bool(_NAME.search(message.text))


def answer(text: str, sender: str) -> str:
    """The bot's answer to a text."""
    word, _, rest = text.strip().partition(" ")
    trick = TRICKS.get(word.lower().rstrip("!?.,"))
    if trick is None:
        return f"You said: {text}"
    return trick(rest.strip(), sender)


def _roll(rest: str, sender: str) -> str:
    match = _DICE.fullmatch(rest.lower()) if rest else _DICE.fullmatch("d6")
    count = int(match["count"] or 1) if match else 0
    sides = int(match["sides"]) if match else 0
    if not (1 <= count <= 20 and sides >= 2):
        return "Write it as **roll 2d6**: up to 20 dice of 2 to 999 sides."
    throws = [random.randint(1, sides) for _ in range(count)]
    total = f" = {sum(throws)}" if count > 1 else ""
    return "🎲 " + " + ".join(map(str, throws)) + total


def _flip(rest: str, sender: str) -> str:
    return random.choice(("🪙 Heads.", "🪙 Tails."))


def _time(rest: str, sender: str) -> str:
    return datetime.now().astimezone().strftime("It is %H:%M:%S on %A, %d %B %Y.")


def _reverse(rest: str, sender: str) -> str:
    return " ".join(reversed(rest.split())) or "Reverse what?"


def _shout(rest: str, sender: str) -> str:
    return f"{rest.upper()}!" if rest else "SHOUT WHAT?"


def _hello(rest: str, sender: str) -> str:
    return f"Hello {sender}! Write **help** to see what I can do."


def _thanks(rest: str, sender: str) -> str:
    return "You are welcome. 🙂"


def _bye(rest: str, sender: str) -> str:
    return f"Bye, {sender}. Come back soon."


TRICKS: Final[dict[str, Callable[[str, str], str]]] = {
    "help": lambda rest, sender: HELP,
    "code": lambda rest, sender: CODE,
    "languages": lambda rest, sender: LANGUAGES,
    "time": _time,
    "roll": _roll,
    "flip": _flip,
    "reverse": _reverse,
    "shout": _shout,
    **dict.fromkeys(("hello", "hi", "hey", "안녕", "안녕하세요"), _hello),
    **dict.fromkeys(("thanks", "thank"), _thanks),
    **dict.fromkeys(("bye", "goodbye"), _bye),
}
