"""Read and check the table ``[tui]`` of pychat.toml."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from pychat.cli.settings import files as settings

if TYPE_CHECKING:
    from pychat.tui.settings import Settings

# These match msgspec's messages, which are one short line.
_WRONG_TYPE: Final = re.compile(r"Expected `(\w+)[^`]*`.* - at `\$\.([^`]+)`")
_STEP: Final = re.compile(r"[.\[]")
_WRONG_CHOICE: Final = re.compile(r"Invalid enum value '?(.*?)'? - at `\$\.(\w+)")
_TYPES: Final = {
    "bool": "true or false",
    "str": "text in quotes",
    "array": "a list in [ ]",
    "object": "a table",
}


def terminal_settings() -> Settings:
    """The settings of the terminal client. Raises UsageError that names the key."""
    import msgspec

    from pychat.tui.settings import Settings

    table = settings.table("tui")
    _refuse_unknown(table, Settings.__struct_fields__)
    try:
        read = msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        key, problem = _in_words(str(error))
        raise _wrong(problem, key) from None
    if read.keys:
        _refuse_wrong_keys(read.keys)
        _refuse_taken_keys(read.keys)
    if read.theme_files or read.theme != Settings().theme:
        _refuse_wrong_themes(read)
    return read


def _refuse_unknown(table: dict[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise _wrong(f"unknown option {key}.{_meant(key, known)}", key)


def _meant(key: str, known: Iterable[str]) -> str:
    near = get_close_matches(key, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _in_words(problem: str) -> tuple[str, str]:
    """The key, and the error as a sentence."""
    from pychat.tui.settings import Notifier

    if choice := _WRONG_CHOICE.match(problem):
        known = ", ".join(get_args(Notifier))
        return choice[2], f"{choice[2]}: {choice[1]!r} is not one of {known}."
    if kind := _WRONG_TYPE.match(problem):
        key, *inside = _STEP.split(kind[2])
        expected = _TYPES.get(kind[1], kind[1])
        each = "each of " if inside else ""
        return key, f"{each}{key} must be {expected}."
    return "", f"{problem}."


def _refuse_wrong_keys(rebound: dict[str, str]) -> None:
    from pychat.tui.commands.keys import KEYS, problem_of, types_text

    known = {key.id for key in KEYS}
    for id, names in rebound.items():
        if id not in known:
            raise _wrong_key(id, f"unknown action {id}.{_meant(id, known)} F1 lists all actions.")
        for name in names.split(","):
            if problem := problem_of(name.strip(), typing=types_text(id)):
                raise _wrong_key(id, f"{id}: {problem}.")


def _refuse_wrong_themes(read: Settings) -> None:
    from pychat.tui.themes import ThemeError, check_themes

    try:
        check_themes("auto", read.theme_files)
    except ThemeError as error:
        raise _wrong(f"theme_files: {error}.", "theme_files") from None
    try:
        check_themes(read.theme, read.theme_files)
    except ThemeError as error:
        raise _wrong(f"theme: {error}.", "theme") from None


def _refuse_taken_keys(rebound: dict[str, str]) -> None:
    from pychat.tui.commands.keys import KEYS, keys_of, share_keys

    does: dict[str, str] = {}
    for key in KEYS:
        for name in keys_of(key, rebound):
            first = does.setdefault(name, key.id)
            if first != key.id and not share_keys(first, key.id):
                one, other = (first, key.id) if first in rebound else (key.id, first)
                raise _wrong_key(
                    one,
                    f"{one}: {name} is already the key of {other}. "
                    f"Choose another key, or change the key of {other} too.",
                )


def _wrong(problem: str, key: str) -> click.UsageError:
    return click.UsageError(f"{settings.file_with('tui', key)}, [tui]: {problem}")


def _wrong_key(id: str, problem: str) -> click.UsageError:
    return click.UsageError(f"{settings.file_with('tui', 'keys', id)}, [tui.keys], {problem}")
