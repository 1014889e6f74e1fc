"""Text of peers is read in linear time (docs/explanation/linear.md): patterns, loops, server.

``nox -s attack`` tries many more texts, and longer ones.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.style import Style

from pychat import protocol
from pychat.cli.output.results import json_line
from pychat.client.connection import packets
from pychat.client.errors import RequestRefused
from pychat.client.safetext import safe_text
from pychat.protocol import ProtocolError
from pychat.server.chat.state import mentions
from pychat.server.chat.state.entities import Room
from pychat.server.engine.codec import packet, payload
from pychat.server.engine.codec.packet import MalformedPacket
from pychat.server.store import terms
from pychat.server.store.records import RoomRecord
from pychat.slacktext import slack_text
from pychat.tui.log import paint, rows
from pychat.tui.model import finder
from pychat.tui.model.members import mentionable
from pychat.tui.terminal.keyboard import Keyboard
from pychat.tui.text import graphemes, markdown
from pychat.tui.text.names import Name
from pychat.tui.widgets import completions
from tests.attack import linear, sources
from tests.attack.process import server_process
from tests.attack.report import Tell
from tests.attack.wire import browsing, open_socket

PATTERNS = sorted(sources.listed_python().items())
COMBINATIONS = 10 + linear.CASES // 2000


def test_every_pattern_is_listed() -> None:
    found = Counter(sources.python_patterns())
    found.update((file, place) for file, place, _ in sources.page_patterns())
    listed = Counter(sources.listed_python().keys()) + sources.listed_page()
    assert not found - listed, "list them in docs/explanation/linear.md, with the reason"
    assert not listed - found, "docs/explanation/linear.md lists what is not there any more"


def _pattern(file: str, name: str) -> re.Pattern[Any]:
    module = import_module(file.removesuffix(".py").replace("/", "."))
    found = getattr(module, name)
    compiled = getattr(found, "__self__", found)  # a method of one
    assert isinstance(compiled, re.Pattern)
    return compiled


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("file", "name", "used"), [(*key, used) for key, used in PATTERNS], ids=lambda part: part
)
def test_patterns_are_linear(file: str, name: str, used: str) -> None:
    pattern = _pattern(file, name)
    source = pattern.pattern
    reads_bytes = isinstance(source, bytes)

    def run(text: str) -> object:
        subject = text.encode("utf-8", "surrogatepass") if reads_bytes else text
        if used == "sub":
            return pattern.sub(b"" if reads_bytes else "", subject)
        if used == "finditer":
            return sum(1 for _ in pattern.finditer(subject))
        return getattr(pattern, used)(subject)

    own = source.decode("latin-1") if isinstance(source, bytes) else source
    pieces = sorted({character for character in own[:200] if character.isprintable()})
    for text in linear.texts(name, COMBINATIONS, pieces):
        linear.check_linear(run, text)


def _decoded_v3(text: str) -> object:
    return list(payload.DecoderV3().text(text.encode("utf-8", "replace")))


def _painted(text: str) -> object:
    drawn = rows._wrapped(markdown.format_message(text), 60)
    return [paint.paint(row, 66, STYLES) for row in drawn]


def _people(letters: str) -> list[Name]:
    return mentionable(letters, ["bob"], [("bob", "Bob Marsh"), (letters, letters)])


def _completed(text: str) -> object:
    found = completions.candidates(text, first_line=True, mentionable=_people)
    return found, completions.closed_emoji(text)


LOGIN = msgspec.json.Decoder(protocol.LoginRequest)
STYLES: dict[str, Style] = defaultdict(Style)
NUMBERS = count()
ROOM = Room(RoomRecord("r", "r", 1, 2), "alice")
ROOM.members = {1: 1}
ROOM.ids, ROOM.keys = {1: "alice"}, {"alice": 1}
READERS: dict[str, Callable[[str], object]] = {
    "check_depth": lambda text: packet.check_depth('["a",' + "[]" * 40 + '"' + text),
    "read_packet": lambda text: packet.read_packet("4" + text),
    "read_event": lambda text: packet.read_event('["a","' + text),
    "decode_v4": lambda text: list(payload.decode_v4(text.encode("utf-8", "replace"))),
    "DecoderV3.text": _decoded_v3,
    "DecoderV3.binary": lambda text: list(payload.DecoderV3().binary(text.encode("utf-16"))),
    "decode_jsonp": lambda text: payload.decode_jsonp(b"d=" + text.encode("utf-8", "replace")),
    "decode": lambda text: protocol.decode(LOGIN, ('{"id":"' + text).encode("utf-8", "replace")),
    # Never the same: what it said is remembered.
    "canonical_id": lambda text: protocol.canonical_id(f"{text} {next(NUMBERS)}"),
    "fold": terms.fold,
    "terms": terms.terms,
    "Query.matches": lambda text: terms.Query((text[:50] + " a b c d e")[-256:]).matches(text),
    "safe_text": safe_text,
    "packets.loads": lambda text: packets.loads('["' + text),
    "json_line": json_line,
    "slack_text": slack_text,
    "mentions": lambda text: mentions._find(ROOM, text, may_mention_all=True, seq=None),
    "RequestRefused": lambda text: RequestRefused("400", text),
    "format_message": markdown.format_message,
    "links": markdown.links,
    "trim_link": lambda text: markdown.trim_link("https://" + text),
    "graphemes": graphemes.graphemes,
    "wrap": lambda text: graphemes.wrap(text, 40),
    "wrap.fold": lambda text: graphemes.fold(text, 40),
    "_wrapped": lambda text: rows._wrapped(markdown.format_message(text), 20),
    "paint": _painted,
    "Keyboard.feed": lambda text: Keyboard().feed("\x1b[200~" + text),
    "fuzzy": lambda text: finder.fuzzy("abc", text),
    "completion": _completed,
}


@pytest.mark.e2e
@pytest.mark.parametrize("name", READERS)
def test_what_reads_text_is_linear(name: str) -> None:
    read = READERS[name]

    def run(text: str) -> object:
        try:
            return read(text)
        except (MalformedPacket, ProtocolError, ValueError):
            return None

    for text in linear.texts(name, COMBINATIONS, []):
        linear.check_linear(run, text)


@pytest.mark.e2e
@pytest.mark.alone
def test_the_page_is_linear(tmp_path: Path, tell: Tell) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not there")
    shutil.copytree(sources.PAGE, tmp_path / "js")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    script = Path(__file__).with_name("linear.mjs")
    patterns = [
        (f"{file} {place}", *re.fullmatch(r"/(.*)/(\w*)", source, re.DOTALL).groups())
        for file, place, source in sources.page_patterns()
    ]
    question = {
        "patterns": patterns,
        "pieces": linear.COMMON,
        "cases": COMBINATIONS,
        "measured": linear.MEASURED,
        "shortest": linear.SHORTEST,
        "longest": linear.LONGEST,
        "most": linear.MOST,
    }
    done = subprocess.run(
        [node, str(script), str(tmp_path / "js")],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    assert result["problems"] == []
    tell("hostile texts of doubling size in the page", result["tried"], "linear time")


STALLING = '42["a",' + "[]" * 40 + '"' + '\\"' * 60_000
"""It took 167 s in one piece once."""
ANSWERED_WITHIN = 1.0


@pytest.mark.e2e
@pytest.mark.alone
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_one_frame_does_not_stop_the_server(
    tmp_path: Path, tell: Tell, transport: str
) -> None:
    async with server_process(tmp_path) as server, browsing() as web:
        for _ in range(5):
            if transport == "websocket":
                socket = await open_socket(web, server.url)
                await socket.send_str("40")
                await socket.send_str(STALLING)
            else:
                address = f"{server.url}/socket.io/?EIO=4&transport=polling"
                async with web.get(address) as answer:
                    sid = json.loads((await answer.text())[1:])["sid"]
                async with web.post(f"{address}&sid={sid}", data="40") as answer:
                    assert answer.status == 200
                # Not waited for: what is asked next is answered after it.
                sending = asyncio.ensure_future(
                    web.post(f"{address}&sid={sid}", data=STALLING.encode())
                )
                await asyncio.sleep(0)
            started = time.monotonic()
            async with web.get(f"{server.url}/healthz") as answer:
                assert answer.status == 200
            assert time.monotonic() - started < ANSWERED_WITHIN
            if transport == "polling":
                (await sending).close()
        assert server.processor_time() < 10
    tell(f"a frame of 120 KB that took 167 s, by {transport}", 5, "/healthz answers at once")
