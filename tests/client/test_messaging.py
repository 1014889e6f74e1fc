"""Clients on a real server: messages, receipts, presence, rooms and users."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pychat.client import ChatClient, RequestRefused
from pychat.client.events import (
    ConversationChanged,
    ConversationsLoaded,
    MessagesReset,
    ProfileChanged,
    RoomsChanged,
)
from pychat.client.models import ConnectionState, DeliveryStatus, ProfileInfo, UserInfo
from pychat.protocol import Availability, NotifyLevel
from pychat.server.app import ChatServer
from tests.client.watcher import Watcher, started
from tests.serving import serving


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(accounts="open") as server:
        yield server


@pytest.fixture
async def alice(server: ChatServer) -> AsyncIterator[Watcher]:
    async with started(ChatClient(server.url, user="alice", password="", alias="Alice A")) as one:
        await one.state(ConnectionState.ONLINE)
        yield one


@pytest.fixture
async def bob(server: ChatServer) -> AsyncIterator[Watcher]:
    async with started(ChatClient(server.url, user="bob", password="")) as one:
        await one.state(ConnectionState.ONLINE)
        yield one


async def test_send_returns_what_the_server_stored(alice: Watcher, bob: Watcher) -> None:
    sent = await alice.client.send("bob", "hello")
    assert (sent.seq, sent.own, sent.delivery) == (1, True, DeliveryStatus.SENT)
    assert sent.id
    assert sent.sent_at > 1.7e9
    arrived = await bob.added("hello")
    assert (arrived.id, arrived.seq, arrived.sent_at) == (sent.id, sent.seq, sent.sent_at)
    assert (arrived.conversation, arrived.sender, arrived.own) == ("alice", "alice", False)


async def test_a_posted_message_is_published_at_once_and_when_stored(
    alice: Watcher, bob: Watcher
) -> None:
    posted = alice.client.post("bob", "soon")
    assert (posted.seq, posted.delivery) == (0, DeliveryStatus.SENDING)
    assert alice.client.cached_messages("bob") == [posted]
    assert await alice.added("soon") == posted
    stored = await alice.changed(client_id=posted.client_id)
    assert (stored.seq, stored.delivery) == (1, DeliveryStatus.SENT)
    assert [each.text for each in alice.client.cached_messages("bob")] == ["soon"]
    assert alice.client.status.waiting == 0


async def test_receipts_reach_the_sender(alice: Watcher, bob: Watcher) -> None:
    await alice.client.send("bob", "did you get it?")
    await bob.added("did you get it?")
    await alice.next(ConversationChanged, lambda e: e.conversation.peer_delivered_seq == 1)
    assert alice.client.cached_messages("bob")[0].delivery is DeliveryStatus.DELIVERED
    conversation = bob.client.conversation("alice")
    assert conversation is not None
    assert conversation.unread == 1
    await bob.client.mark_read("alice", 1)
    assert bob.client.conversation("alice").unread == 0  # type: ignore[union-attr]  # known above
    await alice.next(ConversationChanged, lambda e: e.conversation.peer_read_seq == 1)
    assert alice.client.cached_messages("bob")[0].delivery is DeliveryStatus.READ


async def test_a_choice_of_notifications_is_known_to_all_devices(
    server: ChatServer, alice: Watcher, bob: Watcher
) -> None:
    await bob.client.send("alice", "hello")
    await alice.added("hello")
    async with started(ChatClient(server.url, user="alice", password="")) as phone:
        await phone.next(ConversationsLoaded)
        await alice.client.set_notify("BOB", NotifyLevel.MUTED)
        chosen = await phone.next(ConversationChanged, lambda e: e.conversation.name == "bob")
        assert chosen.conversation.notify is NotifyLevel.MUTED
    known = alice.client.conversation("bob")
    assert known is not None
    assert known.notify is NotifyLevel.MUTED
    with pytest.raises(RequestRefused, match="there is no account"):
        await alice.client.set_notify("nobody", NotifyLevel.MUTED)


async def test_a_status_is_seen_by_others_and_own_devices(
    server: ChatServer, alice: Watcher, bob: Watcher
) -> None:
    await bob.client.send("alice", "hello")
    await alice.added("hello")
    async with started(ChatClient(server.url, user="alice", password="")) as phone:
        await phone.next(ConversationsLoaded)
        await alice.client.set_status(Availability.DND, "in a meeting")
        mine = ProfileInfo("alice", "Alice A", Availability.DND, "in a meeting")
        assert alice.client.profile == mine
        assert (await phone.next(ProfileChanged)).profile == mine
    async with started(ChatClient(server.url, user="alice", password="")) as phone:
        await phone.next(ConversationsLoaded)
        assert phone.client.profile == mine
    seen = await bob.next(ConversationChanged, lambda e: bool(e.conversation.status_text))
    assert (seen.conversation.name, seen.conversation.status) == ("alice", Availability.DND)
    (found,) = await bob.client.users("alice")
    assert found == UserInfo("alice", "Alice A", True, Availability.DND, "in a meeting")


async def test_every_device_gets_every_message_once(
    server: ChatServer, alice: Watcher, bob: Watcher
) -> None:
    async with started(ChatClient(server.url, user="alice", password="")) as phone:
        await phone.state(ConnectionState.ONLINE)
        for i in range(10):
            sender = (alice, phone, bob)[i % 3].client
            await sender.send("alice" if sender is bob.client else "bob", f"{i}")
        await alice.client.send("bob", "end")
        expected = [*map(str, range(10)), "end"]
        await bob.added("end")
        assert [text for text in bob.texts if text not in ("2", "5", "8")] == [
            text for text in expected if text not in ("2", "5", "8")
        ]
        # Own messages are published when they are posted, before others that were stored earlier.
        await phone.added("end")
        assert sorted(phone.texts) == sorted(expected)
        for device, peer in ((alice, "bob"), (phone, "bob"), (bob, "alice")):
            cached = device.client.cached_messages(peer)
            assert [(each.seq, each.text) for each in cached] == list(enumerate(expected, 1))
        await bob.client.send("alice", "and one more")
        await alice.added("and one more")
        await alice.client.mark_read("bob", 12)
        await phone.next(ConversationChanged, lambda e: e.conversation.read_seq == 12)


async def test_a_message_to_everyone_and_to_oneself_is_shown_once(
    alice: Watcher, bob: Watcher
) -> None:
    await alice.client.send("ALL", "to all")
    await alice.client.send("alice", "note to self")
    await alice.client.send("ALL", "to all again")
    await bob.added("to all again")
    assert bob.texts == ["to all", "to all again"]
    for name, texts in (("ALL", ["to all", "to all again"]), ("alice", ["note to self"])):
        assert [each.text for each in alice.client.cached_messages(name)] == texts
    await bob.client.send("alice", "end")
    await alice.added("end")
    assert alice.texts == ["to all", "note to self", "to all again", "end"]


async def test_rooms(alice: Watcher, bob: Watcher) -> None:
    await alice.client.create_room("tea", "Tea room")
    created = await bob.next(RoomsChanged)
    assert [(room.id, room.name, room.owner) for room in created.rooms] == [
        ("tea", "Tea room", "alice")
    ]
    with pytest.raises(RequestRefused) as taken:
        await bob.client.create_room("tea", "Mine")
    assert taken.value.code == "409"
    with pytest.raises(RequestRefused) as outside:
        await bob.client.send("#tea", "let me in")
    assert outside.value.code == "403"

    await bob.client.join_room("tea")
    assert bob.client.conversation("#tea") is not None
    await bob.client.send("#tea", "anyone?")
    assert (await alice.added("anyone?")).conversation == "#tea"
    assert [(room.id, room.member) for room in await bob.client.rooms()] == [("tea", True)]

    await alice.client.rename_room("tea", "Coffee room")
    await bob.next(ConversationChanged, lambda e: e.conversation.alias == "Coffee room")
    await bob.client.leave_room("tea")
    assert bob.client.conversation("#tea") is None
    await alice.client.delete_room("tea")
    assert alice.client.conversation("#tea") is None
    assert await bob.client.rooms() == []


async def test_presence_and_typing(server: ChatServer, alice: Watcher, bob: Watcher) -> None:
    await alice.client.send("bob", "hi")
    await bob.added("hi")
    alice.client.typing("bob", True)
    await bob.next(ConversationChanged, lambda e: e.conversation.typing == ("alice",))
    alice.client.typing("bob", False)
    await bob.next(ConversationChanged, lambda e: e.conversation.typing == ())
    await alice.client.close()
    gone = await bob.next(ConversationChanged, lambda e: not e.conversation.online)
    assert gone.conversation.last_seen is not None
    async with started(ChatClient(server.url, user="alice", password="")):
        await bob.next(ConversationChanged, lambda e: e.conversation.online)


async def test_history_and_search_and_users(alice: Watcher, bob: Watcher) -> None:
    for i in range(12):
        await alice.client.send("bob", f"line {i}")
    newest = await bob.client.history("alice", limit=5)
    assert ([each.seq for each in newest.messages], newest.has_more) == ([8, 9, 10, 11, 12], True)
    older = await bob.client.history("alice", before=3)
    assert ([each.seq for each in older.messages], older.has_more) == ([1, 2], False)
    found = await bob.client.search("line", conversation="alice", limit=10)
    assert len(found.messages) == 10
    rest = await bob.client.search("line", conversation="alice", limit=10, cursor=found.next)
    assert [each.seq for each in rest.messages] == [2, 1]
    assert {each.conversation for each in (await alice.client.search("line")).messages} == {"bob"}
    people = await bob.client.users("ali")
    assert [(each.id, each.alias, each.online) for each in people] == [("alice", "Alice A", True)]


@pytest.mark.parametrize(
    ("to", "text", "says"),
    [
        ("bob", "", "the message must not be empty"),
        ("bob", "x" * 70_000, "the message must be at most 65536 bytes of UTF-8"),
        ("", "hi", "the name must have 1 to 64 characters"),
        ("#", "hi", "the room's id must have 1 to 64 characters"),
    ],
)
async def test_invalid_messages_are_refused_before_the_outbox(
    alice: Watcher, to: str, text: str, says: str
) -> None:
    with pytest.raises(RequestRefused) as refused:
        alice.client.post(to, text)
    assert str(refused.value) == says
    assert alice.client.status.waiting == 0


async def test_a_refusal_is_a_sentence_without_a_field_name(alice: Watcher) -> None:
    with pytest.raises(RequestRefused) as refused:
        await alice.client.history("x")
    assert (str(refused.value), refused.value.field) == ("there is no account x", "with")
    with pytest.raises(RequestRefused) as refused:
        await alice.client.block("alice")
    assert (str(refused.value), refused.value.field) == ("the id must not be yourself", "id")


async def test_another_spelling_of_a_name_is_the_same_conversation(
    alice: Watcher, bob: Watcher
) -> None:
    await alice.client.send("Bob", "first")
    await alice.next(
        ConversationsLoaded,
        lambda event: [each.name for each in event.conversations] == ["bob", "ALL"],
    )
    assert alice.client.post("BOB", "second").conversation == "bob"
    await bob.added("second")
    assert bob.texts == ["first", "second"]
    await alice.changed(text="second", delivery=DeliveryStatus.SENT)
    cached = [each.text for each in alice.client.cached_messages("bob")]
    assert cached == ["first", "second"]


async def test_lone_surrogates_are_replaced(alice: Watcher, bob: Watcher) -> None:
    await alice.client.send("bob", "a\ud800b 👍")
    assert (await bob.added("a\ufffdb 👍")).seq == 1


async def test_a_refused_message_can_be_retried_or_discarded(
    server: ChatServer, alice: Watcher
) -> None:
    first = alice.client.post("carol", "are you there?")
    failed = await alice.changed(client_id=first.client_id, delivery=DeliveryStatus.FAILED)
    assert "carol" in failed.error
    assert alice.client.cached_messages("carol") == [failed]
    second = alice.client.post("carol", "never mind")
    await alice.changed(client_id=second.client_id, delivery=DeliveryStatus.FAILED)
    alice.client.discard(second.client_id)
    async with started(ChatClient(server.url, user="carol", password="")) as carol:
        await carol.state(ConnectionState.ONLINE)
        alice.client.retry(first.client_id)
        await carol.added("are you there?")
        await alice.changed(client_id=first.client_id, delivery=DeliveryStatus.SENT)
    assert [each.text for each in alice.client.cached_messages("carol")] == ["are you there?"]


async def test_messages_of_a_blocked_user_are_not_shown(alice: Watcher, bob: Watcher) -> None:
    await bob.client.block("alice")
    await alice.client.send("bob", "unwanted")
    mine = bob.client.post("alice", "I do not hear you")
    stored = await bob.changed(client_id=mine.client_id, delivery=DeliveryStatus.SENT)
    assert stored.seq == 2
    assert "unwanted" not in bob.texts
    cached = bob.client.cached_messages("alice")
    assert [(each.seq, each.text, each.removed) for each in cached] == [
        (1, "", True),
        (2, "I do not hear you", False),
    ]
    await bob.client.unblock("alice")
    await bob.next(MessagesReset, lambda event: event.conversation == "alice")
    shown = (await bob.client.history("alice")).messages
    assert [each.text for each in shown] == ["unwanted", "I do not hear you"]
    await alice.client.send("bob", "wanted")
    await bob.added("wanted")


async def test_blocking_hides_messages_and_unblocking_restores_them(
    alice: Watcher, bob: Watcher
) -> None:
    await alice.client.send("bob", "before")
    await bob.added("before")
    await bob.client.block("alice")
    await bob.next(MessagesReset, lambda event: event.conversation == "alice")
    hidden = (await bob.client.history("alice")).messages
    assert [(each.seq, each.text, each.removed) for each in hidden] == [(1, "", True)]
    await alice.client.send("bob", "meanwhile")
    await bob.client.unblock("alice")
    await bob.next(MessagesReset, lambda event: event.conversation == "alice")
    await bob.added("meanwhile")
    await bob.client.history("alice")
    assert [each.text for each in bob.client.cached_messages("alice")] == ["before", "meanwhile"]
    listed = bob.client.conversation("alice")
    assert listed is not None
    assert listed.unread == 2


async def test_iterators_end_when_the_client_is_closed(server: ChatServer) -> None:
    client = ChatClient(server.url, user="dora", password="")
    client.start()
    events, messages = client.events(), client.messages()
    readers = [asyncio.ensure_future(anext(each, None)) for each in (events, messages)]
    await client.close()
    async with asyncio.timeout(60):
        await asyncio.gather(*readers)
        async for _ in events:
            pass
    assert client.status.state is ConnectionState.CLOSED
    await client.close()


async def test_edits_reactions_and_replies_reach_the_other(alice: Watcher, bob: Watcher) -> None:
    sent = await alice.client.send("bob", "helo")
    await bob.added("helo")
    await alice.client.edit(sent.id, "hello")
    assert alice.client.cached_messages("bob")[0].text == "hello"
    edited = await bob.changed(seq=1, text="hello")
    assert edited.edited is not None
    await bob.client.react(sent.id, "👍")
    reacted = await alice.changed(seq=1, rev=2)
    assert [(each.emoji, each.count, each.by) for each in reacted.reactions] == [
        ("👍", 1, ("bob",))
    ]
    await bob.client.react(sent.id, "👍", on=False)
    assert (await alice.changed(seq=1, rev=3)).reactions == ()
    await bob.client.send("alice", "hi", reply_to=1)
    reply = await alice.added("hi")
    assert reply.reply_to is not None
    assert (reply.reply_to.seq, reply.reply_to.sender, reply.reply_to.text) == (1, "alice", "hello")
    await alice.client.remove(sent.id)
    assert (await bob.changed(seq=1, removed=True)).text == ""
