"""``pychat config``: the settings file and its profiles."""

from __future__ import annotations

import click

from pychat.cli.settings import files as settings
from pychat.cli.settings.options import SettingsCommand, option


@click.group()
def config() -> None:
    """Create the settings file, or show what it has."""


@config.command()
def init() -> None:
    """Create a pychat.toml with all settings and their defaults.

    Every setting has a comment. The file is created in your configuration folder. An existing
    file is not changed.
    """
    from pychat.cli.settings.template import commented_defaults

    path = settings.own_file()
    text = commented_defaults()
    if path.exists():
        raise click.ClickException(f"{path} already exists: move it away to create a new one")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"Wrote {path}.", err=True)


@config.command()
def path() -> None:
    """Print the path of your settings file, whether it exists or not."""
    click.echo(str(settings.own_file()))


@config.command(cls=SettingsCommand)
@option("--json", "as_lines", is_flag=True, help="Print lines of JSON.")
def profiles(as_lines: bool) -> None:
    """List profiles with name, user and server."""
    from pychat.cli.output.results import print_listing

    found = settings.profiles()
    rows = [(name, keys.get("user", ""), keys.get("server", "")) for name, keys in found.items()]
    objects = ({"name": name, **keys} for name, keys in found.items())
    print_listing(("name", "user", "server"), rows, objects=objects, as_json=as_lines)
