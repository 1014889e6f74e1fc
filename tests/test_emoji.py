"""The spellings of an emoji that look alike become one."""

from __future__ import annotations

import pytest

from pychat.protocol import ProtocolError, check_emoji

JOINER, BLACK, COLOURED = "\u200d", "\ufe0e", "\ufe0f"

NORMAL = [
    "👍",
    "👍🏽",
    "❤" + COLOURED,
    "✌🏽",
    "🇩🇪",
    "1" + COLOURED + "\u20e3",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "👨" + JOINER + "👩" + JOINER + "👧",
    "❤" + COLOURED + JOINER + "🔥",
    "🤷🏽" + JOINER + "♀" + COLOURED,
    "🏳" + COLOURED + JOINER + "🌈",
    "‼" + COLOURED,
    "+1",
    "ok",
    "좋아",
]


@pytest.mark.parametrize("emoji", NORMAL)
def test_emoji_as_keyboards_write_them_stay_as_they_are(emoji: str) -> None:
    assert check_emoji(emoji) == emoji


@pytest.mark.parametrize("emoji", NORMAL)
def test_invisible_characters_make_no_other_emoji(emoji: str) -> None:
    normal = check_emoji(emoji)
    for alike in (
        emoji + JOINER,
        JOINER + emoji,
        emoji + JOINER * 2,
        emoji + BLACK,
        emoji + COLOURED,
        emoji.replace(COLOURED, ""),
        emoji.replace(JOINER, JOINER * 2),
        emoji + COLOURED + BLACK,
        emoji[:1] + COLOURED + emoji[1:],
    ):
        assert check_emoji(alike) == normal, ascii(alike)


@pytest.mark.parametrize("tag", ["\U000e0067", "\U000e007f"])
def test_tags_without_a_flag_make_no_other_emoji(tag: str) -> None:
    assert check_emoji("👍" + tag) == "👍"
    assert check_emoji(tag + "👍") == "👍"


@pytest.mark.parametrize("emoji", [JOINER, COLOURED, JOINER + COLOURED, "\U000e0067", "❤" * 21])
def test_an_emoji_that_is_empty_or_too_long_in_its_normal_spelling_is_refused(emoji: str) -> None:
    with pytest.raises(ProtocolError):
        check_emoji(emoji)
