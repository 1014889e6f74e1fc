"""``pychat import --from``: what Slack, IRC clients and the textbook's database leave."""

from __future__ import annotations

import asyncio
import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pychat.server.store import Store, open_store
from pychat.server.store.transfer.exporting import read_store
from pychat.server.store.transfer.foreign import files as reading
from pychat.server.store.transfer.lines import AccountLine, ConversationLine, MessageLine
from tests.cli.invoke import invoke, refusal


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/chat.db"


def content(address: str) -> tuple[list[AccountLine], dict[str, list[MessageLine]], list[Any]]:
    """Accounts; messages by conversation; conversations."""

    async def read() -> list[Any]:
        store: Store = open_store(address, create=False)
        await store.open()
        lines = [line async for line in read_store(store)]
        await store.close()
        return lines

    accounts, messages, conversations = [], dict[str, list[MessageLine]](), []
    for line in asyncio.run(read()):
        match line:
            case AccountLine():
                accounts.append(line)
            case ConversationLine():
                conversations.append(line)
                current = messages.setdefault(line.name, [])
            case MessageLine():
                current.append(line)
    return accounts, messages, conversations


def said(address: str, conversation: str) -> list[tuple[str, str]]:
    return [(line.sender, line.data) for line in content(address)[1][conversation]]


SLACK: dict[str, Any] = {
    "users.json": [
        {"id": "U1", "name": "alice", "profile": {"display_name": "Alice A."}},
        {"id": "U2", "name": "bob", "deleted": True, "profile": {"real_name": "Bob"}},
        {"id": "U3", "name": "everyone", "profile": {}},
    ],
    "channels.json": [
        {"id": "C1", "name": "general", "creator": "U2", "members": ["U1", "U2", "U3"]},
        {"id": "C2", "name": "old", "creator": "U9", "members": [], "is_archived": True},
    ],
    "groups.json": [{"id": "G1", "name": "secret", "members": ["U1"]}],
    "dms.json": [{"id": "D1", "members": ["U2", "U1"]}],
    "general/2020-01-15.json": [
        {"type": "message", "subtype": "channel_join", "user": "U1", "ts": "1579104499.000100"},
        {
            "user": "U1",
            "ts": "1579104500.123456",
            "thread_ts": "1579104500.123456",
            "text": "Deploy <!here>? <@U2> in <#C2|old>: <https://a.example/x?y=1&amp;z|log>"
            " 1 &lt; 2",
            "reactions": [
                {"name": "+1", "count": 2, "users": ["U2", "U3"]},
                {"name": "party_parrot", "count": 3, "users": ["U7"]},
                {"name": "a b", "count": 1, "users": ["U1"]},
            ],
        },
        {"user": "U2", "ts": "1579104501.000000", "text": "wait :tada: `:tada:`",
         "edited": {"user": "U2", "ts": "1579104600.000000"}},
        {
            "user": "U2",
            "ts": "1579104502.000200",
            "thread_ts": "1579104500.123456",
            "text": "done",
            "files": [{"name": "log.txt", "permalink": "https://a.example/f?t=xoxe-secret"}, None],
        },
    ],
    "general/2020-01-16.json": [
        {"subtype": "bot_message", "bot_id": "B1", "username": "CI", "ts": "1579190400.0",
         "text": "", "attachments": [{"title": "Build 7", "text": "passed"}]},
        {"subtype": "me_message", "user": "U8", "ts": "1579190401.0", "text": "waves",
         "user_profile": {"display_name": "Guest"}},
    ],
    "D1/2020-01-15.json": [{"user": "U1", "ts": "1579104500.5", "text": "psst"}],
}  # fmt: skip


def slack_zip(path: Path, changes: dict[str, Any] | None = None, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in (SLACK | (changes or {})).items():
            text = value if isinstance(value, str | bytes) else json.dumps(value, indent=1)
            archive.writestr(prefix + name, text)
    return path


def test_slack(store: str, tmp_path: Path) -> None:
    file = slack_zip(tmp_path / "export.zip")
    result = invoke("import", "--from", "slack", "--store", store, file)
    assert (result.status, result.stdout) == (0, ""), result.stderr
    assert result.stderr.splitlines() == [
        f"Created the store {tmp_path}/chat.db.",
        f"Imported 7 accounts, 4 conversations and 6 messages into {tmp_path}/chat.db; verified.",
        "Left out:",
        "  1 files (their names and links are in the messages),"
        " first in general/2020-01-15.json, message 4",
        "  1 joins, topics and other notices, first in general/2020-01-15.json, message 1",
        "  1 marks of archived channels, first in old",
        "  1 private channels, first in secret",
        "  3 reactions, first in general/2020-01-15.json, message 2",
    ]
    accounts, messages, conversations = content(store)
    assert [(a.id, a.alias, a.disabled, a.password_hash) for a in accounts] == [
        ("alice", "Alice A.", False, None),
        ("bob", "Bob", True, None),
        ("CI", "CI", False, None),
        ("everyone-2", "everyone-2", False, None),
        ("Guest", "Guest", False, None),
        ("operator", "operator", False, None),
        ("U7", "U7", False, None),
    ]
    first = "Deploy @here? @bob in #old: log (https://a.example/x?y=1&z) 1 < 2"
    assert [(m.sender, m.sent_at, m.data) for m in messages["#general"]] == [
        ("alice", 1579104500123, first),
        ("bob", 1579104501000, "wait 🎉 `:tada:`"),
        ("bob", 1579104502000, "done\n📎 log.txt https://a.example/f"),
        ("CI", 1579190400000, "Build 7\npassed"),
        ("Guest", 1579190401000, "_waves_"),
    ]
    question, wait, done, *_ = messages["#general"]
    assert [(r.rev, r.emoji, r.id) for r in question.reactions or ()] == [
        (1, "👍", "bob"),
        (2, "👍", "everyone-2"),
        (3, ":party_parrot:", "U7"),
    ]
    assert (question.rev, wait.rev, wait.edited_at, done.reply_to) == (3, 4, 1579104600000, 1)
    assert [(m.sender, m.data) for m in messages["alice and bob"]] == [("alice", "psst")]
    rooms = {c.room_id: c for c in conversations if c.kind == "room"}
    assert rooms["general"].room_owner == "bob"
    assert rooms["old"].room_owner == "operator"
    alice = next(m for m in rooms["general"].members if m.id == "alice")
    assert (alice.first_seq, alice.read_seq) == (1, 5)


@pytest.mark.parametrize("ts", ["253402300800.000", "9" * 15, "-1.0", "1e9", "", ".", ".5"])
def test_a_time_that_no_client_could_read(store: str, tmp_path: Path, ts: str) -> None:
    day = [{"user": "U1", "ts": ts, "text": "later"}]
    file = slack_zip(tmp_path / "export.zip", {"general/2020-01-15.json": day})
    line = refusal("import", "--from", "slack", "--store", store, file)
    assert line == f"general/2020-01-15.json, message 1: ts is not a time: {ts!r}"


def test_half_a_surrogate_pair_does_not_stop_an_import(store: str, tmp_path: Path) -> None:
    texts = [r"cut \ud83d", r"\uDE00 \ud83d\ud83d\ude00", r"path \\ud83d", r"whole \ud83d\ude00"]
    days = "".join(
        f'{{"user": "U1", "ts": "157910450{number}.0", "text": "{text}"}},'
        for number, text in enumerate(texts)
    )
    folder = tmp_path / "export"
    for name, content in SLACK.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    (folder / "old").mkdir()
    (folder / "old" / "2020-01-15.json").write_text(f"[{days.rstrip(',')}]")
    result = invoke("import", "--from", "slack", "--store", store, folder)
    assert result.status == 0, result.stderr
    assert [text for _, text in said(store, "#old")] == [
        "cut \ufffd", "\ufffd \ufffd😀", r"path \ud83d", "whole 😀",
    ]  # fmt: skip
    (folder / "old" / "2020-01-15.json").write_text('[\n{"text": "\\ud83d"},\n{"ts"}]')
    line = refusal("import", "--from", "slack", "--store", store, folder)
    assert line.startswith("old/2020-01-15.json, line 3: not JSON")


def test_twice_adds_nothing_twice(store: str, tmp_path: Path) -> None:
    file = slack_zip(tmp_path / "export.zip")
    for _ in range(2):
        assert invoke("import", "--from", "slack", "--store", store, file).status == 0
    assert len(content(store)[1]["#general"]) == 5
    longer = SLACK["general/2020-01-16.json"] + [{"user": "U1", "ts": "1579190402.0", "text": "."}]
    slack_zip(file, {"general/2020-01-16.json": longer})
    assert invoke("import", "--from", "slack", "--store", store, file).status == 0
    assert said(store, "#general")[5:] == [("alice", ".")]


def test_a_folder_or_a_folder_in_a_zip_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(slack_zip(tmp_path / "a.zip")) as archive:
        archive.extractall(tmp_path / "folder")
    (tmp_path / "folder" / "general" / "2020-01-17.json").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "folder" / "general" / "2020-01-18.json")
    inside = slack_zip(tmp_path / "b.zip", prefix="My workspace/")
    for name, file in (("a", tmp_path / "folder"), ("b", inside)):
        store = f"sqlite:///{tmp_path}/{name}.db"
        assert invoke("import", "--from", "slack", "--store", store, file).status == 0
        assert len(content(store)[1]["#general"]) == 5


def test_dry_run(store: str, tmp_path: Path) -> None:
    file = slack_zip(tmp_path / "export.zip")
    result = invoke("import", "--from", "slack", "--dry-run", "--store", store, file)
    first = f"{file} has 7 accounts, 4 conversations and 6 messages."
    assert (result.status, result.stderr.splitlines()[0]) == (0, first)
    assert not (tmp_path / "chat.db").exists()


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"general/2020-01-16.json": '[{"ts": "1.0"},\n{"ts": }]'},
         "general/2020-01-16.json, line 2: not JSON: JSON is malformed"),
        ({"general/2020-01-16.json": [{"ts": 7}]},
         "general/2020-01-16.json, message 1: Expected str, got int - at $.ts"),
        ({"general/2020-01-16.json": [{"ts": "1.0", "text": "?"}]},
         "general/2020-01-16.json, message 1 has no sender"),
        ({"general/2020-01-16.json": [{"ts": "-1", "user": "U1", "text": "?"}]},
         "general/2020-01-16.json, message 1: ts is not a time: '-1'"),
        ({"general/2020-01-16.json": b'[{"ts": "1.0", "text": "\xff"}]'},
         "general/2020-01-16.json, message 1 is not UTF-8"),
        ({"general/2020-01-16.json": "[" * 100_000},
         "general/2020-01-16.json is nested too deeply"),
        ({"users.json": {}}, "users.json: Expected array, got object"),
        ({"../../evil.json": []}, "has a file with the name '../../evil.json', which leads out"),
        ({"/etc/evil.json": []}, "has a file with the name '/etc/evil.json', which leads out"),
        ({"C:/evil.json": []}, "has a file with the name 'C:/evil.json', which leads out"),
        ({"general/bomb.json": "0" * 40_000_000}, "looks like a zip bomb"),
    ],
)  # fmt: skip
def test_a_hostile_zip_file(
    store: str, tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    file = slack_zip(tmp_path / "export.zip", changes)
    assert complaint in refusal("import", "--from", "slack", "--store", store, file)
    assert not (tmp_path / "chat.db").exists()


def test_names_of_channels_do_not_lead_out(store: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "2020-01-01.json").write_text('[{"ts":"1.0","user":"U1","text":"!"}]')
    with zipfile.ZipFile(slack_zip(tmp_path / "a.zip")) as archive:
        archive.extractall(tmp_path / "folder")
    channels = [{"id": "C1", "name": "../outside", "members": []}]
    (tmp_path / "folder" / "channels.json").write_text(json.dumps(channels))
    assert invoke("import", "--from", "slack", "--store", store, tmp_path / "folder").status == 0
    assert said(store, "#../outside") == []


def test_a_zip_file_that_lies_or_is_damaged(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = slack_zip(tmp_path / "export.zip").read_bytes()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole[: len(whole) // 2])
    line = refusal("import", "--from", "slack", "--store", store, cut)
    assert line == "there is no channels.json: this is not an export of Slack"
    damaged = bytearray(whole)
    place = whole.index(b"users.json") + len("users.json")
    damaged[place : place + 20] = b"\xff" * 20
    cut.write_bytes(damaged)
    assert "cannot read users.json" in refusal("import", "--from", "slack", "--store", store, cut)
    monkeypatch.setattr(reading, "MAX_DOCUMENT", 10)
    line = refusal("import", "--from", "slack", "--store", store, tmp_path / "export.zip")
    assert line.startswith("users.json has 0 MB: more than 0 MB are not read")


WEECHAT = """\
2020-01-15 10:20:29\t\t****  Beginning of log  ****
2020-01-15 10:20:30\t-->\talice (~a@host) has joined #python
2020-01-15 10:20:31\t@alice\thello \x0304,12red\x03 \x02bold\x02
2020-01-15 10:20:32\tBOB\thi
2020-01-15 10:20:33\t--\tbob is now known as bob|away
2020-01-15 10:20:34\tbob|away\tgone
2020-01-15 10:20:35\t<--\tbob|away (~b@host) has quit (bye)
2020-01-15 10:20:36\t *\talice waves
2020-01-15 10:20:37\tbob|away\tsomebody else
"""


def test_weechat(store: str, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "irc.libera.#python.weechatlog").write_text(WEECHAT)
    (logs / "irc.libera.carol.weechatlog").write_text("2020-01-15 10:20:30\tcarol\tsecret\n")
    (logs / "notes.md").write_text("mine")
    command = ("import", "--from", "weechat", "--owner", "alice", "--store", store, logs)
    result = invoke(*command)
    assert (result.status, result.stdout) == (0, ""), result.stderr
    assert result.stderr.splitlines()[1:] == [
        f"Imported 3 accounts, 2 conversations and 5 messages into {tmp_path}/chat.db; verified.",
        "Left out:",
        "  1 files that are not logs, first in notes.md",
        "  2 joins and leaves, first in irc.libera.#python.weechatlog, line 2",
        "  1 logs of private messages and servers, first in irc.libera.carol.weechatlog",
        "  1 notices, topics and modes, first in irc.libera.#python.weechatlog, line 1",
    ]
    assert said(store, "#python") == [
        ("alice", "hello red bold"),
        ("BOB", "hi"),
        ("BOB", "gone"),
        ("alice", "_alice waves_"),
        ("bob|away", "somebody else"),
    ]


IRSSI = """\
--- Log opened Wed Jan 15 23:58:00 2020
23:58 -!- alice [~a@host] has joined #python
23:58 <@alice> hello > world
23:59 < bob> hi
23:59 -bob:#python- a notice
--- Day changed Thu Jan 16 2020
00:01  * alice waves
00:02 -!- bob is now known as bob_
[00:03:04] <bob_> still me
--- Log closed Thu Jan 16 00:04:00 2020
--- Log opened Fri Jan 17 10:00:00 2020
10:00 <bob_> another one
"""


def test_irssi(store: str, tmp_path: Path) -> None:
    log = tmp_path / "#python.2020-01.log"
    log.write_text(IRSSI)
    result = invoke("import", "--from", "irssi", "--store", store, log)
    assert result.status == 0, result.stderr
    assert result.stderr.splitlines()[2:] == [
        "Left out:",
        "  1 joins and leaves, first in #python.2020-01.log, line 2",
        "  1 notices, topics and modes, first in #python.2020-01.log, line 5",
    ]
    day = 1_579_046_400_000
    assert [(m.sent_at - day, m.sender, m.data) for m in content(store)[1]["#python"]] == [
        (86_280_000, "alice", "hello > world"),
        (86_340_000, "bob", "hi"),
        (86_460_000, "alice", "_alice waves_"),
        (86_584_000, "bob", "still me"),
        (208_800_000, "bob_", "another one"),
    ]
    assert said(store, "#python")[0][0] == "alice"


@pytest.mark.parametrize(
    ("format", "text", "complaint"),
    [
        ("irssi", "10:20 <alice> hi\n", "line 1 has no date before it"),
        ("irssi", "--- Log opened Mit Jän 15 10:20:30 2020\n", "line 1: not a date like Wed Jan"),
        ("irssi", "--- Log opened Wed Jan 15 10:20:30 2020\nhello\n",
         "line 2: not a time like 10:20: 'hello'"),
        ("irssi", "--- Log opened Wed Jan 15 10:20:30 2020\n10:99 <a> b\n", "line 2: not a time"),
        ("irssi", "--- Log opened Wed Jan 35 10:20:30 2020\n", "line 1: not a date"),
        ("irssi", "--- Log opened Wed Jan 15 10:20:30 1920\n10:20 <a> b\n",
         "line 2: the date is before 1970"),
        ("weechat", "\ufeff2020-01-15 10:20:30\talice\thi\nhello\n",
         "line 2 is not a line of a WeeChat log"),
        ("weechat", "yesterday\talice\thi\n", "line 1: not a date like 2020-01-31 12:30:00"),
        ("weechat", b"2020-01-15 10:20:30\talice\t\xff\n",
         "line 1 is not in the encoding utf-8: name the right one with --encoding"),
        ("weechat", "a" * (2 << 20), "line 1 is longer than 1 MB"),
    ],
)  # fmt: skip
def test_a_hostile_log(
    store: str, tmp_path: Path, format: str, text: str | bytes, complaint: str
) -> None:
    log = tmp_path / "#python.log"
    log.write_bytes(text.encode() if isinstance(text, str) else text)
    line = refusal("import", "--from", format, "--store", store, log)
    assert line.startswith(f"#python.log, {complaint}")
    assert not (tmp_path / "chat.db").exists()


def test_encodings(store: str, tmp_path: Path) -> None:
    log = tmp_path / "freenode.#한국.weechatlog"
    log.write_bytes("2020-01-15 10:20:30\t철수\t안녕\r\n".encode("euc-kr"))
    command = ("import", "--from", "weechat", "--store", store, "--encoding")
    assert invoke(*command, "euc-kr", log).status == 0
    assert said(store, "#한국") == [("철수", "안녕")]
    for name in ("utf-16", "rot13", "nonsense"):
        assert "must be an encoding that contains ASCII" in refusal(*command, name, log, status=2)


def test_names_that_are_no_ids(store: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    names = ["ALL", "you", "а\u202elice", "alice", "Alice", "#", "x" * 200, "bob", "ｂｏｂ"]
    log.write_text("".join(f"2020-01-15 10:20:30\t{name}\thi\n" for name in names))
    assert invoke("import", "--from", "weechat", "--store", store, log).status == 0
    assert [sender for sender, _ in said(store, "#log")] == [
        "ALL-2", "you-2", "аlice", "alice-2", "alice-2", "unnamed", "x" * 54, "bob", "ｂｏｂ-2",
    ]  # fmt: skip


def test_a_text_that_is_too_long_is_divided(store: str, tmp_path: Path) -> None:
    log = tmp_path / "#log"
    log.write_text(f"2020-01-15 10:20:30\talice\t{'가' * 30_000}\n")
    assert invoke("import", "--from", "weechat", "--store", store, log).status == 0
    parts = [text for _, text in said(store, "#log")]
    assert len(parts) == 2
    assert "".join(parts) == "가" * 30_000


def test_rotated_logs_are_one_room(store: str, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for month in ("2020-02", "2020-01"):
        (logs / "Libera").mkdir(parents=True, exist_ok=True)
        (logs / "Libera" / f"#python.{month}.log").write_text(
            f"--- Log opened Wed {month[-2:].replace('01', 'Jan').replace('02', 'Feb')} 15"
            f" 10:00:00 2020\n10:00 <alice> {month}\n"
        )
    assert invoke("import", "--from", "irssi", "--store", store, logs).status == 0
    assert said(store, "#python") == [("alice", "2020-01"), ("alice", "2020-02")]


USERS = [
    {"_id": {"$oid": "5e1ef1a00000000000000001"}, "id": "test01", "name": "소녀시대",
     "password": "123456"},
    {"_id": {"$oid": "5e1ef1a00000000000000002"}, "email": "a@example.org", "name": "Ann",
     "hashed_password": "ab12", "salt": "77", "created_at": {"$date": "2020-01-15T10:00:00Z"}},
    {"_id": "x", "id": "test02", "created_at": {"$date": {"$numberLong": "1579082400000"}}},
]  # fmt: skip


@pytest.mark.parametrize("array", [False, True])
def test_textbook(store: str, tmp_path: Path, array: bool) -> None:
    from pychat.server.chat.accounts.passwords import _verify

    file = tmp_path / "users.json"
    lines = "".join(json.dumps(user) + "\n" for user in USERS)
    file.write_text(json.dumps(USERS) if array else lines)
    for _ in range(2):
        result = invoke("import", "--from", "textbook", "--store", store, file)
        assert result.status == 0, result.stderr
    place = "document 2" if array else "line 2"
    assert result.stderr.splitlines() == [
        f"Imported 3 accounts, 1 conversations and 0 messages into {tmp_path}/chat.db; verified.",
        "Left out:",
        f"  1 passwords that cannot be taken over, first in users.json, {place}",
    ]
    ann, first, second = content(store)[0]
    assert (ann.id, ann.alias, ann.created_at) == ("a@example.org", "Ann", 1_579_082_400_000)
    assert (first.id, first.alias, first.created_at) == ("test01", "소녀시대", 1_579_086_240_000)
    assert (ann.password_hash, second.password_hash) == (None, None)
    assert second.created_at == 1_579_082_400_000
    assert first.password_hash
    assert _verify(first.password_hash, "123456")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"id": "a"}\n{"id": 7}\n', "users.json, line 2: Expected str, got int - at $.id"),
        ('{"id": "a"}\n{"id"\n', "users.json, line 2: not JSON"),
        ('{"name": "a"}\n', "users.json, line 1: the document has neither id nor email nor"),
        ('{"id": "a", "created_at": "no"}\n', "users.json, line 1: created_at is not a date"),
        (
            '{"id": "a", "created_at": {"$date": {"$numberLong": "253402300800000"}}}\n',
            "users.json, line 1: created_at is not a date from 1970 to 9999",
        ),
        ('[{"id": "a"},\n{"id"]', "users.json, line 2: not JSON"),
    ],
)
def test_a_hostile_collection(store: str, tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "users.json"
    file.write_text(text)
    line = refusal("import", "--from", "textbook", "--store", store, file)
    assert line.startswith(complaint)


def test_wrong_usage(store: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for arguments, complaint in (
        (["--from", "discord", file], "--from: 'discord' is not one of"),
        (["--from", "slack", "-"], "FILE: --from needs a file or folder"),
        ([tmp_path], f"FILE: {tmp_path} is a folder: say what it is with --from."),
        (["--dry-run", file], "--dry-run needs --from."),
        (["--from", "irssi", "--owner", "#x", file], "--owner: must not start with #."),
    ):
        assert refusal("import", "--store", store, *arguments, status=2).startswith(complaint)
    (tmp_path / "empty").mkdir()
    line = refusal("import", "--from", "irssi", "--store", store, tmp_path / "empty")
    assert line.startswith("there is no log of a channel: the name of its file contains #channel")
