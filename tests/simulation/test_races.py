"""Races that a simulation has found, each told again as a short story.

A story is played with a calm store and network; it makes single calls of the store slow.
"""

from __future__ import annotations

from tests.simulation import final
from tests.simulation.chatclients import ChatDevice
from tests.simulation.run import Simulation, Story


def told(story: Story, seed: int = 0) -> list[str]:
    """What is wrong in the end."""
    simulation = Simulation(seed, story=story)
    simulation.run()
    return simulation.violations


def test_a_late_membership_read_does_not_bring_back_what_was_said_while_away() -> None:
    async def story(world: Simulation) -> None:
        alice, bob = world.add("alice", devices=2), world.add("bob")
        await world.online(*alice, *bob)
        bob[0].wish("room", {"command": "create", "roomId": "r1"})
        await world.quiet()
        alice[0].wish("room", {"command": "join", "roomId": "r1"})
        await world.quiet()
        await world.restart(crash=False)
        await world.sleep(1.0)
        await world.quiet()
        world.weather.held["membership"] = lambda: 0.3
        alice[0].ask("history", {"with": "#r1", "after": 0})
        await world.sleep(0.05)
        alice[1].wish("room", {"command": "leave", "roomId": "r1"})
        await world.sleep(0.05)
        bob[0].write("#r1", world.client_id())
        await world.sleep(0.05)
        alice[1].wish("room", {"command": "join", "roomId": "r1"})
        await world.sleep(1.0)
        alice[1].ask("history", {"with": "#r1", "after": 0})

    assert told(story) == []


def test_a_block_made_during_a_login_is_kept() -> None:
    async def story(world: Simulation) -> None:
        alice, bob = world.add("alice", devices=2), world.add("bob")
        await world.online(alice[0], *bob)
        world.weather.held["blocked"] = lambda: 0.3
        alice[1].come()
        await world.sleep(0.1)
        alice[0].wish("block", {"id": "bob"})
        await world.sleep(0.1)
        alice[0].leave()
        await world.sleep(0.5)
        bob[0].write("alice", world.client_id())

    assert told(story) == []


def test_a_refused_login_ends_no_other() -> None:
    async def story(world: Simulation) -> None:
        alice = world.add("alice", devices=5)
        await world.online(alice[4])
        alice[4].leave()
        await world.online(*alice[:3])
        await world.sleep(3.0)
        alice[3].come()
        await world.sleep(1.0)

    assert told(story) == []


def test_many_logins_end_none_that_is_connected() -> None:
    async def story(world: Simulation) -> None:
        alice = world.add("alice", devices=8)
        await world.online(alice[0])
        for device in alice[1:]:
            await world.online(device)
            device.leave()
            await world.sleep(0.1)

    assert told(story) == []


def test_both_learn_of_each_other_when_the_first_message_comes_during_a_login() -> None:
    async def story(world: Simulation) -> None:
        alice, bob = world.add("alice"), world.add("bob")
        await world.online(*alice)
        world.weather.held["pairs"] = lambda: 0.3
        bob[0].come()
        await world.sleep(0.1)
        alice[0].write("bob", world.client_id())
        await world.sleep(1.0)

    assert told(story) == []


def test_a_new_password_is_not_undone_by_a_login_with_the_old_one() -> None:
    async def story(world: Simulation) -> None:
        alice = world.add("alice", password_kind="old")
        world.weather.held["account"] = lambda: 0.3
        alice[0].come()
        await world.sleep(0.1)
        world.weather.held.clear()
        await world.operator.change_password(alice[0].person)
        await world.sleep(1.0)

    assert told(story) == []


def test_ones_other_device_is_sent_what_a_lost_one_wrote() -> None:
    async def story(world: Simulation) -> None:
        alice, bob = world.add("alice", devices=2), world.add("bob")
        await world.online(*alice, *bob)
        alice[0].write("bob", world.client_id())
        await world.quiet()
        world.weather.held["append"] = lambda: 0.3
        alice[0].write("bob", world.client_id())
        await world.sleep(0.1)
        alice[0].leave()
        await world.sleep(1.0)

    assert told(story) == []


def test_a_message_is_sent_once_though_a_retry_of_it_fails() -> None:
    async def story(world: Simulation) -> None:
        alice, bob = world.add("alice"), world.add("bob")
        await world.online(*alice, *bob)
        answers = iter((0.3, -1.0))
        world.weather.held["append"] = lambda: next(answers, 0.0)
        client_id = world.client_id()
        alice[0].write("bob", client_id)
        await world.sleep(0.1)
        alice[0].send_again(client_id)
        await world.sleep(0.05)
        alice[0].drop()
        await world.sleep(2.0)

    assert told(story) == []


def test_people_see_each_other_though_the_store_said_no_when_they_met() -> None:
    async def story(world: Simulation) -> None:
        alice, bob = world.add("alice"), world.add("bob")
        await world.online(*alice, *bob)
        failures = iter((-1.0,))
        world.weather.held["open_pair"] = lambda: next(failures, 0.0)
        alice[0].write("bob", world.client_id())
        await world.sleep(1.0)
        bob[0].leave()

    assert told(story) == []


def test_what_is_unread_is_counted_again_after_a_list_that_was_too_old() -> None:
    async def story(world: Simulation) -> None:
        (scripted,), bob = world.add("alice", chat_client=True), world.add("bob")
        program = world.people[0].devices[1]
        await world.online(scripted, program, *bob)
        for device, to in ((bob[0], "alice"), (scripted, "bob"), (scripted, "bob")):
            device.write(to, world.client_id())
            await world.quiet()
        for _ in range(2):
            bob[0].write("alice", world.client_id())
        await world.sleep(1.0)
        world.weather.held["conversations"] = lambda: 0.5
        program.do(program.client.unblock("bob"))
        await world.sleep(0.2)
        await program.client.mark_read("bob", 3)

    assert told(story) == []


def test_a_block_hides_somebody_whose_first_message_is_under_way() -> None:
    async def story(world: Simulation) -> None:
        alice, bob = world.add("alice", devices=2), world.add("bob")
        await world.online(alice[0], *bob)
        world.weather.held["open_pair"] = lambda: 2.0
        alice[0].write("bob", world.client_id())
        await world.sleep(0.1)
        alice[0].leave()
        alice[1].come()
        await world.sleep(0.5)
        bob[0].wish("block", {"id": "alice"})
        await world.sleep(3.0)

    assert told(story) == []


def test_a_message_that_fills_a_hole_is_counted_as_unread() -> None:
    async def story(world: Simulation) -> None:
        world.add("alice", devices=0, chat_client=True)
        world.add("bob", devices=0, original=True)
        (alice,), (bob,) = (person.devices for person in world.people)
        await world.online(alice, bob)
        answers = iter((0.0, -1.0))
        world.weather.held["append"] = lambda: next(answers, 0.0)
        for _ in range(3):
            bob.write("alice")
            await world.sleep(0.5)

    assert told(story) == []


def test_a_room_left_here_and_joined_again_elsewhere_is_listed() -> None:
    async def story(world: Simulation) -> None:
        (scripted,), bob = world.add("alice", chat_client=True), world.add("bob")
        program = world.people[0].devices[1]
        await world.online(scripted, program, *bob)
        bob[0].wish("room", {"command": "create", "roomId": "r1"})
        await world.quiet()
        program.do(program.client.join_room("r1"))
        await world.quiet()
        bob[0].write("#r1", world.client_id())
        await world.quiet()
        program.do(program.client.leave_room("r1"))
        await world.quiet()
        scripted.wish("room", {"command": "join", "roomId": "r1"})
        await world.quiet()
        bob[0].write("#r1", world.client_id())

    assert told(story) == []


def test_a_room_deleted_and_made_again_begins_anew() -> None:
    async def story(world: Simulation) -> None:
        (scripted,) = world.add("alice", chat_client=True)
        program = world.people[0].devices[1]
        await world.online(scripted, program)
        for _ in range(2):
            scripted.wish("room", {"command": "create", "roomId": "r1"})
            await world.sleep(0.1)
            scripted.write("#r1", world.client_id())
            await world.sleep(0.5)
            scripted.wish("room", {"command": "delete", "roomId": "r1"})
            await world.sleep(0.1)

    assert told(story) == []


def test_a_list_takes_back_nothing_that_was_read_elsewhere() -> None:
    async def story(world: Simulation) -> None:
        (scripted,), bob = world.add("alice", chat_client=True), world.add("bob")
        program = world.people[0].devices[1]
        await world.online(scripted, *bob)
        for _ in range(2):
            bob[0].write("alice", world.client_id())
        await world.quiet()
        world.weather.held["conversations"] = lambda: 1.0
        program.come()
        await world.sleep(0.3)
        scripted.move_cursor("read", "bob", 2)
        await world.sleep(3.0)

    assert told(story) == []


def test_a_list_takes_no_receipt_back() -> None:
    async def story(world: Simulation) -> None:
        (scripted,), bob = world.add("alice", chat_client=True), world.add("bob")
        program = world.people[0].devices[1]
        await world.online(scripted, *bob)
        scripted.write("bob", world.client_id())
        await world.quiet()
        world.weather.held["conversations"] = lambda: 1.0
        program.come()
        await world.sleep(0.3)
        bob[0].move_cursor("read", "alice", 1)
        await world.sleep(2.0)

    assert told(story) == []


def test_a_room_that_was_made_though_the_store_said_no_is_known() -> None:
    async def story(world: Simulation) -> None:
        alice = world.add("alice")
        await world.online(*alice)
        failures = iter((-1.0,))
        world.weather.held["create_room"] = lambda: next(failures, 0.0)
        alice[0].wish("room", {"command": "create", "roomId": "r1"})
        await world.quiet()

    assert told(story) == []


def test_a_receipt_is_sent_though_the_store_said_that_it_kept_no_cursor() -> None:
    async def story(world: Simulation) -> None:
        (scripted,), bob = world.add("alice", chat_client=True), world.add("bob")
        program = world.people[0].devices[1]
        await world.online(scripted, *bob)
        program.come()
        scripted.write("bob", world.client_id())
        await world.quiet()
        await world.sleep(1.0)
        failures = iter((-1.0,))
        world.weather.held["move_cursors"] = lambda: next(failures, 0.0)
        bob[0].move_cursor("read", "alice", 1)
        await world.sleep(3.0)

    assert told(story) == []


def test_a_block_that_ended_though_the_store_said_no_has_ended() -> None:
    async def story(world: Simulation) -> None:
        alice, bob = world.add("alice"), world.add("bob")
        await world.online(*alice, *bob)
        bob[0].write("alice", world.client_id())
        await world.quiet()
        alice[0].wish("block", {"id": "bob"})
        await world.quiet()
        failures = iter((-1.0,))
        world.weather.held["unblock"] = lambda: next(failures, 0.0)
        alice[0].ask("unblock", {"id": "bob"})
        await world.quiet()
        bob[0].write("alice", world.client_id())

    assert told(story) == []


def test_an_original_client_gets_what_was_stored_though_the_store_said_no() -> None:
    async def story(world: Simulation) -> None:
        world.add("alice", devices=0, original=True)
        world.add("bob", devices=0, original=True)
        (alice,), (bob,) = (person.devices for person in world.people)
        await world.online(alice, bob)
        answers = iter((0.0, -1.0))
        world.weather.held["append"] = lambda: next(answers, 0.0)
        for _ in range(4):
            bob.write("alice")
            await world.sleep(0.2)

    assert told(story) == []


def test_a_late_list_takes_back_no_receipt_that_the_client_has() -> None:
    async def story(world: Simulation) -> None:
        (scripted,), bob = world.add("alice", chat_client=True), world.add("bob")
        program = world.people[0].devices[1]
        await world.online(scripted, program, *bob)
        scripted.write("bob", world.client_id())
        await world.quiet()
        world.weather.held["conversations"] = lambda: 0.3
        program.do(program.client.unblock("bob"))
        await world.sleep(0.1)
        world.network.stall("alice/8", 1.0)
        await world.sleep(0.3)
        bob[0].move_cursor("read", "alice", 1)
        await world.sleep(2.0)

    # The list and the receipt arrive at once, and the order of what follows varies.
    assert [broken for seed in range(10) for broken in told(story, seed)] == []


def test_a_late_list_takes_back_no_presence_that_the_client_has() -> None:
    async def story(world: Simulation) -> None:
        (scripted,), bob = world.add("alice", chat_client=True), world.add("bob")
        program = world.people[0].devices[1]
        await world.online(scripted, program, *bob)
        scripted.write("bob", world.client_id())
        await world.quiet()
        world.weather.held["conversations"] = lambda: 0.3
        program.do(program.client.unblock("bob"))
        await world.sleep(0.1)
        world.network.stall("alice/8", 1.0)
        await world.sleep(0.3)
        bob[0].leave()
        await world.sleep(2.0)

    assert [broken for seed in range(10) for broken in told(story, seed)] == []


def test_a_late_list_brings_back_no_room_that_was_deleted_and_no_text_that_was_removed() -> None:
    async def story(world: Simulation) -> None:
        world.add("alice")
        (root,) = world.add("root", chat_client=True)
        program = world.people[1].devices[1]
        assert isinstance(program, ChatDevice)
        await world.online(root, program)
        root.wish("room", {"command": "create", "roomId": "r1"})
        await world.quiet()
        for name in ("#r1", "ALL"):
            root.write(name, world.client_id())
        await world.quiet()
        client = program.client
        assert client is not None
        world.weather.held["conversations"] = lambda: 0.3
        program.do(client.unblock("alice"))
        await world.sleep(0.1)
        world.network.stall("root/8", 1.0)
        await world.sleep(0.3)
        root.wish("room", {"command": "delete", "roomId": "r1"})
        root.ask("remove", {"id": "1-1"})
        await world.sleep(4.0)
        everybody = client.conversation("ALL")
        assert everybody is not None
        assert everybody.last is not None
        if client.conversation("#r1") is not None or not everybody.last.removed:
            world.ledger.fail("client", f"{client.conversations}")

    assert [broken for seed in range(10) for broken in told(story, seed)] == []


def test_a_device_is_told_what_an_original_client_has_proven() -> None:
    async def story(world: Simulation) -> None:
        (scripted,), bob = world.add("alice", original=True), world.add("bob")
        original = world.people[0].devices[1]
        await world.online(scripted, original, *bob)
        bob[0].write("alice", world.client_id())
        await world.quiet()
        scripted.sync()
        await world.sleep(4.0)
        final.check_views(world.ledger, world.people)

    assert told(story) == []


def test_what_another_device_writes_during_a_catch_up_is_sent_in_order() -> None:
    async def story(world: Simulation) -> None:
        alice, bob = world.add("alice", original=True), world.add("bob")
        original = world.people[0].devices[1]
        await world.online(*alice, *bob)
        bob[0].write("alice", world.client_id())
        await world.quiet()
        # The next batch has a message of each. It is stored while the original client logs in.
        answers = iter((0.3, 0.5))
        world.weather.held["append"] = lambda: next(answers, 0.0)
        bob[0].write("alice", world.client_id())
        await world.sleep(0.1)
        alice[0].write("bob", world.client_id())
        await world.sleep(0.1)
        bob[0].write("alice", world.client_id())
        await world.sleep(0.2)
        original.come()
        await world.sleep(2.0)

    assert told(story) == []
