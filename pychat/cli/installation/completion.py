"""``pychat completion``: scripts that complete commands and options in a shell."""

from __future__ import annotations

import click

VARIABLE = "_PYCHAT_COMPLETE"
"""click answers the scripts if this is set."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands and options.

    \b
    bash:  pychat completion bash > ~/.local/share/bash-completion/completions/pychat
    zsh:   pychat completion zsh > ~/.zfunc/_pychat   (a folder in your $fpath)
    fish:  pychat completion fish > ~/.config/fish/completions/pychat.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    command = click.get_current_context().find_root().command
    # Not its own `source`: for bash, that starts a bash to look at its version.
    click.echo(ShellComplete.source(kind(command, {}, "pychat", VARIABLE)))
