"""Inline Markdown, code fences and links in a message, found by us and drawn as plain styles.

Only what people type in a chat: ``code``, **bold**, *italic*, ~~struck~~, fences and links. The
text has been through ``safe_text`` before; nothing here becomes markup, escape or HTML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

MAX_SHOWN: Final = 16_384
"""Characters of one message that are drawn; what is beyond is counted and can be copied."""

LINK: Final = "link:"
"""A style's name that begins so is a link, and the rest of it is where it leads."""

StyledSpan = tuple[int, int, str]
"""Start, end and the name of a style."""

_FENCE = re.compile(r"^\s{0,3}```")
_INLINE = re.compile(
    r"(?P<link>\bhttps?://[^\s<>\"'`]+)"
    r"|(?P<code>(?<!`)`(?P<code_text>[^`\n]+)`(?!`))"
    r"|(?<![\w*])\*\*(?P<strong>(?=\S)[^\n*]*\S)\*\*(?![\w*])"
    r"|(?<![\w*])\*(?P<emphasis>(?=[^\s*])[^\n*]*[^\s*])\*(?![\w*])"
    r"|(?<![\w_])_(?P<underscored>(?=[^\s_])[^\n_]*[^\s_])_(?![\w_])"
    r"|(?<![\w~])~~(?P<struck>(?=\S)[^\n~]*\S)~~(?![\w~])"
)
_GROUP_STYLES: Final = {
    "code_text": "code",
    "strong": "strong",
    "emphasis": "emphasis",
    "underscored": "emphasis",
    "struck": "struck",
}
_MAYBE_INLINE = re.compile(r"[*_`~]|://")
_LINK_TAIL: Final = ".,;:!?"


@dataclass(slots=True)
class Line:
    """One line of a message as it is drawn, without its Markdown marks."""

    text: str
    spans: list[StyledSpan] = field(default_factory=list)
    code: bool = False


def format_message(text: str) -> list[Line]:
    """The lines of a (safe) message. An unclosed fence runs to the end."""
    lines: list[Line] = []
    in_code = False
    for raw in text.expandtabs(4).split("\n"):
        if _FENCE.match(raw):
            in_code = not in_code
        elif in_code:
            lines.append(Line(raw, [(0, len(raw), "code-block")], code=True))
        else:
            lines.append(_format_line(raw))
    return lines or [Line(text)]


def _format_line(raw: str) -> Line:
    if not _MAYBE_INLINE.search(raw):
        return Line(raw)
    parts: list[str] = []
    spans: list[StyledSpan] = []
    length = position = 0
    for match in _INLINE.finditer(raw):
        shown, style, resume = _shown(match)
        before = raw[position : match.start()]
        parts += (before, shown)
        length += len(before)
        spans.append((length, length + len(shown), style))
        length += len(shown)
        position = resume
    parts.append(raw[position:])
    return Line("".join(parts), spans)


def _shown(match: re.Match[str]) -> tuple[str, str, int]:
    """What is drawn of a match, in which style, and where the text goes on."""
    if match["link"] is not None:
        link = trim_link(match["link"])
        return link, f"{LINK}{link}", match.start() + len(link)
    for group, style in _GROUP_STYLES.items():
        if match[group] is not None:
            return match[group], style, match.end()
    return match[0], "", match.end()


def trim_link(link: str) -> str:
    """A link without the punctuation of the sentence around it."""
    unopened = link.count(")") - link.count("(")
    end = len(link)
    while end and (link[end - 1] in _LINK_TAIL or (link[end - 1] == ")" and unopened > 0)):
        unopened -= link[end - 1] == ")"
        end -= 1
    return link[:end]


def links(text: str) -> list[str]:
    """The links in a (safe) message, in order, each once."""
    found = (trim_link(match[0]) for match in _INLINE.finditer(text) if match["link"])
    return list(dict.fromkeys(found))
