"""Parse the Markdown that people type in chats: code, bold, italic, struck, fences and links.

The text must come from ``safe_text``. The result is text with named styles, never markup, escape
sequences or HTML.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

MAX_SHOWN: Final = 16_384
"""Number of characters of a message that are drawn. ``/copy`` copies all of it."""

LINK: Final = "link:"
"""Prefix of the style names of links; the target follows."""

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
    """One line of a message without Markdown characters."""

    text: str
    spans: list[StyledSpan] = field(default_factory=list)
    code: bool = False


def format_message(text: str) -> list[Line]:
    """Return the lines of a message (safe text). An unclosed fence extends to the end."""
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
    """Return the drawn text of a match, its style, and where the text continues."""
    if match["link"] is not None:
        link = trim_link(match["link"])
        return link, f"{LINK}{link}", match.start() + len(link)
    for group, style in _GROUP_STYLES.items():
        if match[group] is not None:
            return match[group], style, match.end()
    return match[0], "", match.end()


def trim_link(link: str) -> str:
    """Remove the punctuation of the surrounding sentence from the end of a link."""
    unopened = link.count(")") - link.count("(")
    end = len(link)
    while end and (link[end - 1] in _LINK_TAIL or (link[end - 1] == ")" and unopened > 0)):
        unopened -= link[end - 1] == ")"
        end -= 1
    return link[:end]


def links(text: str) -> list[str]:
    """Return the links in a message (safe text), in order, each once."""
    found = (trim_link(match[0]) for match in _INLINE.finditer(text) if match["link"])
    return list(dict.fromkeys(found))
