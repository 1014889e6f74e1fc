"""Finder: finds the best matches for a few letters among many conversations and people.

Matching takes time linear in the name. Textual's matcher is exponential for hostile names, and
highlights through markup, which text from peers must never reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from pychat.protocol import canonical_id
from pychat.tui.model.conversations import is_pair
from pychat.tui.text.names import line, name_of

BEST: Final = 4.0
"""Score of an exact match."""

Match = tuple[float, list[int]]
"""Score, higher is better, and the indices of the matched characters."""


def fuzzy(query: str, candidate: str) -> Match | None:
    """Match the characters of a query in order; return None if the candidate lacks one.

    Scores descend in this order: prefix, beginning of a word, substring, scattered letters.
    """
    query, lowered = query.casefold(), candidate.casefold()
    if len(lowered) != len(candidate):
        lowered = candidate.lower() if len(candidate.lower()) == len(candidate) else candidate
    at = lowered.find(query)
    if at != -1:
        word_start = at == 0 or not lowered[at - 1].isalnum()
        score = BEST if lowered == query else 3.0 if at == 0 else 2.5 if word_start else 2.0
        return score - len(candidate) / 1000, list(range(at, at + len(query)))
    positions: list[int] = []
    for character in query:
        if character.isspace():
            continue
        at = lowered.find(character, positions[-1] + 1 if positions else 0)
        if at == -1:
            return None
        positions.append(at)
    if not positions:
        return None
    spread = positions[-1] - positions[0] + 1
    return len(positions) / spread - len(candidate) / 1000, positions


OFFERED: Final = 50
"""Maximum number of results. More letters find the others."""
RANKED: Final = 200
"""Matches of one kind that are ranked: those of the newest conversations."""
SCATTERED_AMONG: Final = 2_000
"""Number of newest conversations that are searched for scattered letters."""


class SearchTexts(NamedTuple):
    """The searchable texts of a conversation or person with this alias."""

    name: str
    alias: str
    called: str
    id: str
    exact: tuple[str, ...]
    """Canonical queries that are an exact match."""
    pair: bool
    both: str
    """Casefolded name and id, each between line feeds, for quick substring tests."""


class Found(NamedTuple):
    """A match.

    ``name``: name of the conversation or id of the person; ``positions``: indices of the matched
    characters in the displayed name.
    """

    name: str
    positions: list[int]


class Finder:
    """Cache the searchable texts: making a name safe takes far longer than searching it."""

    def __init__(self) -> None:
        self._texts: dict[str, SearchTexts] = {}

    def texts(self, name: str, alias: str) -> SearchTexts:
        """Return the texts of a conversation or person."""
        texts = self._texts.get(name)
        if texts is None or texts.alias != alias:
            called, id, pair = name_of(name, alias).called, line(name), is_pair(name)
            exact = tuple(map(canonical_id, (name,) if pair else (name, called)))
            both = f"\n{called.casefold()}\n{id.casefold()}\n"
            texts = SearchTexts(name, alias, called, id, exact, pair, both)
            self._texts[name] = texts
        return texts


def best(query: str, among: Sequence[SearchTexts]) -> list[Found]:
    """Return the best ``OFFERED`` matches, best first. ``among``: newest first.

    An exact id comes first, whatever others are called, and Everyone before people. The others are
    ranked by ``fuzzy``. Only a limited number of matches is ranked; each conversation costs a few
    substring tests of about 50 ns.
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
    """Yield groups of candidates, better kinds first."""
    yield islice((each for each in among if exact in each.exact), RANKED)
    folded = query.casefold()
    for part in (f"\n{folded}\n", f"\n{folded}", f" {folded}", folded):
        yield islice((each for each in among if part in each.both), RANKED)
    yield islice(among, SCATTERED_AMONG)


def _match(query: str, texts: SearchTexts) -> tuple[float, list[int]] | None:
    """Match name and id. A match in the id counts as much but has no positions to show."""
    in_name, in_id = fuzzy(query, texts.called), fuzzy(query, texts.id)
    if in_id is not None and (in_name is None or in_id[0] > in_name[0]):
        return in_id[0], in_name[1] if in_name is not None else []
    return in_name
