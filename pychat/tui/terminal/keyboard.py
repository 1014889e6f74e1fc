"""Keyboard: translates what terminals send for keys into sequences that Textual knows.

A terminal without the kitty protocol sends Esc and a letter for Alt with that letter: only time
distinguishes it from two keys. Textual would insert the letter as text, and late answers of the
terminal too.
"""

from __future__ import annotations

import re
from typing import Final

_ESC: Final = "\x1b"
_PASTE: Final = "\x1b[200~"
_PASTE_END: Final = "\x1b[201~"
_ESCAPE_KEY: Final = "\x1b[27u"
# Each pattern is linear: no two parts of one can match the same character.
_CSI: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_CSI_BEGUN: Final = re.compile(r"\x1b\[[0-?]*[ -/]*\Z")
_STRING: Final = re.compile(r"\x1b[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)")
_STRING_BEGUN: Final = re.compile(r"\x1b[\]P_^X][0-9>!$+][^\x07\x1b]*\x1b?\Z")
_ANSWER_BEGUN: Final = re.compile(r"\x1b(?:\][0-9]+;|P[0-9>!][$+|])")
_DEVICE: Final = re.compile(r"\x1b\[[?>][0-9;]*c")
_ARROW: Final = re.compile(r"\x1b\x1b[\[O]([ABCD])")
_ARROW_BEGUN: Final = re.compile(r"\x1b\x1b[\[O]?\Z")
_LONGEST: Final = 4096
"""Maximum length of an answer without an end."""
_PAUSES: Final = 3
"""Pauses in a row after which the rest of a sequence is not expected any more."""
_RXVT: Final = {"\x1bOb": "\x1b[1;5B", "\x1b[7^": "\x1b[1;5H", "\x1b[8^": "\x1b[1;5F"}
"""Ctrl with ↓, Home and End in rxvt, which Textual confuses."""
_KNOWN: Final = frozenset({"\x1bb", "\x1bf", "\x1b\x7f", "\x1b\t"})
"""Known to Textual: previous and next word, delete previous word, Shift+Tab of a console."""


class Keyboard:
    """Feed it the text from the terminal, and Textual's parser with what it returns."""

    def __init__(self) -> None:
        self._held = ""
        self._pasting = False
        self._pauses = 0

    def feed(self, text: str) -> str:
        """Return the complete sequences. The rest is held until more text or ``pause``."""
        self._pauses = 0
        text = self._held + text
        out: list[str] = []
        at = 0
        while at < len(text):
            start = text.find(_ESC, at)
            if start < 0:
                start = len(text)
            out.append(text[at:start])
            at = start
            if at < len(text):
                taken, given = self._pasted(text, at) if self._pasting else self._key(text, at)
                if not taken:
                    break
                out.append(given)
                at += taken
        self._held = text[at:]
        return "".join(out)

    def pause(self) -> str:
        """Return what is held, after a pause: a single Esc is the key."""
        held = self._held
        if not held or self._pasting or _ANSWER_BEGUN.match(held):
            return ""
        self._pauses += 1
        if held[1:2] == "[" and len(held) > 2 and self._pauses < _PAUSES:
            return ""  # a sequence that arrives in pieces, or Alt+[ and a digit
        self._held = ""
        if held == _ESC:
            return _ESCAPE_KEY
        if held[1] == _ESC:
            return _ESCAPE_KEY + self.feed(held[1:]) + self.pause()
        return _with_alt(held[1]) + self.feed(held[2:])

    def _pasted(self, text: str, at: int) -> tuple[int, str]:
        """Drop Esc within a paste, which Textual would take for keys."""
        if text.startswith(_PASTE_END, at):
            self._pasting = False
            return len(_PASTE_END), _PASTE_END
        if _PASTE_END.startswith(text[at : at + len(_PASTE_END)]):
            return 0, ""
        return 1, ""

    def _key(self, text: str, at: int) -> tuple[int, str]:
        """Return the length of a sequence and its translation; length 0 if it is incomplete."""
        second = text[at + 1 : at + 2]
        if not second:
            return 0, ""
        if second == "[":
            if whole := _CSI.match(text, at):
                self._pasting = whole[0] == _PASTE
                given = "" if _DEVICE.fullmatch(whole[0]) else _RXVT.get(whole[0], whole[0])
                return len(whole[0]), given
            begun = _CSI_BEGUN.match(text, at) and len(text) - at < 64
            return (0, "") if begun else (2, _with_alt("["))
        if second == "O":
            third = text[at + 2 : at + 3]
            if not third:
                return 0, ""
            if third == _ESC:
                return 2, _with_alt("O")
            return 3, _RXVT.get(text[at : at + 3], text[at : at + 3])
        if second == _ESC:
            if arrow := _ARROW.match(text, at):
                return len(arrow[0]), f"\x1b[1;3{arrow[1]}"
            return (0, "") if _ARROW_BEGUN.match(text, at) else (1, _ESCAPE_KEY)
        if second in "]P_^X":
            if whole := _STRING.match(text, at):
                return len(whole[0]), ""
            if len(text) - at == 2:
                return 0, ""
            if _STRING_BEGUN.match(text, at):
                return (0, "") if len(text) - at < _LONGEST else (len(text) - at, "")
        pair = text[at : at + 2]
        return 2, pair if pair in _KNOWN else _with_alt(second)


def _with_alt(character: str) -> str:
    """Return Alt with a key in the kitty protocol: code point; 1 + 1 Shift, 2 Alt, 4 Ctrl."""
    if character in "\r\n":
        return "\x1b[13;3u"
    if character == "\x7f":
        return "\x1b[127;3u"
    if character < " ":
        return f"\x1b[{ord(character) + 96};7u"
    lower = character.lower()
    if len(lower) == 1 and lower != character:
        return f"\x1b[{ord(lower)};4u"
    return f"\x1b[{ord(character)};3u"
