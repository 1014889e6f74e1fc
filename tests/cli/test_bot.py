"""The demo's bot: what it answers, and whom."""

import pytest

from pychat.cli.commands.bot import HELP, answer, is_for_bot
from pychat.client.models import MessageInfo


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("good evening", "You said: good evening"),
        ("reverse one two three", "three two one"),
        ("shout hooray", "HOORAY!"),
        ("Hello!", "Hello alice! Write **help** to see what I can do."),
        ("help", HELP),
        ("roll 99d1", "Write it as **roll 2d6**: up to 20 dice of 2 to 999 sides."),
        ("roll d", "Write it as **roll 2d6**: up to 20 dice of 2 to 999 sides."),
        ("", "You said: "),
    ],
)
def test_answers(said: str, answered: str) -> None:
    assert answer(said, "alice") == answered


def test_dice_add_up() -> None:
    throws, total = answer("roll 3d6", "alice").removeprefix("🎲 ").split(" = ")
    numbers = [int(throw) for throw in throws.split(" + ")]
    assert len(numbers) == 3
    assert all(1 <= number <= 6 for number in numbers)
    assert sum(numbers) == int(total)


@pytest.mark.parametrize(
    ("conversation", "text", "expected"),
    [
        ("alice", "anything", True),
        ("#room", "anything", False),
        ("#room", "Bot, roll 2d6", True),
        ("ALL", "thank you, pip!", True),
        ("ALL", "a robotic pipeline", False),
    ],
)
def test_speaks_in_company_only_when_it_is_named(
    conversation: str, text: str, expected: bool
) -> None:
    message = MessageInfo(conversation=conversation, sender="alice", text=text, client_id="")
    assert is_for_bot(message) is expected
