"""How many entries fit on a page."""

from __future__ import annotations

import pytest

from pychat.server.chat import views
from pychat.server.chat.views import ENVELOPE_BYTES, fitting


@pytest.mark.parametrize(
    ("sizes", "fit"),
    [
        ([], 0),
        ([10, 10, 10], 3),
        ([10, 10, 11], 2),
        ([28, 2], 2),
        ([30, 2], 1),
        ([31, 2], 1),
        ([20, 20], 1),
        ([10, 10, 10, 2], 3),
    ],
)
def test_a_page_ends_before_the_entry_that_is_too_long(
    sizes: list[int], fit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``sizes``: bytes of the entries, each with the comma after it. There is room for 30."""
    monkeypatch.setattr(views, "MAX_PAGE_BYTES", ENVELOPE_BYTES + 30)
    assert fitting([10 ** (size - 2) for size in sizes]) == fit
