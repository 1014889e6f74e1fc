"""docs/reference/protocol.md names every event, field and code."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from pychat import protocol

TEXT = (Path(__file__).parents[3] / "docs/reference/protocol.md").read_text()
STRUCTS = [
    struct
    for struct in vars(protocol).values()
    if isinstance(struct, type) and issubclass(struct, msgspec.Struct)
]


@pytest.mark.parametrize("event", protocol.Event)
def test_every_event_has_its_place(event: protocol.Event) -> None:
    assert f"`{event}`" in TEXT


@pytest.mark.parametrize("code", protocol.Code)
def test_every_code_is_explained(code: protocol.Code) -> None:
    assert f"| `{code}` |" in TEXT


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_is_named(struct: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(struct):
        assert re.search(rf"\b{field.encode_name}\b", TEXT), field.encode_name
