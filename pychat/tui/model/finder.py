"""Finder: the best matches for a few letters among many conversations and people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from pychat.protocol import canonical_id
from pychat.tui.model.conversations import is_pair
from pychat.tui.text.fuzzy import fuzzy
from pychat.tui.text.names import line, name_of

OFFERED: Final = 50
"""Results of one search. Typing on finds the rest."""
RANKED: Final = 200
"""Matches of one kind that are compared with each other: the newest conversations."""
SCATTERED_AMONG: Final = 2_000
"""Conversations in which scattered letters are looked for: the newest."""


class SearchTexts(NamedTuple):
    """What a conversation or person is found by, for as long as it has this alias."""

    name: str
    alias: str
    called: str
    id: str
    exact: tuple[str, ...]
    """What finds exactly this one."""
    pair: bool
    both: str
    """What it is called and the id, without case, each between line feeds: for quick tests."""


class Found(NamedTuple):
    """``name``: of the conversation, or the person's id. ``positions``: the characters of what it
    is called that were matched."""

    name: str
    positions: list[int]


class Finder:
    """Keeps the texts of all names: making a name safe takes far longer than searching in it."""

    def __init__(self) -> None:
        self._texts: dict[str, SearchTexts] = {}

    def texts(self, name: str, alias: str) -> SearchTexts:
        """Of one conversation or person, prepared now if they are not."""
        texts = self._texts.get(name)
        if texts is None or texts.alias != alias:
            called, id, pair = name_of(name, alias).called, line(name), is_pair(name)
            exact = tuple(map(canonical_id, (name,) if pair else (name, called)))
            both = f"\n{called.casefold()}\n{id.casefold()}\n"
            texts = SearchTexts(name, alias, called, id, exact, pair, both)
            self._texts[name] = texts
        return texts


def best(query: str, among: Sequence[SearchTexts]) -> list[Found]:
    """The best OFFERED matches, best first. ``among``: newest first.

    Who has exactly this id comes first, whatever others are called; nobody before Everyone. Then
    as ``fuzzy`` says. What takes time for each match is limited in number; for each conversation
    there are only a few searches for a substring, some 50 ns each.
    """
    matches: dict[str, tuple[bool, float, bool, int, Found]] = {}
    exact = canonical_id(query)
    for kind in _kinds(query, exact, among):
        for texts in kind:
            match = _match(query, texts)
            if match is not None and texts.name not in matches:
                score, positions = match
                found = Found(texts.name, positions)
                order = (exact not in texts.exact, -score, texts.pair, len(matches), found)
                matches[texts.name] = order
        if len(matches) >= OFFERED:
            break
    return [found for *_, found in sorted(matches.values())[:OFFERED]]


def _kinds(query: str, exact: str, among: Sequence[SearchTexts]) -> Iterator[Iterator[SearchTexts]]:
    """The candidates, those of the better kind first."""
    yield islice((each for each in among if exact in each.exact), RANKED)
    folded = query.casefold()
    for part in (f"\n{folded}\n", f"\n{folded}", f" {folded}", folded):
        yield islice((each for each in among if part in each.both), RANKED)
    yield islice(among, SCATTERED_AMONG)


def _match(query: str, texts: SearchTexts) -> tuple[float, list[int]] | None:
    """A match in the name shows where; one in the id alone counts as much."""
    in_name, in_id = fuzzy(query, texts.called), fuzzy(query, texts.id)
    if in_id is not None and (in_name is None or in_id[0] > in_name[0]):
        return in_id[0], in_name[1] if in_name is not None else []
    return in_name
