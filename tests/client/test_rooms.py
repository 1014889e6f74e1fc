"""Rooms, their members, invitations and private rooms, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pychat.client import ChatClient, RequestRefused
from pychat.client.events import ConversationChanged, MembershipChanged, RoomsChanged, Subscription
from pychat.server.app import ChatServer
from tests.serving import serving


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving(accounts="open", limits=False) as server:
        yield server


async def next_of(events: Subscription, kind: type) -> object:
    async with asyncio.timeout(10):
        async for event in events:
            if isinstance(event, kind):
                return event
    raise AssertionError


async def test_members_topics_and_roles(server: ChatServer) -> None:
    async with (
        ChatClient(server.url, user="alice") as alice,
        ChatClient(server.url, user="bob") as bob,
    ):
        await alice.create_room("tea", "Tea")
        await bob.join_room("tea")
        events = bob.events()
        await alice.set_topic("tea", "At five")
        changed = await next_of(events, ConversationChanged)
        assert isinstance(changed, ConversationChanged)
        assert changed.conversation.topic == "At five"
        with pytest.raises(RequestRefused, match="not a moderator"):
            await bob.kick("tea", "alice")
        await alice.set_role("tea", "bob", "moderator")
        assert await next_of(events, MembershipChanged) == MembershipChanged(
            "#tea", "moderator", "alice"
        )
        tea = bob.conversation("#tea")
        assert tea is not None
        assert tea.role == "moderator"
        assert [(m.id, m.role, m.online) for m in await bob.members("tea")] == [
            ("alice", "owner", True),
            ("bob", "moderator", True),
        ]
        await alice.transfer_room("tea", "bob")
        assert await next_of(events, MembershipChanged) == MembershipChanged(
            "#tea", "owner", "alice"
        )
        await bob.kick("tea", "alice")
        assert [m.id for m in await bob.members("tea")] == ["bob"]


async def test_who_is_removed_loses_the_conversation_until_invited(server: ChatServer) -> None:
    async with (
        ChatClient(server.url, user="alice") as alice,
        ChatClient(server.url, user="bob") as bob,
    ):
        id = await alice.create_private_room("Board")
        events = bob.events()
        await alice.invite(id, "bob")
        assert await next_of(events, MembershipChanged) == MembershipChanged(
            f"#{id}", "invited", "alice"
        )
        listed = await next_of(events, RoomsChanged)
        assert isinstance(listed, RoomsChanged)
        (room,) = listed.rooms
        assert (room.id, room.name, room.private, room.invited) == (id, "Board", True, True)
        await bob.join_room(id)
        board = bob.conversation(f"#{id}")
        assert board is not None
        assert board.alias == "Board"
        await alice.send(f"#{id}", "secret")
        await alice.kick(id, "bob")
        assert await next_of(events, MembershipChanged) == MembershipChanged(
            f"#{id}", "none", "alice"
        )
        assert bob.conversation(f"#{id}") is None
        assert await bob.rooms() == []
        with pytest.raises(RequestRefused, match="there is no room"):
            await bob.join_room(id)
