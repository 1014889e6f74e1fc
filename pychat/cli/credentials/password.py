"""Get a password from a file, a command, PYCHAT_PASSWORD or a prompt."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

VARIABLE: Final = "PYCHAT_PASSWORD"
WAYS: Final = f"set {VARIABLE}, or use --password-file or --password-command"

# The order of every option: flag, environment variable, pychat.toml.
_ORDER: Final = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,
)


def given_password(file: str | None, command: str | None) -> str | None:
    """The password of the running command, if one was given without a prompt."""
    context = click.get_current_context()
    for source in _ORDER:
        if source is ParameterSource.ENVIRONMENT and VARIABLE in os.environ:
            return os.environ[VARIABLE]
        if file and context.get_parameter_source("password_file") is source:
            return password_from_file(file)
        if command and context.get_parameter_source("password_command") is source:
            return _from_command(command)
    return None


def can_ask() -> bool:
    """Whether a user can be asked on the terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask_password(prompt: str, *, twice: bool = False) -> str:
    """Ask for a password without echo. It may be empty."""
    from pychat.tui.terminal.terminal import TerminationSignals

    with TerminationSignals(but=signal.SIGINT):  # otherwise the shell stays without echo
        password: str = click.prompt(
            prompt,
            hide_input=True,
            default="",
            show_default=False,
            confirmation_prompt="Repeat the password" if twice else False,
            err=True,
        )
    return password


def password_from_file(name: str) -> str:
    """The first line of the file. Raises ClickException."""
    try:
        text = Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise click.ClickException(
            f"cannot read the password file {name}: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise click.ClickException(f"the password file {name} is not UTF-8 text") from None
    return _first_line(text, f"the password file {name} is empty")


def _from_command(command: str) -> str:
    import shlex
    import subprocess

    try:
        done = subprocess.run(
            shlex.split(command), stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True
        )
    except subprocess.CalledProcessError as error:
        raise click.ClickException(
            f"the password command failed: {command}: exit status {error.returncode}"
        ) from None
    except OSError as error:
        raise click.ClickException(
            f"the password command failed: {command}: {error.strerror}"
        ) from None
    except ValueError as error:  # unclosed quotes, or output that is not UTF-8
        raise click.ClickException(f"the password command failed: {command}: {error}") from None
    return _first_line(done.stdout, "the password command printed nothing")


def _first_line(text: str, problem: str) -> str:
    line = text.partition("\n")[0].removesuffix("\r")
    if not line:
        raise click.ClickException(problem)
    return line
