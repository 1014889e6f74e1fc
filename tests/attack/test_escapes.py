"""HTML, scripts and terminal escapes in every field, looked at in a real browser and terminal."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import expect

from tests.attack.report import Tell
from tests.attack.wire import PASSWORD, Client, connect
from tests.e2e.browser import chromium
from tests.e2e.page.chatpage import ChatPage
from tests.e2e.tmux import Terminal
from tests.processes import PYCHAT
from tests.serving import serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

# Ids and names of rooms have 64 characters at most, and ids no control characters.
HTML = [
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<svg onload=window.hacked=1>",
    "'\"><b onmouseover=hacked=1>x",
    "javascript:window.hacked=1",
    "${window.hacked=1}{{hacked=1}}",
]
TERMINAL = [
    "\x1b]0;HACKED TITLE\x07",
    "\x1b]2;HACKED TITLE\x1b\\",
    "\x1b]52;c;SEFDS0VE\x07",
    "\x1b[31mred\x1b[0m",
    "\x1b[2J\x1b[H\x1b[?1049l",
    "\x9b31mC1\x9d0;HACKED TITLE\x9c",
    "\x1bP+q544e\x1b\\\x1b[6n\x1b[c",
    "\u202eevil\u2066",
    "[red]markup[/] [/x] [@click=app.quit]x[/]",
    "\x08\x08\x08\x7f\r overwritten",
]


async def _spread(attacker: Client, id: str, texts: list[str]) -> None:
    """Each text as a message, as the name of a room, and as an alias."""
    await attacker.login(id, alias=texts[0])
    for number, text in enumerate(texts):
        message = {"sender": id, "recepient": "victim", "command": "chat", "data": text + " seen"}
        assert (await attacker.ask("message", message))["code"] in ("200", "202")
        await attacker.ask("message", {**message, "recepient": "ALL"})
        room = {"command": "create", "roomId": f"room {number}", "roomName": text}
        assert (await attacker.ask("room", room))["code"] == "200"
        await attacker.ask("typing", {"recepient": "victim", "typing": True})
    await attacker.ask(
        "message", {"sender": id, "recepient": "victim", "command": "chat", "data": "that was all"}
    )


async def test_nothing_runs_in_the_browser(tell: Tell) -> None:
    async with (
        serving(limits=False) as server,
        aiohttp.ClientSession() as web,
        chromium() as browser,
    ):
        victim = await ChatPage.logged_in(browser, server.url, "victim")
        await _spread(await connect(web, server.url), HTML[1], HTML)
        rows = victim.page.locator("#conversations .conversation")
        await rows.filter(has_text="that was all").click()
        await expect(victim.page.locator(".message")).to_have_count(len(HTML) + 1)
        shown = await victim.page.locator(".message .text").all_text_contents()
        assert shown == [f"{text} seen" for text in HTML] + ["that was all"]
        assert await victim.page.evaluate("window.hacked") is None
        assert await victim.page.locator("#messages :is(script, img, svg[onload], b)").count() == 0
        assert victim.problems == []
        await victim.close()
    tell("HTML and scripts in id, alias, rooms and texts", 4 * len(HTML), "shown as text")


async def test_nothing_escapes_into_the_terminal(tell: Tell, tmp_path: Path) -> None:
    async with serving(limits=False) as server, aiohttp.ClientSession() as web:
        victim = await connect(web, server.url)
        await victim.login("victim")
        await _spread(await connect(web, server.url), "mallory", TERMINAL)
        command = [*PYCHAT, "connect", "--user", "victim", "--server", server.url]
        with Terminal(command, tmp_path, columns=110, rows=40) as terminal:
            terminal._call("set-option", "-g", "set-clipboard", "on")
            await terminal.expect("Password")
            terminal.write(PASSWORD)
            terminal.press("Enter")
            await terminal.expect("that was all")
            title = terminal._call("display-message", "-p", "#{pane_title}")
            terminal.press("M-Down")
            await terminal.expect("Message", "evil", "red")
            assert "HACKED" not in terminal._call("display-message", "-p", "#{pane_title}")
            assert terminal._call("display-message", "-p", "#{pane_title}") == title
            assert terminal._call("list-buffers") == ""
            screen = terminal.screen()
            assert "\x1b" not in screen
            assert "\u202e" not in screen
            assert terminal._call("display-message", "-p", "#{alternate_on}").strip() == "1"
            assert "[red]markup[/] [/x]" in screen
    tell(
        "terminal escapes in alias, rooms and texts",
        4 * len(TERMINAL),
        "title, clipboard as before",
    )
