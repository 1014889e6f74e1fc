"""Options by flag, by variable, by pychat.toml, in that order; and what is wrong in the file."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from pychat.cli import settings
from pychat.cli.login import Login
from pychat.cli.options import Command, login_options, option


@click.command(cls=Command)
@option("--port", type=int, default=3000)
@option("--cors-origin", multiple=True)
@option("--no-limits", is_flag=True)
def show(port: int, cors_origin: tuple[str, ...], no_limits: bool) -> None:
    click.echo(f"{port} {','.join(cors_origin)} {no_limits}")


@pytest.fixture
def folders(
    tmp_path: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """The working directory and the user's configuration folder."""
    here, own = tmp_path / "here", own_folders / "config" / "pychat"
    here.mkdir()
    own.mkdir(parents=True)
    monkeypatch.chdir(here)
    settings._found.cache_clear()
    settings._read.cache_clear()
    return here, own


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(show, arguments)


def test_flag_goes_before_variable_before_files(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, own = folders
    (own / "pychat.toml").write_text('port = 1\ncors-origin = ["http://a", "http://b"]\n')
    (here / "pychat.toml").write_text("port = 2\nno-limits = true\n")
    assert invoke().output == "2 http://a,http://b True\n"
    monkeypatch.setenv("PYCHAT_PORT", "3")
    monkeypatch.setenv("PYCHAT_CORS_ORIGIN", "http://c http://d")
    assert invoke().output == "3 http://c,http://d True\n"
    assert invoke("--port", "4").output == "4 http://c,http://d True\n"


def test_help_shows_variables_and_what_the_file_says(folders: tuple[Path, Path]) -> None:
    (folders[0] / "pychat.toml").write_text("port = 2\n")
    assert "[env var: PYCHAT_PORT; default: 2]" in invoke("--help").output


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("prot = 2", "pychat.toml: there is no option prot. Did you mean port?"),
        ("port = 'x'", "pychat.toml, port: 'x' is not a valid integer."),
        ("port = ", "pychat.toml is not valid TOML: "),
        ("password-file = '/home/me/.netrc'", "pychat.toml: password-file is read only from "),
        (
            "password-command = 'rm -rf /'",
            "pychat.toml: password-command is read only from ",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_named(
    folders: tuple[Path, Path], text: str, line: str
) -> None:
    (folders[0] / "pychat.toml").write_text(text)
    result = invoke()
    assert result.exit_code == 2
    assert f"Error: {line}" in result.output


def test_a_wrong_variable_is_named(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCHAT_PORT", "x")
    result = invoke()
    assert result.exit_code == 2
    assert "Error: The variable PYCHAT_PORT: 'x' is not a valid integer." in result.output


def test_a_command_for_the_password_is_taken_from_ones_own_folder(
    folders: tuple[Path, Path],
) -> None:
    (folders[1] / "pychat.toml").write_text("password-command = 'pass chat'")
    assert settings.settings() == {"password-command": "pass chat"}


@click.command(cls=Command)
@login_options
def log_in(login: Login) -> None:
    click.echo(f"{login.user} {login.server} {login.password}")


def profile(*arguments: str) -> Result:
    return CliRunner().invoke(log_in, arguments)


def test_a_profile_goes_before_what_is_outside_of_it(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, own = folders
    secret = own / "secret"
    secret.write_text("of work\n")
    (here / "pychat.toml").write_text('server = "http://here"\n')
    (own / "pychat.toml").write_text(
        f'user = "alice"\nprofile = "home"\npassword-command = "echo outside"\n'
        f'[profiles.home]\nserver = "http://home"\n'
        f'[profiles.work]\nuser = "asmith"\nserver = "http://work"\npassword-file = "{secret}"\n'
    )
    assert profile().output == "alice http://home None\n"
    assert profile("--profile", "work").output == "asmith http://work of work\n"
    assert profile("--profile", "work", "--user", "bob").output == "bob http://work of work\n"
    monkeypatch.setenv("PYCHAT_PROFILE", "work")
    assert profile().output == "asmith http://work of work\n"
    monkeypatch.setenv("PYCHAT_USER", "carol")
    monkeypatch.setenv("PYCHAT_PASSWORD", "of the variable")
    assert profile().output == "carol http://work of the variable\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[profiles.work]\nuser = "a"', "There is no profile wrk in "),
        ('[profiles.work]\nuser = "a"', "Did you mean work?"),
        ("", "Write it as [profiles.wrk]."),
        ("[profiles.wrk]\nport = 1", "profiles.wrk: port does not belong there; these do: user,"),
        ("[profiles.wrk]\nuser = 1", "profiles.wrk: user must be a string."),
        ("[profiles]\nwrk = 1", "profiles.wrk: write it as a table, [profiles.wrk]."),
        ("profiles = 1", "write a profile as a table, [profiles.work]."),
        (
            '[profiles.wrk]\nuser = "a"\npassword-file = "/nowhere"',
            "[profiles.wrk], password-file: File '/nowhere' does not exist.",
        ),
    ],
)
def test_what_is_wrong_with_a_profile_is_named(
    folders: tuple[Path, Path], text: str, line: str
) -> None:
    (folders[1] / "pychat.toml").write_text(text)
    result = profile("--profile", "wrk")
    assert result.exit_code == 2
    assert line in result.output


def test_profiles_are_read_from_ones_own_folder(folders: tuple[Path, Path]) -> None:
    (folders[0] / "pychat.toml").write_text('[profiles.work]\nserver = "http://elsewhere"')
    result = profile("--user", "alice")
    assert result.exit_code == 2
    assert "Error: pychat.toml: profiles is read only from " in result.output


def test_a_password_of_ones_own_goes_to_no_server_that_a_folder_names(
    folders: tuple[Path, Path],
) -> None:
    here, own = folders
    (own / "pychat.toml").write_text('user = "alice"\npassword-command = "echo secret"\n')
    assert profile().output == "alice http://127.0.0.1:3000 secret\n"
    (here / "pychat.toml").write_text('server = "http://elsewhere"\n')
    settings._found.cache_clear()
    settings._read.cache_clear()
    assert profile().output == "alice http://elsewhere None\n"
    with (own / "pychat.toml").open("a") as file:
        file.write('[profiles.work]\npassword-command = "echo of work"\n')
    settings._found.cache_clear()
    settings._read.cache_clear()
    assert profile("--profile", "work").output == "alice http://127.0.0.1:3000 of work\n"
