"""The limiter on a clock that the test moves: lockouts, and what counts apart."""

from __future__ import annotations

import time

import pytest

from pychat.protocol import Code, ProtocolError
from pychat.server.chat.limits import Limiter, Limits, Rate
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import chatting, logged_in

HOME, AWAY = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as the only item."""
    time_now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: time_now[0])
    return time_now


def lockout(limiter: Limiter, id: str = "alice", address: str = HOME) -> float:
    """The seconds for which passwords are refused; 0 if they are not, -1 if the error says
    something else."""
    try:
        limiter.password_allowed(id, address)
    except ProtocolError as refused:
        wait = refused.retry_after or 0
        return wait if str(refused).endswith(f": try again in {wait:.0f} s") else -1
    return 0


def test_each_further_wrong_password_doubles_the_lockout_up_to_the_longest(
    clock: list[float],
) -> None:
    limiter = Limiter(Limits(wrong_passwords=3, longest_lockout=5))
    lockouts = []
    for _ in range(7):
        limiter.password_was_wrong("alice", HOME)
        lockouts.append(lockout(limiter))
    assert lockouts == [0, 0, 1, 2, 4, 5, 5]
    assert lockout(limiter, "bob") == lockout(limiter, address=AWAY) == 0
    clock[0] += 4.75
    assert lockout(limiter) == 0.25
    clock[0] += 0.25
    assert lockout(limiter) == 0


def test_thousands_of_wrong_passwords_are_counted(clock: list[float]) -> None:
    limiter = Limiter(Limits(wrong_passwords=1, longest_lockout=2.0**40))
    for _ in range(2000):
        limiter.password_was_wrong("alice", HOME)
    assert lockout(limiter) == 2.0**30


def test_wrong_passwords_are_forgotten_after_two_of_the_longest_lockouts(
    clock: list[float],
) -> None:
    limiter = Limiter(Limits(wrong_passwords=2, longest_lockout=10))
    for _ in range(3):  # each within the time of the one before
        limiter.password_was_wrong("alice", HOME)
        clock[0] += 20
    limiter.password_was_wrong("alice", HOME)
    assert lockout(limiter) == 4
    clock[0] += 20.5
    limiter.password_was_wrong("alice", HOME)
    assert lockout(limiter) == 0
    limiter.password_was_wrong("alice", HOME)
    assert lockout(limiter) == 1


def test_the_right_password_forgets_the_wrong_ones_of_the_address(clock: list[float]) -> None:
    limiter = Limiter(Limits(wrong_passwords=1))
    for address in (HOME, AWAY):
        limiter.password_was_wrong("alice", address)
    limiter.password_was_right("alice", HOME)
    assert (lockout(limiter), lockout(limiter, address=AWAY)) == (0, 1)


def test_without_limits_there_is_no_lockout(clock: list[float]) -> None:
    limiter = Limiter(None)
    for _ in range(100):
        limiter.password_was_wrong("alice", HOME)
    assert lockout(limiter) == 0
    for _ in range(1000):
        limiter.take(1, "messages")
        limiter.login(HOME, "claims")


def test_the_kinds_of_an_account_count_apart(clock: list[float]) -> None:
    limiter = Limiter(Limits(messages=Rate(1, 3), queries=Rate(1, 1)))
    limiter.take(1, "messages", 3)
    limiter.take(1, "queries")
    limiter.take(2, "messages")
    with pytest.raises(ProtocolError, match="too fast") as error:
        limiter.take(1, "messages", 2)
    assert (error.value.code, error.value.retry_after) == (Code.TOO_FAST, 2)
    clock[0] += 2
    limiter.take(1, "messages", 2)
    with pytest.raises(ProtocolError, match="too fast"):
        limiter.take(1, "messages")


def test_logins_resumptions_and_claims_of_an_address_count_apart(clock: list[float]) -> None:
    limiter = Limiter(Limits(logins=Rate(1, 2), resumptions=Rate(1, 1), claims=Rate(0.5, 1)))
    limiter.login(HOME, "logins")
    limiter.login(HOME, "logins")
    limiter.login(HOME, "resumptions")
    limiter.login(HOME, "claims")
    limiter.login(AWAY, "claims")
    for kind, wait in (("logins", 1), ("resumptions", 1), ("claims", 2)):
        with pytest.raises(ProtocolError, match="too fast") as error:
            limiter.login(HOME, kind)  # type: ignore[arg-type]  # one of the three
        assert error.value.retry_after == wait


def test_a_wait_that_rounds_to_nothing_is_still_one(clock: list[float]) -> None:
    limiter = Limiter(Limits(messages=Rate(1e6, 1)))
    limiter.take(1, "messages")
    with pytest.raises(ProtocolError) as error:
        limiter.take(1, "messages")
    assert error.value.retry_after == 0.001


def test_places_for_connections_are_given_back(clock: list[float]) -> None:
    limiter = Limiter(Limits(connections_per_user=2))
    for _ in range(3):
        with limiter.connection(1, 1):
            with limiter.connection(2, 0):  # another account
                pass
            with pytest.raises(ProtocolError, match="already"), limiter.connection(1, 1):
                pass
    with limiter.connection(1, 0), limiter.connection(1, 0):
        with pytest.raises(ProtocolError) as error, limiter.connection(1, 0):
            pass
        assert (error.value.code, error.value.retry_after) == (Code.TOO_FAST, 10)
    with pytest.raises(ProtocolError), limiter.connection(1, 2):
        pass


async def test_only_new_conversations_count_as_such() -> None:
    store = DelayedStore()
    limits = Limits(conversations=Rate(1 / 3600, 1))
    async with chatting(store, limits=limits) as chat:
        for id in ("alice", "bob", "carol"):
            await logged_in(chat, id)
        alice = await logged_in(chat, "alice")
        codes = [(await alice.send_message(id, "hi"))["code"] for id in ("bob", "carol", "bob")]
        assert codes == ["200", "429", "200"]
    async with chatting(store, limits=limits) as chat:
        # After a restart the conversation is read from the store, and is none that is new.
        alice = await logged_in(chat, "alice")
        (message, _) = (await alice.ask("history", {"with": "bob"}))["messages"]
        assert message["data"] == "hi"
    async with chatting(store, limits=limits) as chat:
        alice = await logged_in(chat, "alice")
        codes = [(await alice.send_message(id, "hi"))["code"] for id in ("bob", "carol")]
        assert codes == ["202", "202"]


async def test_the_number_of_all_rooms_is_limited() -> None:
    async with chatting(DelayedStore(), limits=Limits(rooms=2)) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        answers = [
            await owner.ask("room", command="create", roomId=f"r{number}", roomOwner=owner.id)
            for number, owner in enumerate((alice, bob, alice))
        ]
        assert [answer["code"] for answer in answers] == ["200", "200", "403"]
        assert answers[2]["message"] == "the limit of 2 rooms is reached"
