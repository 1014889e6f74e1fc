"""The command itself: help, versions, and how errors end."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pychat.cli.main import COMMANDS, LazyGroup, cli
from tests.cli.invoke import invoke, refusal
from tests.processes import PYCHAT, run_pychat


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    assert isinstance(cli, LazyGroup)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    first = (command.help or "").splitlines()[0]
    assert COMMANDS[name][1] == first


def test_help_lists_every_command() -> None:
    result = invoke("--help")
    assert result.status == 0
    for name, (_, help) in COMMANDS.items():
        assert f"  {name} " in result.stdout
        assert help in result.stdout


@pytest.mark.parametrize("name", ["serve", "connect", "send", "listen", "history", "users", "demo"])
def test_every_option_names_its_variable(name: str) -> None:
    result = invoke(name, "--help")
    assert result.status == 0
    text = " ".join(result.stdout.split())
    for part in text.split(" --")[1:]:
        if not part.startswith(("help", "reply", "file")):  # of one message
            assert "[env var: PYCHAT_" in part or "PYCHAT_" in part, part


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from pychat.cli.main import cli\n"
        "try: cli.main(['--help'], prog_name='pychat')\n"
        "except SystemExit: pass\n"
        "print(','.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split(","))
    assert not loaded & {"aiohttp", "asyncio", "msgspec", "rich", "socketio", "textual", "uvloop"}


def test_version() -> None:
    version = importlib.metadata.version("pychat-socketio")
    assert invoke("--version").stdout == f"pychat {version}\n"


def test_no_command_is_wrong_usage_and_shows_help() -> None:
    result = invoke()
    assert result.status == 2
    assert "Commands:" in result.stderr


def test_a_misspelt_command() -> None:
    assert refusal("sevre", status=2).startswith(
        "There is no command 'sevre'. Did you mean 'serve'? See 'pychat --help'."
    )


def test_an_option_without_its_value_names_the_commands_own_help() -> None:
    assert refusal("send", "--to", status=2).endswith("See 'pychat send --help'.")


def test_an_option_that_is_needed() -> None:
    assert refusal("send", "hello", status=2).startswith("--user (or PYCHAT_USER) is required.")


def test_without_a_screen_connect_needs_to_know_who() -> None:
    needed = "--user (or PYCHAT_USER) is required without a screen."
    assert refusal("connect", status=2).startswith(needed)
    assert refusal("connect", "--plain", status=2).startswith(needed)


def test_as_a_module() -> None:
    done = run_pychat("--version", program=PYCHAT)
    assert done.returncode == 0
    assert done.stdout.startswith("pychat ")


def test_a_fault_is_one_line_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("pychat.server.app.ChatServer.__init__", fail)
    line = refusal("serve", "--store", "memory:")
    assert "internal error in pychat" in line
    assert "KeyError" in line


def test_an_output_that_nobody_reads_is_no_error() -> None:
    reader = subprocess.Popen(
        [*PYCHAT, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    reader.stdout.close()
    assert reader.stderr is not None
    assert reader.stderr.read() == ""
    reader.stderr.close()
    reader.wait(timeout=60)


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
def test_an_output_that_is_full_is_said_and_is_no_fault() -> None:
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [*PYCHAT, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=100
        )
    assert run.returncode == 1
    assert run.stderr == "Error: cannot write to standard output: No space left on device\n"


def test_control_c_while_all_is_still_imported_is_quiet() -> None:
    """The interrupt that comes in the middle of click's import, at its first module."""
    program = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from importlib.metadata import entry_points\n"
        "(pychat,) = entry_points(group='console_scripts', name='pychat')\n"
        "pychat.load()()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
