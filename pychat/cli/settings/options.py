"""Options that can also be set by environment variables and in pychat.toml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from pychat.cli.credentials.login import Credentials
from pychat.cli.credentials.password import given_password
from pychat.cli.settings import files as settings

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_SERVER: Final = "http://127.0.0.1:3000"

_PROFILE: Final = "pychat.profile"


class Option(click.Option):
    """An option set by its flag, ``PYCHAT_<NAME>``, or ``<name>`` in pychat.toml, in that order.

    ``key`` replaces the flag's name in the variable and in the file, if another command uses the
    same name with another meaning.
    """

    def __init__(self, *args: Any, key: str = "", **attributes: Any) -> None:
        attributes.setdefault("show_default", True)
        super().__init__(*args, **attributes)
        self.key = key or self.flag
        self.envvar = "PYCHAT_" + self.key.upper().replace("-", "_")
        self.show_envvar = True

    @property
    def flag(self) -> str:
        """The long flag, without its dashes."""
        return max(self.opts, key=len).lstrip("-")

    @property
    def written(self) -> str:
        """How a value is written in pychat.toml, in words."""
        one = "a whole number" if isinstance(self.type, WholeNumber) else 'text in quotes, "…"'
        if self.is_flag:
            return "true or false"
        return f"a list in [ ], each {one}" if self.multiple else one

    def takes(self, value: object) -> bool:
        """Whether a value from pychat.toml has this type. True is not a number, 1 is not a flag."""
        if self.multiple:
            return isinstance(value, list) and all(self._takes_one(each) for each in value)
        return self._takes_one(value)

    def _takes_one(self, value: object) -> bool:
        if self.is_flag:
            return isinstance(value, bool)
        if isinstance(self.type, WholeNumber):
            return isinstance(value, int) and not isinstance(value, bool)
        return isinstance(value, str)

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            given = value if isinstance(value, list | tuple) else (value,)
            if "" in given and self.default != "":
                raise click.BadParameter("it must not be empty")
            return super().process_value(ctx, value)
        except click.MissingParameter:
            raise click.UsageError(f"--{self.flag} (or {self.envvar}) is required.", ctx) from None
        except click.BadParameter as error:
            where = self.where_it_came_from(ctx)
            raise click.UsageError(f"{where}: {error.message}", ctx) from None

    def where_it_came_from(self, ctx: click.Context) -> str:
        source = ctx.get_parameter_source(self.name or "")
        if source is ParameterSource.ENVIRONMENT:
            return f"The variable {self.envvar}"
        if source is ParameterSource.DEFAULT_MAP:
            profile = ctx.meta.get(_PROFILE)
            if profile is not None and self.key in settings.profile(profile):
                return f"{settings.own_file()}, [profiles.{profile}], {self.key}"
            return f"{settings.file_of(self.key)}, {self.key}"
        return f"--{self.flag}"


def source_of(key: str) -> str:
    """Where the value of an option came from, in words: flag, variable, or file and key."""
    context = click.get_current_context()
    options = (each for each in context.command.params if isinstance(each, Option))
    return next(each for each in options if each.key == key).where_it_came_from(context)


class WholeNumber(click.IntRange):
    """click's IntRange with a plain name in error messages."""

    name = "whole number"


class ConversationName(click.ParamType[str]):
    """A login id, ``#room`` or ``ALL`` (shown as Everyone)."""

    name = "conversation"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return conversation_name(value)


def conversation_name(text: str) -> str:
    """The name that the server uses. No id that looks like Everyone can be claimed."""
    return "ALL" if text.casefold() in ("all", "everyone") else text


class SettingsCommand(click.Command):
    """A command whose options are also read from pychat.toml."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Name this command in usage errors that are found while parsing."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Name this command in usage errors that are found while it runs."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        extra["default_map"] = _by_name(self, settings.settings())
        return super().make_context(info_name, args, parent, **extra)


def _by_name(command: click.Command, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a file, keyed by the command's parameter names."""
    options = (option for option in command.params if isinstance(option, Option))
    return {option.name: values[option.key] for option in options if option.key in values}


def choose_profile(
    context: click.Context, parameter: click.Parameter, name: str | None
) -> str | None:
    """Let a profile override the rest of pychat.toml.

    The password of another account is not used, and a server that the working directory names
    does not get the profile's password.
    """
    if name is not None:
        chosen = settings.profile(name)
        context.meta[_PROFILE] = name
        foreign = {"password_file", "password_command"}
        if not settings.is_own("server"):
            foreign.add("server")
        others = {k: v for k, v in (context.default_map or {}).items() if k not in foreign}
        context.default_map = others | _by_name(context.command, chosen)
    return name


def option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """Like ``click.option``, with an environment variable and a key in pychat.toml."""
    return click.option(*names, cls=Option, **attributes)


def server_option(function: F) -> F:
    return option(
        "--server",
        default=DEFAULT_SERVER,
        metavar="URL",
        help="The chat server.",
    )(function)


def login_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --profile, --user, --server and the password options; pass them as one ``login``."""
    return _login_options(function, user_needed=True)


def form_login_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same for a command with a login form: ``login.user`` may be empty."""
    return _login_options(function, user_needed=False)


def _login_options(function: Callable[..., Any], *, user_needed: bool) -> Callable[..., Any]:
    @wraps(function)
    def with_login(
        *,
        user: str | None,
        server: str,
        password_file: str | None,
        password_command: str | None,
        **rest: Any,
    ) -> Any:
        password = given_password(password_file, password_command) if user else None
        return function(login=Credentials(server, user or "", password), **rest)

    with_login = option("--user", required=user_needed, metavar="ID", help="Your login id.")(
        server_option(password_options(with_login))
    )
    return option(
        "--profile",
        is_eager=True,
        expose_value=False,
        callback=choose_profile,
        metavar="NAME",
        help="Use the server and account of [profiles.NAME] in pychat.toml.",
    )(with_login)


def password_options(function: F) -> F:
    """Add options for where the password comes from. It is never an argument."""
    function = option(
        "--password-command",
        metavar="COMMAND",
        help="A command that prints the password, for password managers.",
    )(function)
    return option(
        "--password-file",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="A file whose first line is the password. PYCHAT_PASSWORD holds the password itself.",
    )(function)
