"""A small world to look at: the same people and messages in every picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pychat.client.models import DeliveryStatus, MessageInfo
from pychat.tui.app import ChatApp
from pychat.tui.model.accounts import TerminalAccount
from pychat.tui.settings import Settings
from tests.tui.scripted import NOW, ScriptedClient, stopped_clock

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def world() -> ScriptedClient:
    """Alice's conversations on a Monday afternoon."""
    client = ScriptedClient()
    say = client.say
    at = NOW - DAY - 3 * HOUR
    say("bob", "Did the release go out?", at=at)
    say("bob", "It did, an hour ago. No complaints so far.", at=at + 8 * MINUTE, own=True)
    say(
        "bob",
        "Nice. I'll write the announcement tomorrow then, first thing in the morning, and "
        "send you a draft before lunch so that you can tear it apart.",
        at=at + 9 * MINUTE,
    )
    at = NOW - 40 * MINUTE
    say("bob", "Morning! Draft is at https://example.org/drafts/42 – could you read it?", at=at)
    say("bob", "The part about `--store memory:` needs your eyes.", at=at + 20)
    say("bob", "Reading it now.", at=at + 4 * MINUTE, own=True)
    say(
        "bob",
        "Two things:\n- the *second* paragraph promises **exactly once**. It is at least "
        "once, shown once.\n- this should be\n```\npychat serve --store memory:\n```",
        at=at + 9 * MINUTE,
        own=True,
    )
    say("bob", "Good catch, fixing. 고마워! 👨‍👩‍👧‍👦", at=at + 12 * MINUTE)
    say("bob", "Ship it when you are ready", at=at + 13 * MINUTE, own=True)
    bob = client.conversation("bob")
    assert bob is not None
    bob.alias, bob.online = "Bob Marsh", True
    bob.peer_delivered_seq, bob.peer_read_seq, bob.read_seq, bob.unread = 9, 7, 9, 0

    say("mina", "회의는 세 시에 시작합니다", at=NOW - 12 * MINUTE)
    say("mina", "자료는 제가 준비할게요", at=NOW - 11 * MINUTE)
    mina = client.conversation("mina")
    assert mina is not None
    mina.alias, mina.online = "김민아", True

    say("#release", "Tagged 1.4.2", sender="tove", at=NOW - 2 * HOUR)
    say("#release", "Wheels are up", sender="bob", at=NOW - 2 * HOUR + MINUTE)
    release = client.conversation("#release")
    assert release is not None
    release.unread, release.read_seq = 0, 2

    say("ALL", "The server restarts at six tonight, for a minute", sender="root", at=NOW - 5 * HOUR)
    everyone = client.conversation("ALL")
    assert everyone is not None
    everyone.unread, everyone.read_seq = 0, 1

    say("tove", "See you on Thursday", at=NOW - 3 * DAY, own=True)
    tove = client.conversation("tove")
    assert tove is not None
    tove.alias, tove.last_seen = "Tove", NOW - 4 * HOUR
    client.drafts["tove"] = "One more thing"

    say("jan", "Danke!", at=NOW - 40 * DAY)
    jan = client.conversation("jan")
    assert jan is not None
    jan.alias, jan.unread, jan.read_seq = "Jan", 0, 1
    return client


def failing(client: ScriptedClient) -> None:
    """One's own messages that are not there yet, and one that was refused."""
    for number, (text, state, error) in enumerate(
        [
            ("This one is on its way", DeliveryStatus.SENDING, ""),
            ("And this one was refused", DeliveryStatus.FAILED, "too fast: try again in 4 s"),
        ]
    ):
        client.log["bob"].append(
            MessageInfo(
                "bob",
                "alice",
                text,
                f"p{number}",
                sent_at=NOW,
                own=True,
                delivery=state,
                error=error,
            )
        )


class OneAccount:
    """Accounts where no other one is ever opened: server and id can be changed in the form."""

    def __init__(self) -> None:
        self.profiles: dict[str, str] = {}
        self.tell: Callable[[str], None] = print

    def open(self, server: str, user: str) -> TerminalAccount:
        raise NotImplementedError

    def open_profile(self, name: str) -> TerminalAccount:
        raise NotImplementedError


def app(
    client: ScriptedClient,
    theme: str = "pychat-dark",
    *,
    state: Path | None = None,
    **settings: object,
) -> ChatApp:
    """The app over a scripted client, at a standing clock, without motion."""
    chosen = Settings(theme=theme, reduced_motion=True, **settings)  # type: ignore[arg-type]
    accounts = OneAccount()
    return ChatApp(client, chosen, clock=stopped_clock(), accounts=accounts, state=state)  # type: ignore[arg-type] # same face
