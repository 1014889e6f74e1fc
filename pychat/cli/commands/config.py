"""``pychat config``: the settings file, and the profiles in it."""

from __future__ import annotations

import click

from pychat.cli.settings import files as settings
from pychat.cli.settings.options import SettingsCommand, option


@click.group()
def config() -> None:
    """Write the settings file, or look into it."""


@config.command()
def init() -> None:
    """Write a pychat.toml with all settings and defaults.

    Each with what it does. The file goes to your configuration folder; one that is there is left
    as it is.
    """
    from pychat.cli.settings.template import commented_defaults

    path = settings.own_file()
    text = commented_defaults()
    if path.exists():
        raise click.ClickException(f"{path} is there already: move it away to get a new one")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    click.echo(f"Wrote {path}.", err=True)


@config.command()
def path() -> None:
    """Print where your settings file is, or would be."""
    click.echo(str(settings.own_file()))


@config.command(cls=SettingsCommand)
@option("--json", "as_lines", is_flag=True, help="Lines of JSON.")
def profiles(as_lines: bool) -> None:
    """List the profiles: their names, users and servers."""
    from pychat.cli.output.listing import print_listing

    found = settings.profiles()
    rows = [(name, keys.get("user", ""), keys.get("server", "")) for name, keys in found.items()]
    objects = ({"name": name, **keys} for name, keys in found.items())
    print_listing(("name", "user", "server"), rows, objects=objects, as_json=as_lines)
