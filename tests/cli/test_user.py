"""``pychat user``: accounts in the store, with the server running or not."""

import asyncio
import json
from pathlib import Path

import pytest

from pychat.cli.operator.user import opened
from tests.cli.invoke import Result, invoke, refusal
from tests.processes import Serving


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/chat.db"


def add(id: str, store: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    with monkeypatch.context() as patch:
        patch.setenv("PYCHAT_PASSWORD", "a good password")
        return invoke("user", "add", id, "--store", store)


def listed(store: str) -> list[dict[str, str]]:
    result = invoke("user", "list", "--json", "--store", store)
    assert result.status == 0
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_add_disable_enable(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, added = add("alice", store, monkeypatch).stderr.splitlines()
    assert made == f"Created the store {store.removeprefix('sqlite:///')}."
    assert added == "Created the account alice."
    assert add("bob", store, monkeypatch) == Result(0, "", "Created the account bob.\n")
    disable = invoke("user", "disable", "bob", "--store", store)
    assert disable == Result(0, "", "Disabled bob.\n")
    assert [(user["id"], user["state"]) for user in listed(store)] == [
        ("alice", "active"),
        ("bob", "disabled"),
    ]
    enable = invoke("user", "enable", "bob", "--store", store)
    assert enable == Result(0, "", "Enabled bob.\n")
    assert {user["state"] for user in listed(store)} == {"active"}


def test_disable_names_the_rooms_that_have_lost_their_owner(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("alice", store, monkeypatch)

    async def create_rooms() -> None:
        async with opened(store) as opened_store:
            alice = await opened_store.account("alice")
            assert alice is not None
            for id in ("ops", "tea"):
                await opened_store.create_room(id, id, alice.key)

    asyncio.run(create_rooms())
    disabled = invoke("user", "disable", "alice", "--store", store)
    assert disabled.stderr.splitlines()[1] == (
        "alice owns #ops, #tea. An admin can transfer public rooms: pychat room transfer."
    )


def test_list_without_a_terminal_is_tabs(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add("alice", store, monkeypatch)
    assert invoke("user", "list", "--store", store).stdout == "alice\talice\tactive\t\n"


@pytest.mark.e2e
def test_beside_a_running_server(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Serving("--store", store):
        assert add("alice", store, monkeypatch).status == 0
        assert [user["id"] for user in listed(store)] == ["alice"]


def test_id_taken_also_in_another_spelling(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add("alice", store, monkeypatch)
    result = add("Alice", store, monkeypatch)
    assert (result.status, result.stderr) == (1, "Error: the id Alice is taken\n")


def test_ids_that_may_not_be(store: str) -> None:
    line = refusal("user", "add", "ALL", "--store", store, status=2)
    assert "must not be ALL, which is reserved" in line


def test_password_from_a_file_or_a_command(store: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a good password\nand a note\n")
    common = ("--store", store)
    assert invoke("user", "add", "a", "--password-file", file, *common).status == 0
    assert (
        invoke("user", "add", "b", "--password-command", "echo a good password", *common).status
        == 0
    )
    assert len(listed(store)) == 2


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [
        ([], 2, "Cannot ask for the password without a terminal: set PYCHAT_PASSWORD, or use"),
        (["--password-command", "false"], 1, "the password command failed: false: exit status 1"),
        (["--password-command", "no-such x"], 1, "failed: no-such x: No such file or directory"),
        (["--password-command", "true"], 1, "the password command printed nothing"),
        (["--password-file", "/nowhere"], 2, "--password-file: File '/nowhere' does not exist"),
        (["--password", "x"], 2, "There is no option --password."),
    ],
)
def test_no_password(store: str, options: list[str], status: int, line: str) -> None:
    assert line in refusal("user", "add", "alice", "--store", store, *options, status=status)


def test_a_password_that_is_too_long(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "x" * 1025)
    line = refusal("user", "add", "alice", "--store", store)
    assert line == "a password must have 1 to 1024 characters"


@pytest.mark.parametrize("command", ["disable", "enable", "passwd"])
def test_unknown_id(store: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add("alice", store, monkeypatch)
    monkeypatch.setenv("PYCHAT_PASSWORD", "x password")
    assert "there is no account nobody in" in refusal("user", command, "nobody", "--store", store)


@pytest.mark.parametrize(
    "command", [["list"], ["passwd", "a"], ["disable", "a"], ["enable", "a"], ["devices", "a"]]
)
def test_a_mistyped_store_is_not_made(
    store: str, tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "x password")
    assert f"there is no store {tmp_path}/chat.db" in refusal("user", *command, "--store", store)
    assert list(tmp_path.glob("chat.db*")) == []


def test_an_address_that_is_none_is_wrong_usage() -> None:
    line = refusal("user", "list", "--store", "redis://x", status=2)
    assert line.startswith("--store: not a store address: redis://x (write sqlite:///")
    assert line.endswith("See 'pychat user list --help'.")


def test_the_commands_are_told_in_whole_sentences() -> None:
    assert "  Set an account's password.\n" in invoke("user", "--help").stdout


def test_memory_has_no_accounts_to_manage() -> None:
    line = refusal("user", "list", "--store", "memory:", status=2)
    assert "exists only in its server" in line
