"""The files of pychat: its data folder, and pychat.toml in two places."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import click

NAME: Final = "pychat"


def data_folder() -> Path:
    """The data folder. Created if necessary, accessible only to its owner."""
    from platformdirs import user_data_path

    return _made(user_data_path(NAME, appauthor=False))


def default_store() -> str:
    """The address of the server's default SQLite file."""
    from platformdirs import user_data_path

    return f"sqlite:///{user_data_path(NAME, appauthor=False) / 'server.db'}"


def make_folder(store: str) -> None:
    """Create the data folder if the store lies in it. Users create other folders themselves."""
    if store == default_store():
        data_folder()


def login_file(server: str, user: str, suffix: str) -> Path:
    """The file of this (server, user). Named by a digest: ids may contain any character."""
    import hashlib

    digest = hashlib.sha256(f"{server}\n{user}".encode()).hexdigest()[:32]
    return _made(data_folder() / "logins") / f"{digest}{suffix}"


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"cannot create the folder {folder}: {error}") from None
    return folder


FILE_NAME: Final = "pychat.toml"

# The working directory may come from somebody else. Settings that run a program, read a password
# file, or decide where a password is sent are read only from the user's own folder.
PASSWORDS: Final = frozenset({"password-command", "password-file"})
OWN_FOLDER_ONLY: Final = PASSWORDS | {"profiles"}

# Tables are checked by the code that reads them.
TABLES: Final = frozenset({"profiles", "tui"})

PROFILE_KEYS: Final = ("user", "server", "password-file", "password-command")


def settings() -> dict[str, Any]:
    """The keys of both files. Raises UsageError for invalid TOML, unknown keys and wrong types."""
    return {key: value for key, (value, _) in _found().items() if key not in TABLES}


def table(name: str) -> dict[str, Any]:
    """The table of this name, merged from both files, nested tables included."""
    own, here = (_read(path).get(name, {}) for path in (own_file(), Path(FILE_NAME)))
    for read, path in ((own, own_file()), (here, Path(FILE_NAME))):
        if not isinstance(read, dict):
            raise click.UsageError(f"{path}, {name}: it must be a table, [{name}].")
    return _merged(own, here)


def _merged(own: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    merged = own | here
    for key, value in here.items():
        beneath = own.get(key)
        if isinstance(value, dict) and isinstance(beneath, dict):
            merged[key] = _merged(beneath, value)
    return merged


def profiles() -> dict[str, dict[str, str]]:
    """The named servers and accounts, each with some of PROFILE_KEYS.

    Raises UsageError if the table is malformed.
    """
    found = _read(own_file()).get("profiles", {})
    if not isinstance(found, dict):
        raise click.UsageError(f"{own_file()}: write a profile as a table, [profiles.work].")
    for name, keys in found.items():
        where = f"{own_file()}, profiles.{name}"
        if not isinstance(keys, dict):
            raise click.UsageError(f"{where}: write it as a table, [profiles.{name}].")
        for key, value in keys.items():
            if key not in PROFILE_KEYS:
                known = ", ".join(PROFILE_KEYS)
                raise click.UsageError(f"{where}: unknown key {key}; known keys: {known}.")
            if not isinstance(value, str):
                raise click.UsageError(f"{where}: {key} must be a string.")
    return found


def profile(name: str) -> dict[str, str]:
    """The keys of one profile. Raises UsageError."""
    found = profiles()
    if name not in found:
        from difflib import get_close_matches

        near = get_close_matches(name, found, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Write it as [profiles.{name}]."
        raise click.UsageError(f"There is no profile {name} in {own_file()}. {hint}")
    return found[name]


def own_login() -> dict[str, str]:
    """User and server from the user's own file, outside of profiles. Either may be missing."""
    own = _read(own_file())
    return {key: str(own[key]) for key in ("user", "server") if key in own}


def file_of(key: str) -> Path:
    """The file that sets this key."""
    return _found()[key][1]


def file_with(*keys: str) -> Path:
    """The file that sets a value in a table: ``file_with("tui", "keys", "search")``."""
    here = Path(FILE_NAME)
    value: Any = _read(here)
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return own_file()
        value = value[key]
    return here


def is_own(key: str) -> bool:
    """Whether the working directory does not set this key."""
    return key not in _read(Path(FILE_NAME))


@cache
def _found() -> dict[str, tuple[Any, Path]]:
    here, own = Path(FILE_NAME), own_file()
    found = {key: (value, own) for key, value in _read(own).items()}
    for key, value in _read(here).items():
        if key in OWN_FOLDER_ONLY:
            raise click.UsageError(f"{here}: {key} is read only from {own}.")
        found[key] = (value, here)
    if not is_own("server"):
        for key in PASSWORDS & found.keys():
            del found[key]  # the password is for the server in the same file
    return found


def own_file() -> Path:
    """The path of pychat.toml in the user's configuration folder."""
    from platformdirs import user_config_path

    return user_config_path("pychat", appauthor=False) / FILE_NAME


@cache
def _read(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():  # reading a pipe would block
            raise click.UsageError(f"{path} cannot be read: it is not a file.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"{path} cannot be read: it is not UTF-8 text.") from None

    import tomllib

    try:
        read = tomllib.loads(text)
    except ValueError as error:  # also raised for numbers with too many digits
        raise click.UsageError(f"{path} is not valid TOML: {error}.") from None
    except RecursionError:
        raise click.UsageError(f"{path}: lists or tables are nested too deeply.") from None
    _refuse_wrong(read, path)
    return read


def _refuse_wrong(read: dict[str, Any], path: Path) -> None:
    """Refuse unknown keys and values of the wrong type, for the options of all commands.

    A value is not converted, because the result is rarely what the user meant.
    """
    from difflib import get_close_matches

    if not read:
        return
    options = {option.key: option for _, option in all_settings()}
    known = options.keys() | TABLES
    for key, value in read.items():
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise click.UsageError(f"{path}: unknown option {key}.{hint}")
        if key not in TABLES and not options[key].takes(value):
            raise click.UsageError(f"{path}, {key}: it must be {options[key].written}.")


@runtime_checkable
class Setting(Protocol):
    """An option that can be set in pychat.toml."""

    key: str

    @property
    def written(self) -> str:
        """How a value is written in the file, in words."""

    def takes(self, value: object) -> bool:
        """Whether the value has the right type."""


def all_settings() -> Iterator[tuple[str, Setting]]:
    """The options of all commands, each with its command's name (``room create``)."""
    from pychat.cli.main import cli

    def of(command: click.Command, path: str) -> Iterator[tuple[str, Setting]]:
        for parameter in command.params:
            if isinstance(parameter, Setting):
                yield path, parameter
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                if child is not None:
                    yield from of(child, f"{path} {name}".strip())

    yield from of(cli, "")
