"""Slack's markup of messages, as the text that Slack shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


def slack_text(
    text: str, people: Mapping[str, str] = _NONE, rooms: Mapping[str, str] = _NONE
) -> str:
    """Replace mentions and links in ``< >`` by what they show, and the entities by ``&<>``.

    ``people``, ``rooms``: names by Slack's ids.
    """
    shown = "".join(_parts(text, people, rooms))
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _parts(text: str, people: Mapping[str, str], rooms: Mapping[str, str]) -> Iterator[str]:
    start = 0
    while (begin := text.find("<", start)) >= 0 and (end := text.find(">", begin)) >= 0:
        yield text[start:begin]
        yield _shown(text[begin + 1 : end], people, rooms)
        start = end + 1
    yield text[start:]


def _shown(markup: str, people: Mapping[str, str], rooms: Mapping[str, str]) -> str:
    target, _, label = markup.partition("|")
    if target.startswith("@"):
        return "@" + (people.get(target[1:]) or label or target[1:])
    if target.startswith("#"):
        return "#" + (rooms.get(target[1:]) or label or target[1:])
    if target.startswith("!"):
        return label or "@" + target[1:].partition("^")[0]
    target = target.removeprefix("mailto:")
    return f"{label} ({target})" if label and label != target else target
