"""Options that are also variables and keys of pychat.toml, and commands that look there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pychat.cli import config
from pychat.cli.login import Login
from pychat.cli.password import given_password

F = TypeVar("F", bound=Callable[..., Any])


class Option(click.Option):
    """By flag, by ``PYCHAT_<NAME>``, by the key ``<name>`` of pychat.toml, in that order."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes.setdefault("show_default", True)
        super().__init__(*args, **attributes)
        self.key = max(self.opts, key=len).lstrip("-")
        self.envvar = "PYCHAT_" + self.key.upper().replace("-", "_")
        self.show_envvar = True

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            return super().process_value(ctx, value)
        except click.MissingParameter:
            raise click.UsageError(f"--{self.key} (or {self.envvar}) is needed.", ctx) from None
        except click.BadParameter as error:
            where = self._where_it_came_from(ctx)
            raise click.UsageError(f"{where}: {error.message}", ctx) from None

    def _where_it_came_from(self, ctx: click.Context) -> str:
        source = ctx.get_parameter_source(self.name or "")
        if source is ParameterSource.ENVIRONMENT:
            return f"The variable {self.envvar}"
        if source is ParameterSource.DEFAULT_MAP:
            return f"{config.file_of(self.key)}, {self.key}"
        return f"--{self.key}"


class WholeNumber(click.IntRange):
    """click's own, in words for people."""

    name = "whole number"


class Command(click.Command):
    """A command whose options are looked up in pychat.toml too."""

    def invoke(self, ctx: click.Context) -> Any:
        """Wrong usage that is found while it runs names this command's help too."""
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
        options = {option.key: option.name for option in self.params if isinstance(option, Option)}
        settings = config.settings()
        extra["default_map"] = {
            name: settings[key] for key, name in options.items() if name and key in settings
        }
        return super().make_context(info_name, args, parent, **extra)


def option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """As ``click.option``, with the variable and the key."""
    return click.option(*names, cls=Option, **attributes)


def server_option(function: F) -> F:
    return option(
        "--server",
        default="http://127.0.0.1:3000",
        metavar="URL",
        help="The chat server.",
    )(function)


def login_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--user, --server and the password's options, handed to the command as one ``login``."""

    @wraps(function)
    def with_login(
        *,
        user: str,
        server: str,
        password_file: str | None,
        password_command: str | None,
        **rest: Any,
    ) -> Any:
        password = given_password(password_file, password_command)
        return function(login=Login(server, user, password), **rest)

    return option("--user", required=True, metavar="ID", help="Who you are.")(
        server_option(password_options(with_login))
    )


def password_options(function: F) -> F:
    """Where a password comes from when it is not typed; never from an argument."""
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
