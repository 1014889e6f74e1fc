"""Generate the commented pychat.toml of ``pychat config init`` from the options."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import wrap
from typing import Final

import click

from pychat.cli.settings.files import PROFILE_KEYS, all_settings
from pychat.cli.settings.options import Option

WIDTH: Final = 88

HEAD: Final = (
    "The settings of pychat. Lines that begin with # and a name show defaults. To change one, "
    "remove the #. Values in capitals are placeholders for settings without a default. Flags "
    "(--server) and environment variables (PYCHAT_SERVER) override this file."
)
PROFILES: Final = (
    "Profiles name several servers and accounts: use 'pychat connect --profile work', or set "
    "'profile' above as the default. 'pychat config profiles' lists them."
)
KEYS: Final = (
    'Keys for each action, separated by commas: "ctrl+k,f4". F1 shows them in the terminal client.'
)


def commented_defaults() -> str:
    """Valid TOML that changes nothing. It stays valid when the # of each setting is removed."""
    return "\n".join([*_prose(HEAD), "", *_options(), *_terminal(), *_keys(), *_profiles()]) + "\n"


def _options() -> Iterator[str]:
    """The options of the commands: client options and the most common ones first."""
    commands: dict[str, list[str]] = {}
    options: dict[str, Option] = {}
    for command, option in _all_options():
        commands.setdefault(option.key, []).append(command)
        options.setdefault(option.key, option)
    shared: dict[tuple[str, ...], list[str]] = {}
    for key, names in commands.items():
        shared.setdefault(tuple(dict.fromkeys(names)), []).append(key)
    for group in sorted(shared, key=lambda names: ("connect" not in names, -len(names))):
        yield from _prose(f"==== pychat {', '.join(group)}")
        yield ""
        for key in shared[group]:
            yield from _prose(_explained(options[key]))
            yield f"#{key} = {_default(options[key])}"
            yield ""


def _all_options() -> Iterator[tuple[str, Option]]:
    return ((command, each) for command, each in all_settings() if isinstance(each, Option))


def _explained(option: Option) -> str:
    text = option.help or ""
    if isinstance(option.type, click.Choice):
        text += f" One of: {', '.join(option.type.choices)}."
    if isinstance(option.show_default, str):
        text += f" Default: {option.show_default}."
    return text


def _default(option: Option) -> str:
    default = option.to_info_dict()["default"]
    if option.is_flag:
        return "false"
    if option.multiple:
        return "[]"
    if default is None or callable(default):
        return json.dumps((option.metavar or option.key).upper())
    return json.dumps(default)


def _terminal() -> Iterator[str]:
    from typing import Annotated, get_args, get_origin, get_type_hints

    import msgspec

    from pychat.tui.settings import Settings

    yield from _prose("==== The terminal client")
    yield "[tui]"
    yield ""
    defaults = msgspec.to_builtins(Settings())
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        if name == "keys":
            continue
        assert get_origin(hint) is Annotated
        yield from _prose(get_args(hint)[1].description)
        yield f"#{name} = {json.dumps(defaults[name])}"
        yield ""


def _keys() -> Iterator[str]:
    from pychat.tui.commands.keys import KEYS as ACTIONS

    yield from _prose(KEYS)
    yield "[tui.keys]"
    width = max(len(key.id) + len(key.keys) for key in ACTIONS) + 6
    for key in ACTIONS:
        yield f"{f'#{key.id} = {json.dumps(key.keys)}':<{width}}  # {key.does}"
    yield ""


def _profiles() -> Iterator[str]:
    yield from _prose(PROFILES)
    yield "#[profiles.work]"
    examples = {option.key: _default(option) for _, option in _all_options()}
    for key in PROFILE_KEYS:
        yield f"#{key} = {examples[key]}"


def _prose(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, WIDTH - 2, break_on_hyphens=False)]
