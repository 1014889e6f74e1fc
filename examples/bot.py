"""A bot with two commands: `roll 2d6` and `choose tea, coffee`.

Start a server with `pychat serve`, then run this program and write to the bot:

    PYCHAT_PASSWORD="4 green parrots" python bot.py
"""

import asyncio
import os
import random
import re

from pychat.bot import Bot, BotRequest
from pychat.client import ChatClient, ChatClientError

SERVER = os.environ.get("PYCHAT_SERVER", "http://127.0.0.1:3000")
USER = os.environ.get("PYCHAT_USER", "parrot")
HELP = "I know `roll 2d6` and `choose tea, coffee`. In a room, begin with an exclamation mark."


async def roll(request: BotRequest) -> str:
    match = re.fullmatch(r"([1-9]|10)d(\d{1,3})", request.text or "1d6")
    if match is None or match[2].strip("0") == "":
        return "Write it as `roll 2d6`: up to 10 dice."
    dice = [random.randint(1, int(match[2])) for _ in range(int(match[1]))]
    return f"🎲 {' + '.join(map(str, dice))} = {sum(dice)}"


async def choose(request: BotRequest) -> str:
    choices = [choice.strip() for choice in request.text.split(",") if choice.strip()]
    return random.choice(choices) if choices else "Choose between what?"


async def say_help(request: BotRequest) -> str:
    return HELP


async def main() -> None:
    password = os.environ.get("PYCHAT_PASSWORD", "")
    async with ChatClient(SERVER, user=USER, password=password) as client:
        bot = Bot(client)
        bot.command("roll")(roll)
        bot.command("choose", "pick")(choose)
        bot.mention(say_help)
        print(f"{client.user} is online at {client.server}", flush=True)
        await bot.run()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (ChatClientError, KeyboardInterrupt) as end:
        raise SystemExit(str(end) or 130) from None
