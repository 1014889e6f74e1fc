"""The message log as a widget: what is in view, and that it stays there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.selection import SELECT_ALL, Selection

from pychat.client.events import MessagesReset
from pychat.client.models import DeliveryStatus, FileInfo, HistoryPage, MessageInfo
from pychat.tui.app import ChatApp
from pychat.tui.log.transcript import Transcript
from pychat.tui.log.widget import MessageLog
from tests.tui import scenes
from tests.tui.driving import screen_text, wait_for, wait_text
from tests.tui.scripted import NOW, ScriptedClient


def message(seq: int, text: str = "") -> MessageInfo:
    return MessageInfo(
        "bob", "bob", text or f"line {seq} of the log", f"c{seq}", f"bob-{seq}", seq, NOW + seq
    )


def client_with(*seqs: int) -> ScriptedClient:
    client = ScriptedClient()
    client.say("bob", "hello", own=True)  # nothing of what follows is unread
    client.log["bob"] = [message(seq) for seq in seqs]
    return client


def rows(log: MessageLog) -> list[str]:
    """The rows in view, without their frame."""
    return [log.render_line(y).text.strip() for y in range(log.size.height)]


async def opened(app: ChatApp, pilot: Pilot[None]) -> MessageLog:
    app.chat.open("bob")
    await pilot.pause()
    return app.chat.view.log_view


@pytest.mark.e2e
async def test_it_follows_the_end_until_one_scrolls_up() -> None:
    app = scenes.app(client_with(*range(1, 101)))
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        assert "line 100 of the log" in rows(log)
        log.append([message(101)])
        await pilot.pause()
        assert "line 101 of the log" in rows(log)
        await pilot.press("pageup")
        before = rows(log)
        log.append([message(102), message(103, "long " * 200)])
        await pilot.pause()
        assert rows(log) == before
        await pilot.press("ctrl+end")
        assert rows(log)[-1].endswith("long")


@pytest.mark.e2e
async def test_older_messages_in_front_leave_the_view_still() -> None:
    client = client_with(*range(500, 601))
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        for _ in range(3):
            await pilot.press("pageup")
        before = rows(log)
        log.prepend([message(seq, "old words " * (seq % 40)) for seq in range(1, 500)])
        await pilot.pause()
        assert rows(log) == before
        log.scroll_relative(y=-1, animate=False)
        await pilot.pause()
        assert rows(log)[1:] == before[:-1]


@pytest.mark.e2e
async def test_scrolling_through_what_was_never_measured_skips_nothing() -> None:
    client = client_with(*range(300, 401))
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        old = [message(seq, f"old {seq}: " + "words " * (seq * 7 % 90)) for seq in range(200, 300)]
        log.prepend(old)
        seen: list[int] = []
        for _ in range(500):
            for row in reversed(rows(log)):
                if row.startswith("old ") and (seq := int(row[4 : row.index(":")])) not in seen:
                    seen.append(seq)
            if 200 in seen:
                break
            log.scroll_relative(y=-16, animate=False)
            await pilot.pause(0)
        assert seen == list(range(299, 199, -1))


@pytest.mark.e2e
async def test_a_new_width_keeps_the_message_at_the_top() -> None:
    client = client_with(*range(1, 301))
    for item in client.log["bob"]:
        item.text = f"line {item.seq}: " + "words " * (item.seq % 60)
    app = scenes.app(client)
    async with app.run_test(size=(100, 30)) as pilot:
        log = await opened(app, pilot)
        assert log.scroll_to_seq(150)
        await pilot.pause()
        log.scroll_relative(y=10, animate=False)
        await pilot.pause()
        top = rows(log)[0]
        assert top.startswith("line 15")
        await pilot.resize_terminal(70, 30)
        await pilot.pause()
        assert rows(log)[0].startswith(top[:9])
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        assert rows(log)[0] == top


@pytest.mark.e2e
async def test_the_same_place_is_shown_on_coming_back() -> None:
    client = client_with(*range(1, 201))
    client.say("carol", "hi")
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        for _ in range(4):
            await pilot.press("pageup")
        before = rows(log)
        app.chat.open("carol")
        await pilot.pause()
        assert "hi" in rows(log)
        app.chat.open("bob")
        await pilot.pause()
        assert rows(log) == before


@pytest.mark.e2e
async def test_own_messages_go_from_sending_to_their_place() -> None:
    client = client_with(1, 2)
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        mine = client.post("bob", "mine")
        await pilot.pause(0.1)
        assert rows(log)[-1] == "mine" + rows(log)[-1][4:-1] + "◌"
        log.append([message(3, "theirs")])
        stored = MessageInfo("bob", "alice", "mine", mine.client_id, "bob-4", 4, NOW + 4, own=True)
        log.change(stored)
        await pilot.pause()
        shown = [row for row in rows(log) if row.startswith(("mine", "theirs"))]
        assert [row.split()[0] for row in shown] == ["theirs", "mine"]
        assert shown[1].endswith("✓")


@pytest.mark.e2e
async def test_a_selection_is_copied_without_the_frame() -> None:
    client = client_with(1)
    long = "word " * 30 + "end"
    client.log["bob"] = [message(1, long), message(2, "second"), message(3, "`third` **one**")]
    app = scenes.app(client)
    async with app.run_test(size=(60, 30)) as pilot:
        log = await opened(app, pilot)
        app.chat.selections = {log: SELECT_ALL}
        assert app.chat.get_selected_text() == f"{long}\nsecond\nthird one"
        y = next(n for n, row in enumerate(rows(log)) if row == "second")
        offset = log.render_line(y)._segments[1].style.meta["offset"]
        start = Offset(2, offset[1])
        app.chat.selections = {log: Selection(start, Offset(5, offset[1]))}
        assert app.chat.get_selected_text() == "sec"


@pytest.mark.e2e
async def test_the_mouse_selects_and_ctrl_c_copies() -> None:
    client = client_with(1)
    client.log["bob"] = [message(1, "take this word")]
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        y = next(n for n, row in enumerate(rows(log)) if "take this word" in row)
        await pilot.mouse_down(log, offset=(7, y))
        await pilot.hover(log, offset=(10, y))
        await pilot.mouse_up(log, offset=(10, y))
        await pilot.press("ctrl+c")
        assert app.clipboard == "this"


def long_log(count: int) -> ScriptedClient:
    client = client_with(*range(1, count + 1))
    known = client.conversation("bob")
    assert known is not None
    known.last_seq = known.read_seq = count
    return client


def held(log: MessageLog) -> int:
    assert log.opened is not None
    return len(log.opened.transcript)


async def press_until(pilot: Pilot[None], key: str, log: MessageLog, text: str) -> int:
    """Until a row of the log begins with the text; the most messages that were held meanwhile."""
    most = held(log)
    for _ in range(300):
        if any(row.startswith(text) for row in rows(log)):
            return most
        await pilot.press(key)
        most = max(most, held(log))
    raise AssertionError(f"no {text!r}: {rows(log)}")


@pytest.mark.e2e  # it takes too long for the fast part
async def test_long_logs_let_go_of_what_is_far_above_and_get_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Transcript, "MAX_HELD", 150)
    client = client_with(*range(1, 301))
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        for seq in range(301, 451):
            client.log["bob"].append(message(seq))
            log.append([message(seq)])
        known = client.conversation("bob")
        assert known is not None
        known.last_seq = 450
        await pilot.pause()
        assert held(log) <= 150
        await press_until(pilot, "pageup", log, "line 1 of the log")


@pytest.mark.e2e  # it takes too long for the fast part
async def test_scrolled_through_whole_only_what_is_near_is_held_and_nothing_is_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Transcript, "MAX_HELD", 200)
    app = scenes.app(long_log(800))
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        assert await press_until(pilot, "pageup", log, "line 1 of the log") <= 600
        seen = {row for row in rows(log) if row.startswith("line")}
        most = 0
        for _ in range(300):
            await pilot.press("pagedown")
            seen |= {row for row in rows(log) if row.startswith("line")}
            most = max(most, held(log))
            if log.at_end:
                break
        assert most <= 300
        assert seen == {f"line {seq} of the log" for seq in range(1, 801)}
        log.append([message(801)])
        await pilot.pause()
        assert "line 801 of the log" in rows(log)


@pytest.mark.e2e  # it takes too long for the fast part
async def test_what_comes_while_one_reads_far_up_is_counted_and_found_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Transcript, "MAX_HELD", 200)
    client = long_log(600)
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        await press_until(pilot, "pageup", log, "line 1 of the log")
        before = rows(log)
        client.say("bob", "while reading", tell=True)
        await wait_text(pilot, "↓ 1 unread")
        assert rows(log) == before
        mine = client.post("bob", "mine")
        await pilot.pause(0.1)
        await pilot.press("ctrl+end")
        await wait_text(pilot, "while reading", "mine")
        stored = MessageInfo("bob", "alice", "mine", mine.client_id, "b", 602, NOW + 4, own=True)
        log.change(stored)
        await pilot.pause()
        assert sum("mine" in row for row in rows(log)) == 1


@pytest.mark.e2e  # it takes too long for the fast part
async def test_one_writes_at_the_end_wherever_one_has_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Transcript, "MAX_HELD", 200)
    client = long_log(600)
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        await press_until(pilot, "pageup", log, "line 1 of the log")
        await pilot.press("h", "i", "enter")
        await wait_text(pilot, "line 600 of the log", "hi")
        assert log.at_end
        client.say("bob", "what comes next", tell=True)
        await wait_text(pilot, "what comes next")
        assert sum(row.startswith("hi") for row in rows(log)) == 1


@pytest.mark.e2e
async def test_what_waits_to_be_sent_is_right_after_it_was_out_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Transcript, "MAX_HELD", 250)
    client = long_log(240)
    first, second = client.post("bob", "the first"), client.post("bob", "the second")
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        await wait_text(pilot, "the first", "the second")
        await pilot.press("ctrl+home")
        await wait_text(pilot, "line 1 of the log")
        client.log["bob"].remove(first)
        for _ in range(20):
            client.say("bob", "meanwhile", tell=True)
        client.log["bob"].remove(second)
        client.log["bob"].append(second)  # what waits comes last
        await wait_text(pilot, "↓ 20 unread")
        await press_until(pilot, "pagedown", log, "the ")
        assert [row.split("  ")[0] for row in rows(log) if row.startswith("the ")] == ["the second"]


@pytest.mark.e2e  # it takes too long for the fast part
async def test_what_has_failed_is_sent_again_wherever_one_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Transcript, "MAX_HELD", 200)
    client = long_log(600)
    failed = client.post("bob", "refused")
    failed.delivery = DeliveryStatus.FAILED
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        await wait_text(pilot, "refused")
        await press_until(pilot, "pageup", log, "line 1 of the log")
        await pilot.press("ctrl+r")
        await pilot.pause()
        assert failed.delivery is DeliveryStatus.SENDING


@pytest.mark.e2e
async def test_a_log_read_anew_while_a_hit_is_fetched_still_reaches_its_end() -> None:
    client = long_log(3000)
    asked, answer = asyncio.Event(), asyncio.Event()
    history = client.history

    async def slow(name: str, **page: Any) -> HistoryPage:
        asked.set()
        await answer.wait()
        return await history(name, **page)

    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        client.history = slow  # type: ignore[method-assign] # as on a slow line
        showing = asyncio.create_task(app.chat.view.show_message(100))
        await asked.wait()
        before = log.opened
        client.tell(MessagesReset("bob"))
        await wait_for(pilot, lambda: log.opened is not before)
        answer.set()
        assert await showing
        await wait_text(pilot, "line 100 of the log")
        await pilot.press("ctrl+end")
        await wait_text(pilot, "line 3000 of the log")
        assert log.at_end


@pytest.mark.e2e
async def test_a_hit_far_up_is_shown_without_all_that_lies_between() -> None:
    client = long_log(5000)
    client.log["bob"][99].text = "the needle"
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        await pilot.press("ctrl+f", *"needle", "enter")
        await wait_text(pilot, "the needle", "line 99 of the log", "line 101 of the log")
        assert held(log) < 1000
        await press_until(pilot, "pagedown", log, "line 300 of the log")


@pytest.mark.e2e
async def test_the_line_above_what_is_new_stays() -> None:
    client = client_with(1)
    for number in range(3):
        client.say("carol", f"old {number}")
    known = client.conversation("carol")
    assert known is not None
    known.read_seq, known.unread = 3, 2
    client.say("carol", "fresh 4")
    client.say("carol", "fresh 5")
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        app.chat.open("carol")
        await wait_for(pilot, lambda: known.unread == 0)
        await wait_text(pilot, "fresh 5")
        lines = screen_text(app).splitlines()
        new = next(n for n, line in enumerate(lines) if line.rstrip().endswith("─ new"))
        assert "old 2" in "".join(lines[:new])
        assert "fresh 4" in "".join(lines[new:])


@pytest.mark.e2e
async def test_a_double_click_selects_the_message() -> None:
    client = client_with(1)
    client.log["bob"] = [message(1, "not this"), message(2, "all of\nthis one"), message(3, "nor")]
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        y = next(n for n, row in enumerate(rows(log)) if row == "this one")
        await pilot.double_click(log, offset=(5, y))
        assert app.chat.get_selected_text() == "all of\nthis one"


@pytest.mark.e2e
async def test_links_tell_the_terminal_where_they_lead_and_open_by_a_click(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = client_with(1)
    url = "https://example.org/" + "path/" * 20
    client.log["bob"] = [message(1, f"see {url}, please")]
    app = scenes.app(client)
    clicked: list[str] = []
    monkeypatch.setattr(app, "open_url", lambda url, **_: clicked.append(url))
    async with app.run_test(size=(60, 24)) as pilot:
        log = await opened(app, pilot)
        found = {
            (segment.text, segment.style.link)
            for y in range(log.size.height)
            for segment in log.render_line(y)
            if segment.style is not None and segment.style.link
        }
        assert {link for _, link in found} == {url}
        assert len(found) > 1  # it is longer than a row, and whole on each
        y = next(n for n, row in enumerate(rows(log)) if "path/path" in row)
        await pilot.click(log, offset=(10, y))
        assert clicked == [url]


@pytest.mark.e2e
async def test_a_removed_message_says_so() -> None:
    client = client_with(1, 2)
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        log.change(MessageInfo("bob", "bob", "", "c1", "bob-1", 1, NOW + 1, removed=True))
        await pilot.pause()
        assert "1 message hidden" in rows(log)
        assert "line 1 of the log" not in rows(log)


@pytest.mark.e2e
async def test_hidden_messages_are_one_line_and_break_no_day() -> None:
    client = client_with(*range(1, 200))
    client.log["bob"][99:150] = [
        MessageInfo("bob", "", "", "", f"bob-{seq}", seq, removed=True) for seq in range(100, 151)
    ]
    app = scenes.app(client)
    async with app.run_test(size=(80, 60)) as pilot:
        log = await opened(app, pilot)
        shown = [row for row in rows(log) if row]
        at = shown.index("51 messages hidden")
        assert shown[at - 1 : at + 2] == [
            "line 99 of the log",
            "51 messages hidden",
            "line 151 of the log",
        ]
        log.append([MessageInfo("bob", "", "", "", "bob-200", 200, removed=True)])
        log.append([MessageInfo("bob", "", "", "", "bob-201", 201, removed=True)])
        await pilot.pause()
        assert "2 messages hidden" in rows(log)


@pytest.mark.e2e
async def test_a_discarded_message_goes() -> None:
    client = client_with(1)
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        log = await opened(app, pilot)
        mine = client.post("bob", "never mind")
        await pilot.pause(0.1)
        assert any(row.startswith("never mind") for row in rows(log))
        log.change(MessageInfo("bob", "alice", "", mine.client_id, own=True, removed=True))
        await pilot.pause()
        assert not any(row.startswith("never mind") for row in rows(log))


@pytest.mark.e2e
async def test_it_follows_the_end_through_every_size() -> None:
    client = client_with(*range(1, 8))
    for item in client.log["bob"]:
        item.text = f"line {item.seq}: " + "words " * (item.seq * 13 % 60)
    app = scenes.app(client)
    async with app.run_test(size=(60, 10)) as pilot:
        log = await opened(app, pilot)
        for number, size in enumerate([(50, 15), (60, 10), (40, 20), (100, 12), (70, 40), (60, 9)]):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert log.at_end, size
            log.append([message(8 + number, f"newest {number}")])
            await pilot.pause()
            assert f"newest {number}" in rows(log), size


@pytest.mark.e2e
async def test_a_file_is_shown_by_name_and_size() -> None:
    client = client_with(1, 2)
    file = FileInfo("0" * 32, "cat.png", 48_213, "image/png")
    client.log["bob"][1] = MessageInfo("bob", "bob", "", "c2", "bob-2", 2, NOW + 2, file=file)
    client.log["bob"].append(
        MessageInfo("bob", "bob", "with text", "c3", "bob-3", 3, NOW + 3, file=file)
    )
    app = scenes.app(client)
    async with app.run_test(size=(80, 24)) as pilot:
        shown = rows(await opened(app, pilot))
        assert [row for row in shown if row][-4:] == [
            "line 1 of the log",
            "↓ cat.png (48 kB)",
            "with text",
            "↓ cat.png (48 kB)",
        ]
