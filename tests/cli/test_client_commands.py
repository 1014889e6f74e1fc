"""``send``, ``listen``, ``history``, ``users`` and ``connect --plain`` against a real server."""

import asyncio
import json
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.invoke import Result, invoke, refusal
from tests.processes import PYCHAT, Serving, run_pychat
from tests.requirements import require_program

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Serving("--store", "memory:") as server:
        yield server.url


@pytest.fixture
def people(url: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[str]:
    """Three ids of this test's own, logged in once on this machine: their tokens are kept."""
    monkeypatch.setenv("PYCHAT_SERVER", url)
    ids = [f"{name} {request.node.name[:40]}" for name in ("alice", "bob", "carol")]
    with monkeypatch.context() as patch:
        patch.setenv("PYCHAT_PASSWORD", "a good password")
        for id in ids:
            assert invoke("connect", "--user", id).status == 0
    return ids


def test_a_message_is_sent_and_found(people: list[str]) -> None:
    alice, bob, _ = people
    assert invoke("send", "--user", alice, "--to", bob, "hello") == Result(0, "", "")
    assert invoke("send", "--user", bob, "--to", alice, "-", input="two\nlines\n").status == 0
    lines = invoke("history", "--user", alice, "--with", bob, "--json").stdout.splitlines()
    messages = [json.loads(line) for line in lines]
    assert [(m["seq"], m["sender"], m["data"]) for m in messages] == [
        (1, alice, "hello"),
        (2, bob, "two\nlines"),
    ]
    assert {m["with"] for m in messages} == {bob}
    assert all(m["sentAt"].endswith("Z") for m in messages)
    text = invoke("history", "--user", alice, "--with", bob).stdout.splitlines()
    assert [line.partition("] ")[2] for line in text[:2]] == [f"{alice}: hello", f"{bob}: two"]
    assert text[2] == "    lines"


def test_messages_are_edited_answered_and_reacted_to(people: list[str]) -> None:
    alice, bob, _ = people
    history = ("history", "--user", bob, "--with", alice)
    assert invoke("send", "--user", alice, "--to", bob, "helo").status == 0
    id = json.loads(invoke(*history, "--json").stdout)["id"]
    assert invoke("edit", "--user", alice, id, "hello") == Result(0, "", "")
    assert invoke("react", "--user", bob, id, "👍") == Result(0, "", "")
    reply = ("send", "--user", bob, "--to", alice, "--reply")
    assert invoke(*reply, id, "hi") == Result(0, "", "")
    first, second = map(json.loads, invoke(*history, "--json").stdout.splitlines())
    assert first["data"] == "hello"
    assert first["edited"].endswith("Z")
    assert first["reactions"] == [{"emoji": "👍", "count": 1, "by": [bob], "mine": True}]
    assert second["replyTo"] == {"seq": 1, "sender": alice, "data": "hello"}
    lines = [line.partition("] ")[2] or line for line in invoke(*history).stdout.splitlines()]
    shown = [f"{alice}: hello (edited)", "    👍 1", f"    > {alice}: hello", f"{bob}: hi"]
    assert lines == shown
    assert invoke("react", "--user", bob, "--off", id, "👍") == Result(0, "", "")
    assert "reactions" not in invoke(*history, "--json").stdout
    for wrong in ("999-1", "1", "x", f"{id}{'9' * 20}"):
        assert "there is no message" in refusal(*reply, wrong, "hi")
    assert refusal("edit", "--user", bob, id, "mine")
    assert "must not contain spaces" in refusal("react", "--user", bob, id, "a b")


@pytest.mark.parametrize("name", ["ALL", "Everyone", "everyone", "all"])
def test_everyone_is_all(people: list[str], name: str) -> None:
    alice, bob, _ = people
    assert invoke("send", "--user", alice, "--to", name, "hello all").status == 0
    assert talk(alice, f"/msg {name} and in lines").returncode == 0
    said = invoke("history", "--user", bob, "--with", name, "--limit", "2", "--json").stdout
    lines = [json.loads(line) for line in said.splitlines()]
    assert [(line["with"], line["data"]) for line in lines] == [
        ("ALL", "hello all"),
        ("ALL", "and in lines"),
    ]
    assert "room #nope" in refusal("send", "--user", alice, "--to", "#nope", "hi")


def test_only_connect_creates_an_account(
    url: str, people: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = f"new {people[0]}"
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    for command in (
        ("send", "--to", people[0], "hello"),
        ("listen",),
        ("history", "--with", people[0]),
        ("users",),
        ("room", "list"),
        ("remove", "1-1"),
    ):
        assert refusal(*command, "--user", new) == (
            f"there is no account {new} on {url}. Check the id, or create the account: "
            f"pychat connect --user '{new}' --server {url}"
        )
    told = f"account {new} created: log in with this password next time.\n"
    assert invoke("connect", "--user", new) == Result(0, "", told)
    assert invoke("send", "--user", new, "--to", people[0], "hello") == Result(0, "", "")


def test_the_password_of_a_new_account_must_be_long_enough(
    people: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "7 chars")
    line = refusal("connect", "--user", f"new {people[0]}")
    assert line == "the password must have at least 8 characters"


def test_history_is_as_long_as_asked_for(people: list[str]) -> None:
    alice, bob, _ = people
    talk(alice, "".join(f"{number}\n" for number in range(1, 131)), with_=bob)
    for limit, first in ((3, 128), (120, 11), (500, 1)):
        history = ("history", "--user", bob, "--with", alice, "--limit", str(limit), "--json")
        said = [json.loads(line)["data"] for line in invoke(*history).stdout.splitlines()]
        assert said == [str(number) for number in range(first, 131)]


def test_text_of_others_cannot_steer_the_terminal(people: list[str]) -> None:
    alice, bob, _ = people
    invoke("send", "--user", alice, "--to", bob, "\x1b]2;owned\x07 and \x9b31m red")
    result = invoke("history", "--user", bob, "--with", alice)
    assert "\x1b" not in result.stdout
    assert "\x9b" not in result.stdout


def test_users(people: list[str]) -> None:
    alice, bob, _ = people
    result = invoke("users", "--user", alice)
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [alice, alice, "online"] in rows
    assert [bob, bob, "offline"] in rows
    found = invoke("users", "--user", alice, "--json", bob).stdout.splitlines()
    assert [json.loads(line) for line in found] == [{"id": bob, "alias": bob, "online": False}]


def test_listen_starts_with_what_came_while_away(people: list[str]) -> None:
    alice, bob, _ = people
    invoke("send", "--user", alice, "--to", bob, "while you were away")
    listener = subprocess.Popen(
        [*PYCHAT, "listen", "--user", bob],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert listener.stdout is not None
    assert listener.stderr is not None
    with listener.stdout, listener.stderr:
        assert json.loads(listener.stdout.readline())["data"] == "while you were away"
        invoke("send", "--user", alice, "--to", bob, "and now")
        assert json.loads(listener.stdout.readline())["data"] == "and now"
        listener.send_signal(signal.SIGINT)
        assert listener.wait(timeout=60) == 130
        assert listener.stderr.read().strip() == ""


def test_listen_ends_when_nobody_reads_it_any_more(people: list[str]) -> None:
    """As after ``| head -1``, without another message that would tell it."""
    alice, bob, _ = people
    invoke("send", "--user", alice, "--to", bob, "the only one")
    listener = subprocess.Popen(
        [*PYCHAT, "listen", "--user", bob], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert listener.stdout is not None
    assert listener.stderr is not None
    with listener.stderr:
        with listener.stdout:
            assert b"the only one" in listener.stdout.readline()
        assert listener.wait(timeout=60) == 1
        assert listener.stderr.read() == b""


def talk(user: str, lines: str, **options: str) -> subprocess.CompletedProcess[str]:
    arguments = [
        part for name, value in options.items() for part in (f"--{name.strip('_')}", value)
    ]
    return run_pychat("connect", "--user", user, *arguments, input=lines)


def test_plain_lines_are_sent_in_order(people: list[str]) -> None:
    alice, bob, carol = people
    done = talk(alice, "one\n//two\n\nthree", with_=bob)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = invoke("history", "--user", bob, "--with", alice, "--json").stdout.splitlines()
    assert [json.loads(line)["data"] for line in lines] == ["one", "/two", "three"]
    assert invoke("history", "--user", carol, "--with", alice).stdout == ""


def test_plain_lines_that_cannot_be_sent_fail(people: list[str]) -> None:
    alice, bob, _ = people
    done = talk(alice, "\nto nobody\n/nonsense\n/msg nobody hi\n/quit\nnever read\n")
    assert done.returncode == 1
    notes = done.stderr.splitlines()
    assert notes[0].startswith("No conversation is selected")
    assert notes[1].startswith("Unknown command /nonsense")
    assert notes[2].startswith("Refused: ")
    assert notes[3] == "Error: 3 lines failed: 2, 3, 4"
    assert invoke("history", "--user", bob, "--with", alice).stdout == ""


def test_notifications_are_chosen(people: list[str]) -> None:
    alice, bob, _ = people
    assert invoke("send", "--user", bob, "--to", alice, "hello").status == 0
    notify = ("notify", "--user", alice)
    assert invoke(*notify, bob) == Result(0, f"{bob}\tall\n", "")
    assert invoke(*notify, bob.upper(), "muted").stdout == f"{bob}\tmuted\n"
    assert json.loads(invoke(*notify, bob, "--json").stdout) == {"with": bob, "notify": "muted"}
    assert "You have no conversation #attic" in refusal(*notify, "#attic")
    assert "there is no room #attic" in refusal(*notify, "#attic", "muted")


def test_rooms(people: list[str]) -> None:
    alice, bob, carol = people
    made = invoke("room", "create", "--user", alice, "--name", "The builds", "#builds")
    assert made == Result(0, "", "Created #builds.\n")
    assert "you are not in the room #builds" in refusal(
        "send", "--user", bob, "--to", "#builds", "x"
    )
    meant = refusal("send", "--user", bob, "--to", "builds", "x")
    assert meant.endswith("did you mean the room '#builds'?")
    joined = invoke("room", "join", "--user", bob, "builds")
    assert joined == Result(0, "", "Joined #builds.\n")
    assert invoke("send", "--user", bob, "--to", "#builds", "green").status == 0
    history = invoke("history", "--user", alice, "--with", "#builds").stdout
    assert history.endswith(f"{bob}: green\n")
    listed = invoke("room", "list", "--user", bob).stdout.splitlines()
    assert f"builds\tThe builds\t{alice}\tmember\t" in listed
    assert f"builds\tThe builds\t{alice}\t" in invoke("room", "list", "--user", carol).stdout
    assert invoke("room", "leave", "--user", bob, "#builds").stderr == "Left #builds.\n"
    as_json = invoke("room", "list", "--json", "--user", bob).stdout.splitlines()
    builds = {"id": "builds", "name": "The builds", "owner": alice, "member": False}
    builds |= {"topic": "", "private": False, "invited": False}
    assert builds in [json.loads(line) for line in as_json]
    assert "nowhere" in refusal("room", "join", "--user", bob, "nowhere")
    assert "ROOM: must" in refusal("room", "join", "--user", bob, " ", status=2)


def test_plain_rooms(people: list[str]) -> None:
    alice, bob, _ = people
    done = talk(alice, "/create #plain\none\n/leave plain\nto nobody\n/join #plain\ntwo\n/leave\n")
    assert done.returncode == 1
    assert done.stderr.splitlines()[:4] == [
        "Writing to #plain.",
        "Left #plain.",
        "No conversation is selected: type /msg NAME, or use --with NAME.",
        "Writing to #plain.",
    ]
    assert done.stderr.splitlines()[4] == "Name a room: /leave #ROOM."
    assert invoke("room", "join", "--user", bob, "plain").status == 0
    lines = talk(alice, "three", with_="#plain")
    assert lines.returncode == 0
    said = invoke("history", "--user", bob, "--with", "#plain", "--json").stdout.splitlines()
    assert [json.loads(line)["data"] for line in said] == ["three"]


def test_plain_shows_what_arrives(people: list[str]) -> None:
    alice, bob, _ = people
    invoke("send", "--user", alice, "--to", bob, "hello")
    reader = subprocess.Popen(
        [*PYCHAT, "connect", "--user", bob],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    with reader.stdin, reader.stdout:
        assert reader.stdout.readline().endswith(f"] {alice}: hello\n")
        reader.stdin.close()
        assert reader.wait(timeout=60) == 0


def test_the_login_is_kept_for_its_owner_only(people: list[str], own_folders: Path) -> None:
    tokens = list((own_folders / "data" / "pychat" / "logins").glob("*.token"))
    assert len(tokens) == len(people)
    assert {path.stat().st_mode & 0o777 for path in tokens} == {0o600}
    for path in tokens:
        path.chmod(0o640)
    line = refusal("users", "--user", people[0])
    assert "other users can read the login token in" in line
    assert "chmod 600" in line


def test_a_login_that_was_ended_asks_for_the_password_again(
    people: list[str], own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (own_folders / "data" / "pychat" / "logins").glob("*.token"):
        path.write_text("no-token-of-this-server\n")
    line = refusal("users", "--user", people[0])
    assert f"{people[0]} must log in again" in line
    assert "PYCHAT_PASSWORD" in line
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    assert invoke("users", "--user", people[0]).status == 0


def test_a_disabled_id_is_told_who_can_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = f"sqlite:///{tmp_path}/chat.db"
    with Serving("--store", store) as server:
        monkeypatch.setenv("PYCHAT_SERVER", server.url)
        with monkeypatch.context() as patch:
            patch.setenv("PYCHAT_PASSWORD", "a good password")
            assert invoke("connect", "--user", "carol").status == 0
        assert invoke("user", "disable", "carol", "--store", store).status == 0
        line = refusal("users", "--user", "carol")
    assert "carol may not log in" in line
    assert "the operator can allow it with 'pychat user enable'" in line
    assert "PYCHAT_PASSWORD" not in line


def test_wrong_password(
    people: list[str], own_folders: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another machine"))
    monkeypatch.setenv("PYCHAT_PASSWORD", "a bad password")
    assert refusal("users", "--user", people[0]) == "wrong id or password"


def test_no_password(url: str) -> None:
    line = refusal("users", "--user", "somebody", "--server", url)
    assert line == (
        "somebody needs a password: set PYCHAT_PASSWORD, or use --password-file or "
        "--password-command"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["users", "--server", "http://127.0.0.1:9"], 1, "http://127.0.0.1:9 does not answer"),
        (["users", "--server", "ftp://x"], 2, "--server: 'ftp://x' is not a server's address"),
        (["connect", "--server", "http://x:99999"], 2, "--server: 'http://x:99999' is not a"),
        (
            ["send", "--to", "bob"],
            2,
            "Missing argument 'TEXT': give a text, a --file, or both. See 'pychat send --help'.",
        ),
        (["send", "--to", "nobody", "hi"], 1, "nobody"),
        (["send", "--to", "bob", ""], 2, "The message is empty"),
        (["send", "hi"], 2, "--to (or PYCHAT_TO) is required"),
        (["history", "--with", "bob", "--limit", "0"], 2, "--limit: 0 is not in the range x>=1"),
    ],
)
def test_one_line_for_what_is_wrong(
    people: list[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    line: str,
) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    assert line in refusal(*arguments, "--user", people[0], status=status)


def test_input_that_cannot_be_sent(people: list[str]) -> None:
    alice, bob, _ = people
    send = ("send", "--user", alice, "--to", bob, "-")
    assert "is not UTF-8" in refusal(*send, input=b"\xff\xfe")
    assert "65536 bytes" in refusal(*send, input="a" * 65_537)
    assert invoke("history", "--user", bob, "--with", alice).stdout == ""


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    """Something that speaks TLS with a certificate that nobody has signed."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *(require_program("openssl"), "req", "-x509", "-nodes", "-days", "2"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.new_event_loop()
    start = asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0, ssl=context)
    server = loop.run_until_complete(start)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    server.close()
    loop.close()


def test_certificate_not_trusted(tls_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    line = refusal("users", "--user", "alice", "--server", f"https://127.0.0.1:{tls_port}")
    assert line.startswith("the certificate of 127.0.0.1 is not trusted")


def test_alias_and_password_are_changed(
    people: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alice, bob, _ = people
    profile = ("profile", "--user", alice)
    assert invoke(*profile) == Result(0, f"{alice}\t{alice}\n", "")
    assert invoke(*profile, "--alias", "Alice L.") == Result(0, f"{alice}\tAlice L.\n", "")
    assert f"{alice}\tAlice L.\t" in invoke("users", "--user", bob, alice).stdout
    assert "shows nothing" in refusal(*profile, "--alias", "\u200b")
    shown = invoke(*profile, "--status", "away", "--status-text", "at lunch").stdout
    assert shown == f"{alice}\tAlice L.\taway\tat lunch\n"
    assert (
        invoke("users", "--user", bob, alice).stdout
        == f"{alice}\tAlice L.\toffline\taway\tat lunch\n"
    )
    assert json.loads(invoke(*profile, "--json").stdout)["statusText"] == "at lunch"
    assert invoke(*profile, "--status", "online", "--status-text", "").status == 0
    new = tmp_path / "new"
    new.write_text("another password\n")
    new.chmod(0o600)
    change = (*profile, "--new-password-file", str(new))
    assert "PYCHAT_PASSWORD" in refusal(*change, status=2)
    assert "at a terminal" in refusal(*profile, "--new-password", status=2)
    monkeypatch.setenv("PYCHAT_PASSWORD", "a wrong password")
    assert "the password is wrong" in refusal(*change, "--alias", "Mallory")
    assert invoke(*profile).stdout == f"{alice}\tAlice L.\n"
    monkeypatch.setenv("PYCHAT_PASSWORD", "a good password")
    assert invoke(*change).status == 0
    new.write_text("short\n")
    monkeypatch.setenv("PYCHAT_PASSWORD", "another password")
    assert "at least 8 characters" in refusal(*change)


def test_members_of_a_room_are_managed(people: list[str]) -> None:
    alice, bob, carol = people

    def room(by: str, command: str, *arguments: str) -> Result:
        return invoke("room", command, "--user", by, *arguments)

    def role_of(id: str) -> list[str]:
        lines = room(alice, "members", "#staff").stdout.splitlines()
        return [line.split("\t")[2] for line in lines if line.startswith(f"{id}\t")]

    assert room(alice, "create", "#staff").status == 0
    assert room(bob, "join", "#staff").status == 0
    assert "not a moderator" in room(bob, "topic", "#staff", "ours").stderr
    assert room(alice, "topic", "#staff", "ours").status == 0
    listed = [json.loads(line) for line in room(bob, "list", "--json").stdout.splitlines()]
    assert [each["topic"] for each in listed if each["id"] == "staff"] == ["ours"]
    assert room(alice, "role", "#staff", bob, "moderator").status == 0
    assert (role_of(alice), role_of(bob)) == (["owner"], ["moderator"])
    assert room(alice, "transfer", "#staff", bob).status == 0
    assert room(bob, "role", "#staff", alice, "king").status == 2
    assert room(bob, "invite", "#staff", carol).status == 0
    assert "#staff" not in room(carol, "list").stdout
    assert "\tinvited\tours" in room(carol, "list").stdout
    assert room(bob, "kick", "#staff", carol).status == 0
    assert room(carol, "join", "#staff").status == 1


def test_a_private_room_is_named_by_the_server(people: list[str]) -> None:
    alice, bob, _ = people
    assert invoke("room", "create", "--user", alice, "--private", "board").status == 2
    assert invoke("room", "create", "--user", alice, "--private").status == 2
    assert invoke("room", "create", "--user", alice).status == 2
    made = invoke("room", "create", "--user", alice, "--private", "--name", "Board")
    assert made.status == 0
    id = made.stdout.strip()
    assert id.startswith("#private:")
    assert id[1:] not in invoke("room", "list", "--user", bob).stdout
    assert invoke("room", "invite", "--user", alice, id, bob).status == 0
    assert invoke("room", "join", "--user", bob, id).status == 0
    assert invoke("send", "--user", bob, "--to", id, "hello").status == 0
