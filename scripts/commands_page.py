"""Write docs/reference/commands.md from the commands: `python -m scripts.commands_page`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

from pychat.cli.main import cli
from pychat.cli.settings.options import Option

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "commands.md"
HEAD = """# Commands

Every command with its options. Generated: `python -m scripts.commands_page`.
[Command line](cli.md) explains how to use them. Every option that has a variable is also a key in
[pychat.toml](settings.md): for `PYCHAT_MIN_PASSWORD`, it is `min-password`.
"""


def leaves(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, str]]:
    """The commands below a group that do something, with their full names."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        path = f"{context.info_name} {name}"
        if isinstance(command, click.Group):
            yield from leaves(command, click.Context(command, info_name=path))
        else:
            yield command, path


def prose(text: str) -> str:
    """A help text as Markdown: what stays as it is written becomes a block of code."""
    parts = []
    # Until 3.13, Python leaves the indentation of docstrings to those who read them.
    for part in inspect.cleandoc(text).split("\n\n"):
        verbatim, _, rest = part.partition("\b\n")
        if rest and not verbatim:
            parts.append(f"```text\n{rest}\n```")
        else:
            parts.append(" ".join(part.split()))
    return "\n\n".join(parts)


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def row(parameter: click.Option, context: click.Context) -> str | None:
    record = parameter.get_help_record(context)
    if record is None or "--help" in parameter.opts:
        return None
    flags, text = record[0], parameter.help or ""
    if isinstance(parameter.type, click.Choice):
        flags = ", ".join(parameter.opts)
        text = f"{text} One of: {', '.join(map(str, parameter.type.choices))}."
    extra = parameter.get_help_extra(context)
    default = extra.get("default", "")
    if default and not default.startswith("("):  # in brackets: words, not a value
        default = f"`{default}`"
    variable = f"<br>`{parameter.envvar}`" if isinstance(parameter, Option) else ""
    return f"| `{cell(flags)}`{variable} | {cell(text)} | {default} |"


def section(command: click.Command, path: str) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [f"## {path}", prose(command.help or ""), f"```text\n{usage}\n```"]
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    rows = [made for each in options if (made := row(each, context))]
    if rows:
        head = ["| option, variable | | default |", "|---|---|---|"]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts)


def page() -> str:
    sections = [section(*each) for each in leaves(cli, click.Context(cli, info_name="pychat"))]
    return re.sub(r"[ \t]+$", "", "\n\n".join([HEAD.rstrip(), *sections]), flags=re.M) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
