"""Random schedules, and whether the simulation notices what it should."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pychat.client.state import transcripts
from pychat.server.chat.events.files import FileAccess
from pychat.server.chat.notices import room_list
from pychat.server.chat.notices.presence import Presence
from pychat.server.chat.state.reach import LocalReach
from tests.simulation.run import Simulation

CHUNK = 60


FAST = range(0, 2 * CHUNK, CHUNK)
MORE = range(FAST.stop, 34 * CHUNK, CHUNK)


@pytest.mark.parametrize(
    "first", [*FAST, *(pytest.param(first, marks=pytest.mark.e2e) for first in MORE)]
)
def test_every_rule_is_kept(first: int) -> None:
    for seed in range(first, first + CHUNK):
        simulation = Simulation(seed)
        simulation.run()
        assert not simulation.violations, f"python -m tests.simulation --seed {seed}"


def test_a_seed_replays_exactly() -> None:
    for seed in range(20):
        digests = set()
        for _ in range(2):
            simulation = Simulation(seed)
            simulation.run()
            digests.add(simulation.ledger.digest)
        assert len(digests) == 1


def found(rule: str, number: int = 600) -> bool:
    """Whether so many schedules find the rule broken."""
    for seed in range(number):
        simulation = Simulation(seed)
        simulation.run()
        if any(text.startswith(rule) for text in simulation.violations):
            return True
    return False


def nothing(*_: Any, **__: Any) -> None:
    pass


def nobody(*_: Any, **__: Any) -> frozenset[int]:
    return frozenset()


def no_quote(_message: Any, origin: int, _update: Any) -> Any:
    """The client's quotes do not follow their origins."""
    return _message


async def true(*_: Any) -> bool:
    return True


def everybody(_: Any) -> set[Any]:
    return set(range(1, 9))


@pytest.mark.parametrize(
    ("owner", "name", "broken", "rule"),
    [
        (LocalReach, "echo", nothing, "never sent"),
        (LocalReach, "blockers", nobody, "block"),
        (Presence, "went", nothing, "presence"),
        (FileAccess, "_may_read", true, "file"),
        (room_list, "_concerned", everybody, "private"),
        (transcripts, "with_quote", no_quote, "client"),
    ],
)
def test_a_broken_server_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    broken: Callable[..., Any],
    rule: str,
) -> None:
    monkeypatch.setattr(owner, name, broken)
    assert found(rule)
