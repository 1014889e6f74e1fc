"""Store addresses, and the errors about invalid ones."""

from __future__ import annotations

import pytest

from pychat.server.store import StoreError, open_store


@pytest.mark.parametrize("url", ["memory:", "memory://", "MEMORY:"])
def test_memory(url: str) -> None:
    assert open_store(url).location == "memory"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chat.db",
        "redis://localhost",
        "memory:x",
        "sqlite:",
        "sqlite://x/y",
        "sqlite:///.",
        "sqlite:////",
    ],
)
def test_the_error_about_an_invalid_address_names_the_valid_forms(url: str) -> None:
    with pytest.raises(StoreError, match="sqlite:///") as caught:
        open_store(url)
    assert "\n" not in str(caught.value)


def test_the_error_about_an_invalid_address_hides_the_password() -> None:
    with pytest.raises(StoreError) as caught:
        open_store("mysql://me:hunter2@db/chat")
    assert "hunter2" not in str(caught.value)
