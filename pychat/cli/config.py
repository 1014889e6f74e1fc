"""pychat.toml: what is in the working directory goes before the user's configuration folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

import click

FILE_NAME: Final = "pychat.toml"

# A folder may come from a stranger: what would run a program is taken only from one's own.
OWN_FOLDER_ONLY: Final = frozenset({"password-command"})

# Tables beside the options; who reads one checks it.
TABLES: Final = frozenset({"tui"})


def settings() -> dict[str, Any]:
    """The keys of both files. Raises UsageError: not TOML, or a key that is no option."""
    return {key: value for key, (value, _) in _found().items()}


def table(name: str) -> dict[str, Any]:
    """The table of this name, its keys from both files."""
    own, here = (_read(path).get(name, {}) for path in (_own_file(), Path(FILE_NAME)))
    if not isinstance(own, dict) or not isinstance(here, dict):
        raise click.UsageError(f"{FILE_NAME}: {name} must be a table, [{name}].")
    return own | here


def file_of(key: str) -> Path:
    """The file that the key's value is from."""
    return _found()[key][1]


@cache
def _found() -> dict[str, tuple[Any, Path]]:
    here, own = Path(FILE_NAME), _own_file()
    found = {key: (value, own) for key, value in _read(own).items()}
    for key, value in _read(here).items():
        if key in OWN_FOLDER_ONLY:
            raise click.UsageError(f"{here}: {key} is read only from {own}.")
        found[key] = (value, here)
    return found


def _own_file() -> Path:
    from platformdirs import user_config_path

    return user_config_path("pychat", appauthor=False) / FILE_NAME


@cache
def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}.") from None

    import tomllib

    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{path} is not valid TOML: {error}.") from None
    _refuse_unknown(read, path)
    return read


def _refuse_unknown(read: dict[str, Any], path: Path) -> None:
    from difflib import get_close_matches

    if not read:
        return
    known = _known_keys() | TABLES
    for key in read:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"{path}: there is no option {key}.{hint}")


def _known_keys() -> set[str]:
    from pychat.cli.main import cli
    from pychat.cli.options import Option

    known: set[str] = set()
    context = click.Context(cli)

    def collect(command: click.Command) -> None:
        known.update(option.key for option in command.params if isinstance(option, Option))
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child is not None:
                    collect(child)

    collect(cli)
    return known
