"""The ``pychat`` command: lazily imported subcommands, and how every error ends."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from pychat.cli.output.streams import flush_output, reason

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class LazyGroup(click.Group):
    """``commands_table``: name → ("module:attribute", one line of help)."""

    def __init__(
        self, *args: Any, commands_table: Mapping[str, tuple[str, str]], **attributes: Any
    ) -> None:
        super().__init__(*args, **attributes)
        self.commands_table = commands_table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands_table:
            return None
        module, attribute = self.commands_table[cmd_name][0].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        unknown = name not in self.commands_table and not name.startswith("-")
        if unknown and not ctx.resilient_parsing:  # which completes a command
            from difflib import get_close_matches

            near = get_close_matches(name, self.commands_table, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"There is no command '{name}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing them."""
        from click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=help)
            for name, (_, help) in self.commands_table.items()
            if name.startswith(incomplete)
        ] + super(click.Group, self).shell_complete(ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in self.commands_table.items()])


COMMANDS: Final = {
    "serve": ("pychat.cli.operator.serve:serve", "Run a chat server."),
    "connect": ("pychat.cli.commands.connect:connect", "Open the chat in this terminal."),
    "demo": (
        "pychat.cli.commands.demo:demo",
        "Try pychat alone: a server in memory and a bot.",
    ),
    "send": ("pychat.cli.commands.writing:send", "Send one message."),
    "get": ("pychat.cli.commands.files:get", "Save the file of a message."),
    "listen": (
        "pychat.cli.commands.reading:listen",
        "Print messages as they arrive, as lines of JSON.",
    ),
    "history": (
        "pychat.cli.commands.reading:history",
        "Show the messages of a conversation, oldest first.",
    ),
    "users": ("pychat.cli.commands.people:users", "Search the users of a server."),
    "profile": (
        "pychat.cli.commands.people:profile",
        "Show or change your alias, status and password.",
    ),
    "notify": (
        "pychat.cli.commands.notify:notify",
        "Show or choose which messages notify you, on all devices.",
    ),
    "room": (
        "pychat.cli.commands.rooms:room",
        "List, create, join and leave rooms, and manage their members.",
    ),
    "edit": ("pychat.cli.commands.writing:edit", "Replace the text of your own message."),
    "react": ("pychat.cli.commands.writing:react", "Add a reaction to a message."),
    "remove": (
        "pychat.cli.commands.writing:remove",
        "Remove a message for everybody.",
    ),
    "config": (
        "pychat.cli.commands.config:config",
        "Create the settings file, or show what it has.",
    ),
    "user": ("pychat.cli.operator.user:user", "Manage the accounts in a server's store."),
    "hook": (
        "pychat.cli.operator.hook:hook",
        "Manage incoming webhooks, with which programs post to rooms.",
    ),
    "export": ("pychat.cli.operator.export:export", "Export a whole store to a file."),
    "import": (
        "pychat.cli.operator.import_:import_",
        "Import an exported file, or what another chat left.",
    ),
    "store": ("pychat.cli.operator.store:store", "Check, back up and restore a server's store."),
    "doctor": (
        "pychat.cli.installation.doctor:doctor",
        "Check this machine, and print what to fix.",
    ),
    "completion": (
        "pychat.cli.installation.completion:completion",
        "Print a script that completes commands and options.",
    ),
}

INTERRUPTED: Final = 128 + 2
NOT_WRITTEN: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""A full, broken or closed standard output. Other OSErrors are handled at their source."""


def print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"pychat {version('pychat-socketio')}")
    if context.params.get("verbose"):
        from pychat.cli.installation.versions import report

        click.echo(report())
    context.exit()


@click.group(
    cls=LazyGroup,
    commands_table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every option is also an environment variable (PYCHAT_PORT) and a key in pychat.toml "
    "(port), in the working directory or in your configuration folder.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=print_version,
    help="Show the version and exit.",
)
@click.option(
    "--verbose",
    is_flag=True,
    is_eager=True,  # so that its value is known to --version
    help="With --version: show all versions that a bug report needs.",
)
def cli(verbose: bool) -> None:
    """Real-time chat in the terminal and the browser, over Socket.IO."""


def main() -> None:
    """Run the command and exit: 0, 1 after a failure, 2 for wrong usage, with one line on stderr.

    If the reader of standard output has gone (EPIPE), exit with 1 and print nothing.
    """
    try:
        result = cli.main(prog_name="pychat", standalone_mode=False)
        flush_output()
    except click.exceptions.NoArgsIsHelpError as error:
        # A group without a subcommand shows its help.
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "pychat"
        complain(f"{usage_text(error)} See '{path} --help'.")
        sys.exit(error.exit_code)
    except click.ClickException as error:
        complain(error.format_message())
        sys.exit(error.exit_code)
    except click.Abort as error:
        if isinstance(error.__cause__, EOFError):
            complain("the input ended before the question was answered")
            sys.exit(1)
        sys.exit(INTERRUPTED)
    except ImportError as error:
        if os.environ.get("PYCHAT_TRACEBACK"):
            raise
        complain(f"pychat is not installed correctly: {error}")
        sys.exit(1)
    except OSError as error:
        if error.errno not in NOT_WRITTEN:
            fail(error)
        with suppress(OSError):
            flush_output()
        complain(f"cannot write to standard output: {reason(error)}")
        sys.exit(1)
    except Exception as error:
        fail(error)
    sys.exit(result if isinstance(result, int) else 0)


def fail(error: Exception) -> NoReturn:
    """Report an internal error and exit. PYCHAT_TRACEBACK prints the traceback."""
    if os.environ.get("PYCHAT_TRACEBACK"):
        from pychat.client.safetext import safe_text

        click.echo(safe_text("".join(traceback.format_exception(error))), err=True, nl=False)
        sys.exit(1)
    complain(
        f"internal error in pychat, please report it: {type(error).__name__}: {error} "
        "(set PYCHAT_TRACEBACK=1 for details)"
    )
    sys.exit(1)


def usage_text(error: click.UsageError) -> str:
    """The usage error as a sentence that begins with the option or argument."""
    if isinstance(error, click.BadParameter) and error.param is not None:
        name = error.param.human_readable_name
        if isinstance(error, click.MissingParameter):
            return f"{name} is required."
        text = f"{name}: {error.message}"
    elif isinstance(error, click.NoSuchOption):
        near = " or ".join(sorted(error.possibilities or ()))
        text = f"There is no option {error.option_name}."
        return f"{text} Did you mean {near}?" if near else text
    else:
        text = error.format_message()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def complain(message: str) -> None:
    """Print an error as one line on stderr. The message may quote a server, so make it safe."""
    from pychat.client.safetext import safe_line

    click.echo(f"Error: {safe_line(message)}", err=True)
