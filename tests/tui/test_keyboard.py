"""What terminals send for keys, however it is cut into pieces; what goes back for emoji."""

from __future__ import annotations

import time

import pytest
from rich.cells import cell_len
from textual import events
from textual._xterm_parser import XTermParser

from pychat.tui.terminal.keyboard import Keyboard
from pychat.tui.terminal.probe import read_answers
from pychat.tui.text.graphemes import SAMPLES, EmojiFitter

KEYS = {
    "\x1bn": ["alt+n"],
    "\x1bN": ["alt+shift+n"],
    "\x1bnhello": ["alt+n", *"hello"],
    "\x1b1\x1b-": ["alt+1", "alt+minus"],
    "\x1b\r": ["alt+enter"],
    "\x1b\x0b": ["alt+ctrl+k"],
    "\x1bö": ["alt+ö"],
    "\x1b ": ["alt+space"],
    "\x1b\x7f": ["ctrl+w"],
    "\x1bf\x1bb": ["ctrl+right", "ctrl+left"],
    "\x1b[A\x1bOA": ["up", "up"],
    "\x1b\x1b[A\x1b\x1bOB": ["alt+up", "alt+down"],
    "\x1b[1;3A\x1b[110;3u": ["alt+up", "alt+n"],
    "\x1b[[A\x1bOP\x1b[11~": ["f1", "f1", "f1"],
    "\x1b]11;rgb:ffff/ffff/ffff\x07\x1b[?62;4c\x1b[>1;2c": [],
    "\x1b]11;rgb:ffff/ffff/ffff\x1b\\a\x1bP1$r0m\x1b\\b": ["a", "b"],
    "ab\x1b[200~\x1bn \x1b]x \x1b\x1b[A\x1b[201~c": ["a", "b", "n ]x [A", "c"],
}


def keys(*pieces: str, pause: bool = False) -> list[str]:
    keyboard, parser = Keyboard(), XTermParser()
    given = "".join(keyboard.feed(piece) for piece in pieces) + (keyboard.pause() if pause else "")
    return [
        event.text if isinstance(event, events.Paste) else event.key
        for event in parser.feed(given)
        if isinstance(event, events.Key | events.Paste)
    ]


@pytest.mark.parametrize("sent", KEYS)
def test_bytes_become_keys_wherever_they_are_cut(sent: str) -> None:
    assert keys(sent) == KEYS[sent]
    assert keys(*sent) == KEYS[sent]
    for cut in range(1, len(sent)):
        assert keys(sent[:cut], sent[cut:]) == KEYS[sent]


def test_no_alt_key_is_text() -> None:
    for code in [*range(0x20, 0x7F), *map(ord, "äßé中😀")]:
        pair = f"\x1b{chr(code)}"
        parser = XTermParser()
        keyboard = Keyboard()
        pressed = list(parser.feed(keyboard.feed(pair) + keyboard.pause()))
        assert len(pressed) == 1, pair
        (event,) = pressed
        assert isinstance(event, events.Key)
        assert event.character is None
        assert event.key.startswith("alt+") or event.key in ("ctrl+left", "ctrl+right")


@pytest.mark.parametrize(
    ("held", "pressed"),
    [
        ("\x1b", ["escape"]),
        ("\x1b\x1b", ["escape", "escape"]),
        ("\x1b[", ["alt+left_square_bracket"]),
        ("\x1b\x1b[", ["escape", "alt+left_square_bracket"]),
        ("\x1bO", ["alt+shift+o"]),
        ("\x1b]", ["alt+right_square_bracket"]),
        ("\x1b]1", ["alt+right_square_bracket", "1"]),
        ("\x1bP", ["alt+shift+p"]),
        ("\x1b]x", ["alt+right_square_bracket", "x"]),
        ("\x1b[1;", []),
        ("\x1b]11;rgb:", []),
    ],
)
def test_a_pause_ends_what_may_be_a_key(held: str, pressed: list[str]) -> None:
    assert keys(held, pause=True) == pressed


def test_a_stuttering_line_breaks_no_sequence() -> None:
    keyboard = Keyboard()
    assert keyboard.feed("\x1b[1;") + keyboard.pause() + keyboard.feed("3B") == "\x1b[1;3B"


@pytest.mark.parametrize(("held", "rest"), [("\x1b[1", "1"), ("\x1b[12;", "12;"), ("\x1b[ ", " ")])
def test_several_pauses_end_alt_and_a_bracket(held: str, rest: str) -> None:
    keyboard = Keyboard()
    assert keyboard.feed(held) + keyboard.pause() + keyboard.pause() == ""
    assert keyboard.pause() == f"\x1b[91;3u{rest}"
    assert keyboard.feed("x") == "x"
    # Every text starts to count again.
    assert keyboard.feed("\x1b[1") + keyboard.pause() + keyboard.pause() == ""
    assert keyboard.feed(";") + keyboard.pause() + keyboard.pause() == ""
    assert keyboard.feed("3B") == "\x1b[1;3B"


@pytest.mark.e2e
@pytest.mark.parametrize("piece", ["\x1b", "\x1b[", "\x1b]1;", "\x1b[200~\x1b", "\x1bP1$", "\x1bO"])
def test_its_time_grows_with_what_is_sent(piece: str) -> None:
    def seconds(count: int) -> float:
        begin = time.process_time()
        keyboard = Keyboard()
        for _ in range(8):
            keyboard.feed(piece * (count // 8))
        keyboard.pause()
        return time.process_time() - begin

    seconds(1_000)
    assert (
        min(seconds(40_000) for _ in range(3)) < 4 * min(seconds(20_000) for _ in range(3)) + 0.02
    )


TEXT = "a👩‍🚀b👍🏽c🇩🇪🇩d1️⃣e❤️f👨‍👩‍👧‍👦g❤h👩🏽‍🚀 中 é ｶ\x1b[0m"


def test_emoji_stay_where_the_terminal_agrees() -> None:
    agreed = dict.fromkeys(SAMPLES, 2)
    assert EmojiFitter(agreed).fit(TEXT) == TEXT
    assert EmojiFitter({}).fit(TEXT) == TEXT


def code_points(text: str) -> int:
    """The width in a terminal that counts each by itself."""
    return sum(
        2 if "\U0001f3fb" <= each <= "\U0001f3ff" else cell_len(each)
        for each in text
        if not "\u0300" <= each <= "\u036f" and each not in "\u200d\ufe0f\u20e3"
    )


def test_in_a_terminal_that_counts_code_points_rows_keep_their_width() -> None:
    measured = {kind: code_points(sample) for kind, sample in SAMPLES.items()}
    assert measured == {"joined": 4, "modifier": 4, "flag": 2, "keycap": 1, "selector": 1}
    plain = TEXT.removesuffix("\x1b[0m")
    fitted = EmojiFitter(measured).fit(plain)
    assert fitted == "a👩b👍c🇩🇪🇩d1 e❤ f👨g❤h👩 中 é ｶ"
    assert code_points(fitted) == cell_len(plain)


def test_flags_are_letters_where_each_half_is_wide() -> None:
    assert EmojiFitter({"flag": 4}).fit("[🇩🇪]") == "[DE]"


def test_the_terminals_answers_and_what_is_typed_among_them() -> None:
    answers = read_answers(
        b"he\x1b]11;rgb:ff/ff/ff\x1b\\l\x1b[1;5R\x1b[1;5R\x1b[1;3R\x1b[1;2R\x1b[1;2R\x1b[?1clo\x11"
    )
    assert answers.is_light
    assert answers.widths == {"joined": 4, "modifier": 4, "flag": 2, "keycap": 1, "selector": 1}
    assert answers.typed == b"hello\x11"


def test_answers_that_are_not_all_there_measure_nothing() -> None:
    assert read_answers(b"\x1b[1;5R\x1b[1;5R\x1b[?1c").widths == {}
