"""The table ``[tui]`` of pychat.toml, and what is wrong with it in words for people."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from pychat.cli import settings

if TYPE_CHECKING:
    from pychat.tui.settings import Settings

_WRONG_TYPE: Final = re.compile(r"Expected `(\w+)[^`]*`.* - at `\$\.(\w+)")
_WRONG_CHOICE: Final = re.compile(r"Invalid enum value '?(.*?)'? - at `\$\.(\w+)")
_TYPES: Final = {
    "bool": "true or false",
    "str": "text in quotes",
    "array": "a list in [ ]",
    "object": "a table",
}


def terminal_settings() -> Settings:
    """Raises UsageError, which names the key."""
    import msgspec

    from pychat.tui.settings import Settings

    table = settings.table("tui")
    _refuse_unknown(table, Settings.__struct_fields__)
    try:
        read = msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise _wrong(_in_words(str(error))) from None
    if read.keys:
        _refuse_taken_keys(read.keys)
    return read


def _refuse_unknown(table: dict[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            raise _wrong(
                f"there is no option {key}." + (f" Did you mean {near[0]}?" if near else "")
            )


def _in_words(problem: str) -> str:
    from pychat.tui.settings import Notifier

    if choice := _WRONG_CHOICE.match(problem):
        return f"{choice[2]}: {choice[1]!r} is none of {', '.join(get_args(Notifier))}."
    if kind := _WRONG_TYPE.match(problem):
        return f"{kind[2]} must be {_TYPES.get(kind[1], kind[1])}."
    return f"{problem}."


def _refuse_taken_keys(rebound: dict[str, str]) -> None:
    from pychat.tui.keys import KEYS, keys_of

    does: dict[str, str] = {}
    for key in KEYS:
        for name in keys_of(key, rebound):
            first = does.setdefault(name, key.id)
            if first != key.id:
                one, other = (first, key.id) if first in rebound else (key.id, first)
                raise click.UsageError(
                    f"{settings.FILE_NAME}, [tui.keys], {one}: {name} is the key of {other}. "
                    f"Choose another, or give {other} another one, too."
                )


def _wrong(problem: str) -> click.UsageError:
    return click.UsageError(f"{settings.FILE_NAME}, [tui]: {problem}")
