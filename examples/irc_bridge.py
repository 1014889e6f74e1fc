"""Connect a room with an IRC channel: what is said in one appears in the other.

    pychat room create --user alice '#python'
    export PYCHAT_PASSWORD="4 long bridges"
    python irc_bridge.py '#python' irc.libera.chat 6697 '#my-channel'

The bridge logs in as `irc`, joins the room, and reconnects to both sides. Messages that are written
in the room while IRC is away are sent later, in order.
"""

import asyncio
import os
import re
import sys

from pychat.client import ChatClient, ChatClientError

SERVER = os.environ.get("PYCHAT_SERVER", "http://127.0.0.1:3000")
USER = os.environ.get("PYCHAT_USER", "irc")
TLS_PORT = 6697
MAX_LINE_BYTES = 400  # IRC allows 512 with the sender's address, which the IRC server adds
RETRY_SECONDS = 10
FORMATTING = re.compile(r"\x03(?:\d\d?(?:,\d\d?)?)?|[\x02\x0f\x11\x16\x1d\x1e\x1f]")
MESSAGE = re.compile(r":([^!\s]+)\S* PRIVMSG (\S+) :(.*)")


class Irc:
    """One connection to an IRC server, in one channel."""

    def __init__(self, host: str, port: int, channel: str, nick: str) -> None:
        self._address, self._channel, self._nick = (host, port), channel, nick

    async def connect(self) -> None:
        host, port = self._address
        self._reader, self._writer = await asyncio.open_connection(
            host, port, ssl=port == TLS_PORT or None
        )
        await self._write(f"NICK {self._nick}", f"USER {self._nick} 0 * :pychat bridge")
        while " 001 " not in await self._line():  # 001 welcomes
            pass
        await self._write(f"JOIN {self._channel}")

    async def say(self, sender: str, text: str) -> None:
        for line in text.splitlines():
            while line:
                head = line.encode()[:MAX_LINE_BYTES].decode(errors="ignore")
                line = line[len(head) :]
                await self._write(f"PRIVMSG {self._channel} :<{sender}> {head}")

    async def next(self) -> tuple[str, str]:
        """Return the sender and the text of the next message in the channel."""
        while True:
            match = MESSAGE.fullmatch(await self._line())
            if match and match[2].lower() == self._channel.lower():
                return match[1], FORMATTING.sub("", match[3])

    def close(self) -> None:
        self._writer.close()

    async def _line(self) -> str:
        line = (await self._reader.readuntil(b"\n")).decode(errors="replace").rstrip("\r\n")
        if line.startswith("PING"):
            await self._write(line.replace("PING", "PONG", 1))
        return line

    async def _write(self, *lines: str) -> None:
        self._writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self._writer.drain()


async def to_irc(client: ChatClient, room: str, irc: Irc) -> None:
    # A message counts as delivered when the next one is asked for: after an error it comes again.
    async for message in client.messages():
        if message.conversation == room and message.text:
            await irc.say(message.sender, message.text)


async def to_room(client: ChatClient, room: str, irc: Irc) -> None:
    while True:
        sender, text = await irc.next()
        client.post(room, f"<{sender}> {text}")  # returns at once: IRC's pings must be answered


async def main(room: str, host: str, port: str, channel: str) -> None:
    password = os.environ.get("PYCHAT_PASSWORD", "")
    async with ChatClient(SERVER, user=USER, password=password) as client:
        await client.join_room(room.removeprefix("#"))
        irc = Irc(host, int(port), channel, USER)
        while True:
            try:
                await irc.connect()
                print(f"{room} is connected with {channel} on {host}", flush=True)
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(to_irc(client, room, irc))
                        tasks.create_task(to_room(client, room, irc))
                finally:
                    irc.close()
            except* (OSError, EOFError, asyncio.LimitOverrunError) as group:
                print(f"IRC is away: {group.exceptions[0]!r}", file=sys.stderr)
            await asyncio.sleep(RETRY_SECONDS)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit("usage: irc_bridge.py '#room' HOST PORT '#channel'")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except (ChatClientError, KeyboardInterrupt) as end:
        raise SystemExit(str(end) or 130) from None
