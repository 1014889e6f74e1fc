"""The bot of ``pychat demo``: answers a few commands and repeats everything else."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from pychat.bot import Bot, BotHandler, BotRequest
from pychat.client import ChatClient

BOT: Final = "bot"
ALIAS: Final = "Pip"

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
    bot = Bot(client)

    @bot.command("echo")
    async def echo(request):
        return request.text

    await bot.run()
```"""

LANGUAGES: Final = "안녕하세요 · こんにちは · 你好 · Привет · مرحبا · नमस्ते · 👋🏽 👩‍👩‍👧"

GREETING: Final = """Hello! 👋 I am Pip, a bot. Write **help** to see what I can do.
There is also a page: open {page} in a browser, log in with another id (any password works in \
this demo) and write to **{user}**. Or run this in another terminal:
`{command}`"""

_DICE: Final = re.compile(r"(?P<count>\d{0,2})d(?P<sides>\d{1,3})")


def demo_bot(client: ChatClient, *, pause: float = 0.6) -> Bot:
    """Return the bot, with the tricks as commands. In rooms and ALL, it answers to its name.

    ``pause``: seconds of typing before an answer.
    """
    bot = Bot(client, names=(BOT, "pip"))

    def answering(trick: Trick) -> BotHandler:
        async def answer(request: BotRequest) -> str:
            conversation = request.message.conversation
            client.typing(conversation, True)
            await asyncio.sleep(pause)
            client.typing(conversation, False)
            return trick(request.text, request.message.sender)

        return answer

    for name, trick in TRICKS.items():
        bot.command(name)(answering(trick))
    bot.mention(answering(lambda text, sender: f"You said: {text}"))
    return bot


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


Trick = Callable[[str, str], str]
"""Makes an answer from the text after the command, and the id of the sender."""

TRICKS: Final[dict[str, Trick]] = {
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
