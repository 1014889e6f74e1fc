"""``edit``, ``remove``, ``react``, ``changed`` and replies; catching up with changes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from pychat.server.chat import Chat, changing, delivery
from tests.server.chat.delayed import DelayedStore
from tests.server.chat.direct import Direct, chatting, logged_in
from tests.turns import turns


async def sent(client: Direct, to: str, text: str, **fields: Any) -> Any:
    """Send a message and return the answer."""
    command = "groupchat" if to.startswith("#") else "chat"
    message = {"sender": client.id, "recepient": to.removeprefix("#"), "data": text}
    answer = await client.ask("message", message | {"command": command} | fields)
    assert answer["code"] in ("200", "202"), answer
    return answer


async def in_room(chat: Chat, *ids: str) -> list[Direct]:
    """Log in users. The first one owns the room r, and all are in it."""
    clients = [await logged_in(chat, id) for id in ids]
    create = {"command": "create", "roomId": "r", "roomName": "r", "roomOwner": ids[0]}
    assert (await clients[0].ask("room", create))["code"] == "200"
    for client in clients[1:]:
        assert (await client.ask("room", command="join", roomId="r"))["code"] == "200"
    return clients


async def history(client: Direct, name: str, **fields: Any) -> Any:
    answer = await client.ask("history", {"with": name} | fields)
    assert answer["code"] == "200", answer
    return answer


async def test_an_edit_is_shown_to_every_reader() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob, phone = [await logged_in(chat, id) for id in ("alice", "bob", "alice")]
        old = await logged_in(chat, "bob", modern=False)
        first = await sent(alice, "bob", "helo")
        answer = await alice.ask("edit", id=first["id"], data="hello", base=None)
        assert (answer["code"], answer["id"], answer["seq"], answer["rev"]) == (
            *("200", first["id"], 1, 1),
        )
        assert answer["edited"] >= first["sentAt"]
        news = {"seq": 1, "rev": 1, "data": "hello", "edited": answer["edited"]}
        assert bob.of("changed") == [{"with": "alice"} | news]
        assert alice.of("changed") == phone.of("changed") == [{"with": "bob"} | news]
        assert old.of("changed") == []
        page = await history(bob, "alice")
        (message,) = page["messages"]
        assert (page["rev"], message["rev"], message["data"]) == (1, 1, "hello")
        assert (message["edited"], message["sentAt"]) == (answer["edited"], first["sentAt"])
        listed = (await bob.ask("conversations", {}))["conversations"]
        (entry,) = [each for each in listed if each["with"] == "alice"]
        assert (entry["rev"], entry["last"]) == (1, message)
        assert (await bob.ask("search", text="hello"))["messages"] == [message]


@pytest.mark.parametrize("read", ["conversations", "history"])
async def test_who_logs_in_while_a_change_in_all_is_stored_learns_of_it(read: str) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        id = (await sent(alice, "ALL", "hello"))["id"]
        held = store.hold("commit")
        editing = alice.start("edit", id=id, data="bye")
        await held.called.wait()
        bob = await logged_in(chat, "bob")
        answer = await bob.ask(read, {} if read == "conversations" else {"with": "ALL"})
        listed = answer["conversations"][0] if read == "conversations" else answer
        assert listed["rev"] == 0
        held.answer()
        await editing
        assert [change["rev"] for change in bob.of("changed")] == [1]


async def test_changes_of_one_connection_share_a_batch_and_keep_their_order() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        ids = [(await sent(alice, "bob", f"text {n}"))["id"] for n in range(3)]
        batches: list[list[Any]] = []
        commit = store.inner.commit

        async def counted(batch: Any) -> Any:
            batches.append(list(batch))
            return await commit(batch)

        store.inner.commit = counted  # type: ignore[method-assign]
        held = store.hold("commit")
        first = alice.start("edit", id=ids[0], data="one")
        await held.called.wait()
        following = [
            *(alice.start("edit", id=id, data=f"{id} again", base=None) for id in ids),
            alice.start("react", id=ids[1], emoji="👍", on=True),
            alice.start("remove", id=ids[2]),
            alice.start("edit", id=ids[2], data="too late"),
            alice.start("react", id="1-999", emoji="👍", on=True),
            alice.start_send("bob", "new"),
            alice.start("history", {"with": "bob"}),
        ]
        held.answer()
        assert (await first)["rev"] == 1
        answers = [await each for each in following]
        codes = [answer["code"] for answer in answers]
        assert codes == ["409", "200", "200", "200", "200", "409", "404", "200", "200"]
        assert [answer.get("rev") for answer in answers[1:5]] == [2, 3, 4, 5]
        shown = [(each.get("data"), each.get("rev")) for each in answers[-1]["messages"]]
        assert shown == [("one", 1), (f"{ids[1]} again", 4), (None, 5), ("new", None)]
        assert len(batches) == 2
        assert [each["rev"] for each in bob.of("changed")] == [1, 2, 3, 4, 5]


async def test_a_message_is_found_by_its_id_after_a_restart() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, _ = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        id = (await sent(alice, "bob", "one"))["id"]
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        assert (await alice.ask("edit", id=id, data="two"))["code"] == "200"


async def test_an_edit_with_another_base_is_a_conflict() -> None:
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        first = await sent(alice, "alice", "one")
        edited = (await alice.ask("edit", id=first["id"], data="two", base=None))["edited"]
        again = await alice.ask("edit", id=first["id"], data="two", base=None)
        assert (again["code"], again["rev"], again["edited"]) == ("200", 1, edited)
        conflict = await alice.ask("edit", id=first["id"], data="three", base=None)
        assert conflict["code"] == "409"
        assert conflict["current"] == (await history(alice, "alice"))["messages"][0]
        based = await alice.ask("edit", id=first["id"], data="three", base=edited)
        assert (based["code"], based["rev"]) == ("200", 2)
        forced = await alice.ask("edit", id=first["id"], data="four")
        assert (forced["code"], forced["rev"]) == ("200", 3)
        assert [each["rev"] for each in alice.of("changed")] == [1, 2, 3]


async def test_who_may_change_a_message() -> None:
    async with chatting(DelayedStore()) as chat:
        owner, alice, bob = await in_room(chat, "owner", "alice", "bob")
        eve = await logged_in(chat, "eve")
        id = (await sent(alice, "#r", "hello"))["id"]
        for client, code in ((owner, "403"), (bob, "403"), (eve, "404")):
            assert (await client.ask("edit", id=id, data="x"))["code"] == code
        for client, code in ((bob, "403"), (eve, "404")):
            assert (await client.ask("remove", id=id))["code"] == code
        assert (await eve.ask("react", id=id, emoji="👍", on=True))["code"] == "404"
        assert (await eve.ask("reactions", id=id))["code"] == "404"
        assert (await owner.ask("remove", id=id))["code"] == "200"
        again = (await sent(alice, "#r", "again"))["id"]
        assert (await alice.ask("remove", id=again))["code"] == "200"
        assert [each["removed"] for each in bob.of("changed")] == [True, True]
        assert eve.of("changed") == []


async def test_a_removed_message_cannot_be_changed() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        id = (await sent(alice, "bob", "oops"))["id"]
        assert (await alice.ask("remove", id=id))["rev"] == 1
        repeated = await alice.ask("remove", id=id)
        assert (repeated["code"], repeated["rev"]) == ("200", 1)
        gone = {"id": id, "seq": 1, "removed": True, "rev": 1}
        for event, fields in (
            ("edit", {"data": "x"}),
            ("react", {"emoji": "👍", "on": True}),
        ):
            refused = await alice.ask(event, {"id": id} | fields)
            assert (refused["code"], refused["current"]) == ("409", gone)
        assert (await history(bob, "alice"))["messages"] == [gone]
        assert len(bob.of("changed")) == 1


async def test_reactions_that_look_alike_are_one() -> None:
    async with chatting(DelayedStore()) as chat:
        (bob,) = await in_room(chat, "bob")
        id = (await sent(bob, "#r", "hello"))["id"]
        for emoji in ("👍", "👍\u200d", "👍\ufe0f", "\u2764", "\u2764\ufe0f"):
            assert (await bob.ask("react", id=id, emoji=emoji, on=True))["code"] == "200"
        given = [each["reaction"]["emoji"] for each in bob.of("changed")]
        assert given == ["👍", "\u2764\ufe0f"]
        (message,) = (await history(bob, "#r"))["messages"]
        assert [each["emoji"] for each in message["reactions"]] == given


async def test_reactions_are_counted_and_listed() -> None:
    async with chatting(DelayedStore()) as chat:
        ids = [f"user{n:02}" for n in range(13)]
        clients = await in_room(chat, *ids)
        id = (await sent(clients[0], "#r", "hello"))["id"]
        for client in clients:
            assert (await client.ask("react", id=id, emoji="👍", on=True))["code"] == "200"
        await clients[3].ask("react", id=id, emoji="🎉", on=True)
        await clients[0].ask("react", id=id, emoji="👍", on=False)
        (message,) = (await history(clients[3], "#r"))["messages"]
        assert message["reactions"] == [
            {"emoji": "👍", "count": 12, "by": ids[1:11], "mine": True},
            {"emoji": "🎉", "count": 1, "by": [ids[3]], "mine": True},
        ]
        (message,) = (await history(clients[0], "#r"))["messages"]
        assert not any("mine" in each for each in message["reactions"])
        answer = await clients[0].ask("reactions", id=id)
        assert answer["reactions"] == [
            {"emoji": "👍", "by": ids[1:]},
            {"emoji": "🎉", "by": [ids[3]]},
        ]
        assert clients[5].of("changed")[-2:] == [
            {
                "with": "#r",
                "rev": 14,
                "seq": 1,
                "reaction": {"emoji": "🎉", "by": ids[3], "on": True},
            },
            {
                "with": "#r",
                "rev": 15,
                "seq": 1,
                "reaction": {"emoji": "👍", "by": ids[0], "on": False},
            },
        ]


@pytest.mark.parametrize(
    ("event", "fields", "text"),
    [
        ("edit", {"id": "1-1", "data": ""}, "data"),
        ("edit", {"id": "x", "data": "a"}, "id"),
        ("edit", {"id": "1-1", "data": "a", "base": "yesterday"}, "base"),
        ("edit", {"id": "1-1", "data": "a", "base": "2026-11-23T01:36:00"}, "base"),
        ("edit", {"id": "1-1", "data": "a", "base": 1}, "base"),
        ("remove", {"id": "1-1-1"}, "id"),
        ("react", {"id": "1-1", "emoji": "", "on": True}, "emoji"),
        ("react", {"id": "1-1", "emoji": "a b", "on": True}, "emoji"),
        ("react", {"id": "1-1", "emoji": "\u202e👍", "on": True}, "emoji"),
        ("react", {"id": "1-1", "emoji": "👍" * 17, "on": True}, "emoji"),
        ("react", {"id": "1-1", "emoji": "👍"}, "on"),
        ("history", {"with": "ALL", "changedAfter": 1, "after": 0}, "changedAfter"),
        ("history", {"with": "ALL", "changedAfter": -1}, "changedAfter"),
        ("history", {"with": "ALL", "from": 1}, "from"),
    ],
)
async def test_malformed_requests(event: str, fields: dict[str, Any], text: str) -> None:
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        refused = await alice.ask(event, fields)
        assert refused["code"] == "400"
        assert refused["message"].startswith(f"{text}: ")


async def test_without_an_acknowledgement_a_response_answers() -> None:
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        id = (await sent(alice, "alice", "one"))["id"]
        alice.tell("edit", {"id": id, "data": "two"})
        assert await alice.next("response") == {
            "command": "edit",
            "code": "200",
            "message": "edited",
        }
        alice.tell("edit", {"id": id, "data": "three", "base": None})
        refused = await alice.next("response")
        assert (refused["command"], refused["code"]) == ("edit", "409")


async def test_changes_of_blocked_users_are_hidden() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob, carol = await in_room(chat, "alice", "bob", "carol")
        of_bob = (await sent(bob, "#r", "by bob"))["id"]
        of_carol = (await sent(carol, "#r", "by carol"))["id"]
        await alice.ask("block", id="bob")
        await bob.ask("edit", id=of_bob, data="edited by bob")
        await carol.ask("react", id=of_bob, emoji="👍", on=True)
        await bob.ask("react", id=of_carol, emoji="👍", on=True)
        await carol.ask("react", id=of_carol, emoji="👍", on=True)
        await bob.ask("remove", id=of_bob)
        reaction = {"emoji": "👍", "by": "carol", "on": True}
        assert alice.of("changed") == [
            {"with": "#r", "rev": 1},
            {"with": "#r", "rev": 2},
            {"with": "#r", "rev": 3},
            {"with": "#r", "rev": 4, "seq": 2, "reaction": reaction},
            {"with": "#r", "rev": 5},
        ]
        assert [each["rev"] for each in carol.of("changed")] == [1, 2, 3, 4, 5]
        assert all("seq" in each for each in carol.of("changed"))
        for answer in (await history(alice, "#r"), await history(alice, "#r", changedAfter=0)):
            shown = [m for m in answer["messages"] if not m.get("removed")]
            assert answer["rev"] == 5
            assert [m["reactions"] for m in shown] == [
                [{"emoji": "👍", "count": 1, "by": ["carol"]}]
            ]
        listed = await alice.ask("reactions", id=of_carol)
        assert listed["reactions"] == [{"emoji": "👍", "by": ["carol"]}]
        for event, fields in (("reactions", {}), ("react", {"emoji": "👍", "on": True})):
            assert (await alice.ask(event, {"id": of_bob} | fields))["code"] == "404"


async def test_late_joiners_do_not_see_changes_of_earlier_messages() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await in_room(chat, "alice", "bob")
        before = (await sent(alice, "#r", "before"))["id"]
        carol = await logged_in(chat, "carol")
        await carol.ask("room", command="join", roomId="r")
        after = (await sent(alice, "#r", "after"))["id"]
        await alice.ask("edit", id=before, data="BEFORE")
        await alice.ask("react", id=after, emoji="👍", on=True)
        assert carol.of("changed") == [
            {"with": "#r", "rev": 1},
            {
                "with": "#r",
                "rev": 2,
                "seq": 2,
                "reaction": {"emoji": "👍", "by": "alice", "on": True},
            },
        ]
        answer = await history(carol, "#r", changedAfter=0)
        assert ([m["seq"] for m in answer["messages"]], answer["rev"]) == ([2], 2)
        for event, fields in (("reactions", {}), ("react", {"emoji": "👍", "on": True})):
            assert (await carol.ask(event, {"id": before} | fields))["code"] == "404"
        assert len(bob.of("changed")) == 2


async def test_late_accounts_do_not_see_changes_of_earlier_messages_to_all() -> None:
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        before = (await sent(alice, "ALL", "before"))["id"]
        carol = await logged_in(chat, "carol")
        after = (await sent(alice, "ALL", "after"))["id"]
        await alice.ask("edit", id=before, data="BEFORE")
        await alice.ask("edit", id=after, data="AFTER")
        assert [each.get("seq") for each in carol.of("changed")] == [None, 2]
        assert [each.get("seq") for each in alice.of("changed")] == [1, 2]
        reply = await sent(alice, "ALL", "reply", replyTo=1)
        assert [m["replyTo"] for m in carol.of("message") if m["seq"] == reply["seq"]] == [
            {"seq": 1}
        ]
        assert alice.of("message")[-1]["replyTo"] == {
            "seq": 1,
            "sender": "alice",
            "data": "BEFORE",
        }


async def test_a_client_catches_up_page_by_page() -> None:
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        ids = [(await sent(alice, "alice", f"text {n}"))["id"] for n in range(1, 8)]
        for id in ids:
            await alice.ask("edit", id=id, data=f"new {id}")
            await alice.ask("react", id=id, emoji="👍", on=True)
        for id in ids[:3]:
            await alice.ask("edit", id=id, data="newest")
        rev, seen = 0, []
        while True:
            answer = await history(alice, "alice", changedAfter=rev, limit=2)
            assert answer["rev"] > rev
            rev = answer["rev"]
            seen += [(m["seq"], m["rev"]) for m in answer["messages"]]
            if not answer["hasMore"]:
                break
        assert [seq for seq, _ in seen] == [4, 5, 6, 7, 1, 2, 3]
        assert rev == 17
        some = await history(alice, "alice", **{"changedAfter": 0, "from": 6})
        assert [m["seq"] for m in some["messages"]] == [6, 7]
        assert (await history(alice, "alice", changedAfter=17))["messages"] == []


async def test_a_page_of_long_changed_messages_says_how_far_it_reaches() -> None:
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        for n in range(8):
            id = (await sent(alice, "alice", f"{n}"))["id"]
            await alice.ask("edit", id=id, data=f"{n}" * 60_000)
        answer = await history(alice, "alice", changedAfter=0)
        assert answer["hasMore"]
        assert answer["rev"] == len(answer["messages"]) < 8


async def test_a_reply_quotes_the_message_as_it_is_now() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        id = (await sent(alice, "bob", "x" * 500))["id"]
        await sent(bob, "alice", "a reply", replyTo=1)
        quoted = {"seq": 1, "sender": "alice", "data": "x" * 120}
        assert alice.of("message")[-1]["replyTo"] == quoted
        assert (await history(bob, "alice"))["messages"][1]["replyTo"] == quoted
        await alice.ask("edit", id=id, data="short")
        page = (await history(bob, "alice", after=1))["messages"]
        assert page[0]["replyTo"] == quoted | {"data": "short"}
        await alice.ask("remove", id=id)
        page = (await history(bob, "alice", after=1))["messages"]
        assert page[0]["replyTo"] == {"seq": 1}
        refused = await bob.ask(
            "message",
            {"sender": "bob", "recepient": "alice", "data": "late", "replyTo": 1},
        )
        assert (refused["code"], refused["message"].split(":")[0]) == ("404", "replyTo")


async def test_a_reply_hides_the_quote_from_those_who_may_not_read_it() -> None:
    async with chatting(DelayedStore()) as chat:
        alice, bob, carol = await in_room(chat, "alice", "bob", "carol")
        await sent(bob, "#r", "by bob")
        dave, outsider = await logged_in(chat, "dave"), await logged_in(chat, "erin")
        await dave.ask("room", command="join", roomId="r")
        for client in (carol, outsider):
            await client.ask("block", id="bob")
        await sent(alice, "#r", "a reply", replyTo=1)
        whole = {"seq": 1, "sender": "bob", "data": "by bob"}
        for client, quoted in (
            *((alice, whole), (bob, whole)),
            *((carol, {"seq": 1}), (dave, {"seq": 1})),
        ):
            live = client.of("message")[-1]
            assert live["replyTo"] == quoted, client.id
            assert (await history(client, "#r"))["messages"][-1] == live
        for client in (carol, dave):
            message = {"sender": client.id, "recepient": "r", "command": "groupchat"}
            refused = await client.ask("message", message | {"data": "x", "replyTo": 1})
            assert refused["code"] == "404"
        assert outsider.of("message") == []


async def test_a_page_that_cannot_show_its_quotes_is_refused() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await in_room(chat, "alice", "bob")
        await sent(alice, "#r", "origin")
        await sent(alice, "#r", "reply", replyTo=1)
        reading, deleting = store.hold("messages", done=True), store.hold("delete_room")
        page = bob.start("history", {"with": "#r", "after": 1})
        await reading.called.wait()
        deletion = alice.start("room", {"command": "delete", "roomId": "r"})
        await deleting.called.wait()
        reading.answer()
        # A client would keep the page, and the room may stay.
        assert (await page)["code"] == "503"
        deleting.answer()
        assert (await deletion)["code"] == "200"


@pytest.mark.parametrize("deleted", [True, False])
async def test_a_reply_is_refused_when_its_room_is_deleted_meanwhile(deleted: bool) -> None:
    """``deleted``: whether that is known when the reply is ready."""
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await in_room(chat, "alice", "bob")
        await sent(alice, "#r", "one")
        reading, deleting = store.hold("messages", done=True), store.hold("delete_room")
        reply = {"sender": "bob", "recepient": "r", "command": "groupchat", "data": "two"}
        replying = bob.start("message", reply | {"replyTo": 1})
        await reading.done.wait()
        deletion = alice.start("room", command="delete", roomId="r")
        await deleting.called.wait()
        if deleted:
            deleting.answer()
            assert (await deletion)["code"] == "200"
        reading.answer()
        assert (await replying)["code"] == ("404" if deleted else "503")
        deleting.answer()


async def test_a_reply_is_refused_when_its_sender_leaves_meanwhile() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await in_room(chat, "alice", "bob")
        phone = await logged_in(chat, "bob")
        await sent(alice, "#r", "one")
        reading = store.hold("messages", done=True)
        reply = {"sender": "bob", "recepient": "r", "command": "groupchat", "data": "two"}
        replying = bob.start("message", reply | {"replyTo": 1})
        await reading.done.wait()
        assert (await phone.ask("room", command="leave", roomId="r"))["code"] == "200"
        reading.answer()
        assert (await replying)["code"] == "403"


async def test_a_removal_in_the_batch_of_the_reply_hides_the_quote() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        id = (await sent(alice, "bob", "secret"))["id"]
        held = store.hold("append")
        waiting = alice.start_send("bob", "something")
        await held.called.wait()
        message = {"sender": "bob", "recepient": "alice", "data": "reply", "replyTo": 1}
        reply = bob.start("message", message)
        removal = alice.start("remove", id=id)
        await turns()
        held.answer()
        await waiting
        assert [(await reply)["code"], (await removal)["code"]] == ["200", "200"]
        assert "secret" not in str(alice.order[-3:])
        assert alice.of("message")[-1]["replyTo"] == {"seq": 1}


async def test_messages_and_changes_have_one_order() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob, phone = [await logged_in(chat, id) for id in ("alice", "bob", "alice")]
        id = (await sent(alice, "bob", "one"))["id"]
        held = store.hold("append")
        first = alice.start_send("bob", "two")
        await held.called.wait()
        answers = [
            phone.start("edit", id=id, data="ONE"),
            alice.start_send("bob", "three"),
            bob.start("react", id=id, emoji="👍", on=True),
        ]
        await turns()
        held.answer()
        await first
        assert [(await answer)["code"] for answer in answers] == ["200"] * 3
        news = [(name, p) for name, p in bob.order if name in ("message", "changed")]
        seen = [(name, p["rev"] if name == "changed" else p["seq"]) for name, p in news]
        assert seen[-3:] in (
            [("changed", 1), ("message", 3), ("changed", 2)],
            [("message", 3), ("changed", 1), ("changed", 2)],
        )


async def test_a_change_that_failed_late_is_delivered_when_it_is_repeated() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        id = (await sent(alice, "bob", "one"))["id"]
        store.fail("commit")
        assert (await alice.ask("edit", id=id, data="two"))["code"] == "503"
        assert bob.of("changed") == []
        assert (await alice.ask("edit", id=id, data="two"))["rev"] == 1
        assert [each["data"] for each in bob.of("changed")] == ["two"]
        assert (await alice.ask("edit", id=id, data="two"))["rev"] == 1
        assert len(bob.of("changed")) == 1


@pytest.mark.parametrize("cause", ["next", "nothing"])
async def test_a_change_that_failed_late_is_delivered_though_nobody_repeats_it(
    cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LOOK_UP_SECONDS", 0.01 if cause == "nothing" else 60)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        ids = [(await sent(alice, "bob", text))["id"] for text in ("one", "two", "three")]
        failed: tuple[tuple[str, dict[str, Any]], ...] = (
            ("edit", {"id": ids[0], "data": "ONE"}),
            ("remove", {"id": ids[1]}),
            ("react", {"id": ids[2], "emoji": "👍", "on": True}),
        )
        await alice.ask("edit", id=ids[0], data="One")  # in the same millisecond
        assert (await bob.next("changed"))["data"] == "One"
        for event, request in failed:
            store.fail("commit")
            assert (await alice.ask(event, **request))["code"] == "503"
            if cause == "next":
                await sent(alice, "ALL", "the store works again")
            change = await bob.next("changed")
            assert change["seq"] == ids.index(request["id"]) + 1
            right = {"edit": ("data", "ONE"), "remove": ("removed", True)}
            field, value = right.get(
                event, ("reaction", {"emoji": "👍", "by": "alice", "on": True})
            )
            assert change[field] == value


async def test_of_two_changes_that_failed_late_the_newest_has_the_rev() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        id = (await sent(alice, "bob", "one"))["id"]
        store.fail("commit")
        assert (await alice.ask("edit", id=id, data="two"))["code"] == "503"
        store.fail("commit")
        assert (await alice.ask("react", id=id, emoji="👍", on=True))["code"] == "503"
        await sent(alice, "ALL", "the store works again")
        change = await bob.next("changed")
        reaction = {"emoji": "👍", "by": "alice", "on": True}
        assert (change["rev"], change.get("reaction"), "data" in change) == (2, reaction, False)


MADE = ("alice", "react", {"emoji": "👍", "on": True})
"""A change of alice's message that is made."""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([MADE, ("bob", "edit", {"data": "two"})], {"reaction"}),
        ([MADE, ("alice", "edit", {"data": "two"})], {"reaction"}),
        ([MADE, ("bob", "react", {"emoji": "🎉", "on": False})], {"reaction"}),
        ([MADE, ("bob", "remove", {})], {"reaction"}),
        ([("alice", "react", {"emoji": "🎉", "on": True}), MADE], {"reaction"}),
        (
            [("alice", "edit", {"data": "3"}), ("bob", "react", {"emoji": "🎉", "on": False})],
            {"data", "edited"},
        ),
    ],
)
async def test_of_changes_that_failed_late_the_one_that_was_made_is_told(
    changes: list[tuple[str, str, dict[str, Any]]], told: set[str]
) -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        id = (await sent(alice, "bob", "one"))["id"]
        await alice.ask("edit", id=id, data="two")
        await bob.next("changed")
        await asyncio.sleep(0.002)  # a later edit has a later time
        held = store.hold("append")
        first = alice.start_send("bob", "held up")
        await held.called.wait()
        store.fail("commit")
        answers = [
            (alice if who == "alice" else bob).start(event, fields | {"id": id})
            for who, event, fields in changes
        ]
        held.answer()
        await first
        assert [(await answer)["code"] for answer in answers] == ["503"] * len(changes)
        await sent(alice, "ALL", "the store works again")
        change = await bob.next("changed")
        assert change.keys() - {"with", "rev", "seq"} == told
        (message,) = (await history(bob, "alice", before=2))["messages"]
        assert change["rev"] == message["rev"]
        if "reaction" in told:
            assert change["reaction"]["emoji"] == "👍"


@pytest.mark.parametrize("most", [5, 2])
async def test_many_doubtful_changes_are_looked_up_in_parts(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``most``: how many are remembered."""
    monkeypatch.setattr(changing, "LOOK_UP_AT_ONCE", 2)
    monkeypatch.setattr(changing, "MAX_IN_DOUBT", most)
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, phone = await logged_in(chat, "alice"), await logged_in(chat, "alice")
        bob = await logged_in(chat, "bob")
        ids = [(await sent(alice, "bob", "one"))["id"] for _ in range(5)]
        held = store.hold("append")
        first = alice.start_send("bob", "held up")
        await held.called.wait()
        store.fail("commit")
        devices = [Direct(chat, "alice") for _ in ids]
        for device in devices:
            await device.login()
        edits = [
            device.start("edit", id=id, data="two") for device, id in zip(devices, ids, strict=True)
        ]
        await turns()
        held.answer()
        assert [(await edit)["code"] for edit in edits] == ["503"] * 5
        assert (await first)["code"] == "200"
        await phone.send_message("ALL", "the store works again")
        assert [(await bob.next("changed"))["rev"] for _ in range(most)] == [1, 2, 3, 4, 5][:most]
        await turns()
        assert bob.waiting("changed") == []


async def test_a_message_sent_again_after_a_change_is_answered_with_its_rev() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        message = {"sender": "alice", "recepient": "bob", "command": "chat", "data": "one"}
        message["clientId"] = str(uuid4())
        first = await alice.ask("message", message)
        assert "rev" not in first
        assert await alice.ask("message", message) == first
        await alice.ask("edit", id=first["id"], data="two")
        assert await alice.ask("message", message) == first | {"rev": 1}
        assert len(bob.of("message")) == 1


async def test_a_message_in_doubt_that_was_changed_is_delivered_as_it_is_now() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice, bob = await logged_in(chat, "alice"), await logged_in(chat, "bob")
        message = {"sender": "alice", "recepient": "bob", "command": "chat"}
        edited, removed = (message | {"data": "one", "clientId": str(uuid4())} for _ in range(2))
        for each in (edited, removed):
            store.fail("append")
            assert (await alice.ask("message", each))["code"] == "503"
        first, second = (await history(alice, "bob"))["messages"]
        await alice.ask("edit", id=first["id"], data="two")
        await alice.ask("remove", id=second["id"])
        assert (await alice.ask("message", edited))["rev"] == 1
        assert (await alice.ask("message", removed))["rev"] == 2
        assert [each["data"] for each in bob.of("message")] == ["two"]


async def test_a_refused_change_has_no_effect() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = await logged_in(chat, "alice")
        id = (await sent(alice, "alice", "one"))["id"]
        store.refuse("commit")
        refused = await alice.ask("edit", id=id, data="two")
        assert (refused["code"], refused["retryAfter"]) == ("503", 1.0)
        assert (await history(alice, "alice"))["rev"] == 0


async def test_the_login_names_the_epoch() -> None:
    store = DelayedStore()
    async with chatting(store) as chat:
        alice = Direct(chat, "alice")
        assert (await alice.login())["epoch"] == await store.epoch()
        assert "epoch" not in await Direct(chat, "bob", modern=False).login()


async def test_a_message_without_changes_has_no_new_fields() -> None:
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        await sent(alice, "alice", "one")
        (message,) = (await history(alice, "alice"))["messages"]
        assert set(message) == {
            *("id", "seq", "sender", "recepient", "command", "type", "data", "sentAt"),
        }


async def test_original_clients_get_the_text_as_it_is_when_they_log_in() -> None:
    async with chatting(DelayedStore()) as chat:
        alice = await logged_in(chat, "alice")
        await (await logged_in(chat, "bob")).ask("conversations", {})
        first = (await sent(alice, "bob", "one"))["id"]
        await sent(alice, "bob", "two", replyTo=1)
        await alice.ask("edit", id=first, data="ONE")
        await alice.ask("react", id=first, emoji="👍", on=True)
        gone = (await sent(alice, "bob", "three"))["id"]
        await alice.ask("remove", id=gone)
        old = await logged_in(chat, "bob", modern=False)
        received = [await old.next("message") for _ in range(2)]
        assert [m["data"] for m in received] == ["ONE", "two"]
        assert not [m for m in received if {"rev", "edited", "reactions", "replyTo"} & set(m)]
