"""Welcome: what one sees before a conversation is open: a few keys and how to begin."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content
from textual.widgets import Static

from pychat.tui.commands.keys import KEYS, WELCOME, shortest


class Welcome(Static):
    """Static text from the key table."""

    def __init__(self, user: str, rebound: Mapping[str, str], *, id: str | None = None) -> None:
        super().__init__(welcome(user, rebound), id=id, markup=False)


def welcome(user: str, rebound: Mapping[str, str]) -> Content:
    """``user`` must be safe text."""
    table = {key.id: key for key in KEYS}
    rows: list[Content | str | tuple[str, str]] = [
        ("Welcome, ", "bold"),
        (user, "bold $primary"),
        "\n\n",
        ("Nothing is open. Press ", "$foreground 72%"),
        (shortest("switch", rebound), "$primary"),
        (" and type a name to begin.", "$foreground 72%"),
        "\n",
    ]
    for id in WELCOME:
        rows += [
            "\n",
            (f"{shortest(id, rebound):>8}", "$primary"),
            (f"   {table[id].does}", "$foreground 72%"),
        ]
    return Content.assemble(*rows)
