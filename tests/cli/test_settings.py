"""Options by flag, by variable, by pychat.toml, in that order; and what is wrong in the file."""

import os
from pathlib import Path

import click
import pytest
from click.core import ParameterSource
from click.testing import CliRunner, Result

from pychat.cli.credentials.login import Credentials
from pychat.cli.settings import files as settings
from pychat.cli.settings.options import Option, SettingsCommand, WholeNumber, login_options, option
from tests.cli.invoke import refusal


@click.command(cls=SettingsCommand)
@option("--port", type=WholeNumber(0, 65535), default=3000)
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
    assert "[env var: PYCHAT_PORT; default: 2; 0<=x<=65535]" in invoke("--help").output


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("prot = 2", "pychat.toml: unknown option prot. Did you mean port?"),
        ("port = 65536", "pychat.toml, port: 65536 is not in the range 0<=x<=65535."),
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
    assert "Error: The variable PYCHAT_PORT: 'x' is not a valid whole number." in result.output


def test_a_command_for_the_password_is_taken_from_ones_own_folder(
    folders: tuple[Path, Path],
) -> None:
    (folders[1] / "pychat.toml").write_text("password-command = 'pass chat'")
    assert settings.settings() == {"password-command": "pass chat"}


@click.command(cls=SettingsCommand)
@login_options
def log_in(login: Credentials) -> None:
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
        ("[profiles.wrk]\nport = 1", "profiles.wrk: unknown key port; known keys: user,"),
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


OPTIONS = {option.key: (command, option) for command, option in settings.all_settings()}
VALUES = {"true": "true or false", "1": "whole number", '"x"': "text", '["x"]': "list"}
NEVER = ["1.5", "1979-05-27", "{ a = 1 }", "[1]", "[[]]", "[true]", '[["x"]]']


@pytest.mark.parametrize("key", OPTIONS)
def test_a_value_of_another_type_is_refused_whichever_command_runs(
    folders: tuple[Path, Path], key: str
) -> None:
    taken = []
    for value in [*VALUES, *NEVER]:
        (folders[0] / "pychat.toml").write_text(f"{key} = {value}\n")
        settings._found.cache_clear()
        settings._read.cache_clear()
        try:
            settings.settings()
        except click.UsageError as refused:
            line = refused.format_message()
            if "read only from" not in line:
                assert line.startswith(f"pychat.toml, {key}: it must be "), line
                told = line
        else:
            taken.append(value)
    if key in settings.OWN_FOLDER_ONLY:
        taken.append('"x"')
    assert len(taken) == 1
    assert taken[0] not in NEVER
    assert VALUES[taken[0]] in told


def wrong_values(option: Option) -> list[str]:
    if isinstance(option.type, WholeNumber):
        return ["x", "1.5", "-1", "", "99999"] if option.type.max else ["x", "1.5", "-1", ""]
    if isinstance(option.type, click.Choice):
        return ["x", "", option.type.choices[0].upper() + " "]
    return [] if option.is_flag or option.default == "" else [""]


@pytest.mark.parametrize("key", OPTIONS)
def test_a_wrong_value_is_refused_by_the_name_of_flag_and_variable(
    key: str,
) -> None:
    _, option = OPTIONS[key]
    context = click.Context(click.Command("x"))
    for value in wrong_values(option):
        given = (value,) if option.multiple else value
        for source, name in (
            (ParameterSource.COMMANDLINE, f"--{option.flag}: "),
            (ParameterSource.ENVIRONMENT, f"The variable {option.envvar}: "),
        ):
            context.set_parameter_source(option.name or "", source)
            with pytest.raises(click.UsageError) as refused:
                option.process_value(context, given)
            assert refused.value.format_message().startswith(name)


DAMAGES = {
    "garbage": (b"\xa5\x00\xff" * 99, "cannot be read: it is not UTF-8 text."),
    "truncated": (b'[tui]\nmuted = ["bob', "is not valid TOML: "),
    "deep": (b"port = " + b"[" * 9999 + b"]" * 9999, "are nested too deeply."),
    "digits": (b"port = " + b"9" * 9999, "is not valid TOML: "),
    "zeros": (b"\0" * 99, "is not valid TOML: "),
}


@pytest.mark.parametrize("damage", [*DAMAGES, "folder", "pipe"])
def test_a_damaged_file_is_refused_by_name(folders: tuple[Path, Path], damage: str) -> None:
    file = folders[1] / "pychat.toml"
    if damage == "folder":
        file.mkdir()
        problem = "cannot be read: it is not a file."
    elif damage == "pipe":
        os.mkfifo(file)
        problem = "cannot be read: it is not a file."
    else:
        content, problem = DAMAGES[damage]
        file.write_bytes(content)
    result = invoke()
    assert result.exit_code == 2
    assert f"Error: {file}" in result.output
    assert problem in result.output


@pytest.mark.parametrize(
    ("command", "key", "value"),
    [
        ("users --user alice", "server", "http://"),
        ("serve", "store", "nonsense"),
        ("user list", "store", "nonsense"),
        ("serve", "limit", "messages=abc"),
        ("serve", "limit", "nosuch=1/2"),
        ("serve", "cors-origin", "nonsense"),
        ("serve", "trusted-proxy", "10.0.0.0/99"),
        ("demo", "demo-user", "ALL"),
    ],
)
def test_what_only_the_command_finds_is_told_of_where_it_stands(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, command: str, key: str, value: str
) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    option = OPTIONS[key][1]
    line = refusal(*command.split(), f"--{option.flag}", value, status=2)
    assert line.startswith(f"--{option.flag}: ")
    written = f'["{value}"]' if option.multiple else f'"{value}"'
    file = folders[1] / "pychat.toml"
    file.write_text(f"{key} = {written}\n")
    assert refusal(*command.split(), status=2).startswith(f"{file}, {key}: ")
    assert option.envvar is not None
    monkeypatch.setenv(str(option.envvar), value)
    line = refusal(*command.split(), status=2)
    assert line.startswith(f"The variable {option.envvar}: ")
