"""What must be true at the end, when everything works again and nothing is under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pychat.client.models import ConversationInfo, MessageInfo
from pychat.protocol import Code, ProtocolError
from pychat.server.chat import Chat
from pychat.server.store.records import ConversationSummary
from tests.simulation.chatclients import ChatDevice
from tests.simulation.devices import Device, OriginalDevice, Person
from tests.simulation.invariants import Invariants, visible_to
from tests.simulation.ledger import Seen, Stored
from tests.simulation.store import now


def check_connections(ledger: Invariants) -> None:
    """Who is logged in may be, and was sent everything since the list it asked for."""
    for end, seen in ledger.ends.items():
        if not (seen.open and seen.user):
            continue
        if seen.token and not ledger.token(seen.token).value:
            ledger.fail("revoked", f"{end.user_agent} is logged in with a token that has ended")
        if ledger.disabled[seen.user].value:
            ledger.fail("revoked", f"{end.user_agent} is logged in and disabled")
        for conversation, baseline in seen.baselines.items():
            _check_complete(ledger, end.user_agent, seen, conversation, baseline)


def _check_complete(
    ledger: Invariants, name: str, seen: Seen, conversation: int, baseline: int
) -> None:
    account = ledger.key(seen.user)
    first = baseline + 1
    if not ledger.pair(conversation):
        first = max(first, ledger.first_seq(conversation, account).value)
    log = ledger.messages[conversation]
    for seq in range(first, len(log) + 1):
        stored = log[seq - 1]
        sender = ledger.name(stored.sender)
        blocks = ledger.block(seen.user, sender).between(stored.arrived, stored.shown)
        if stored.doubtful and stored.removed.value:
            continue  # removed before it was sent again, and so not delivered
        told = stored.acknowledged or not stored.doubtful
        if seq not in seen.got[conversation] and blocks == [False] and told:
            ledger.fail("never sent", f"{name} was never sent {conversation}-{seq}: {stored.data}")


def check_presence(ledger: Invariants, people: Iterable[Person]) -> None:
    """What events have told is what is true."""
    for device in _online(people):
        user = device.person.id
        for other, online in device.view.online.items():
            if other in ("ALL", user) or other.startswith("#"):
                continue
            shared = ledger.conversation(user, other)
            if shared is None or not ledger.messages[shared]:
                continue
            hidden = ledger.block(user, other).value, ledger.block(other, user).value
            if None in hidden:
                continue
            true = bool(ledger.logged_in(other)) and not any(hidden)
            if online != true:
                ledger.fail(
                    "presence", f"{device.name} believes {other} online: {online}, which is {true}"
                )


def check_rooms(ledger: Invariants, people: Iterable[Person]) -> None:
    rooms = now(ledger.disk.rooms())
    visible = {room.id: visible_to(ledger.disk, room) for room in rooms if room.private}
    for device in _online(people):
        key = ledger.key(device.person.id)
        right = {
            room.id: ledger.name(room.owner)
            for room in rooms
            if not room.private or key in visible[room.id]
        }
        if device.view.rooms is not None and device.view.rooms != right:
            ledger.fail(
                "rooms", f"{device.name} was told of rooms {device.view.rooms}, not {right}"
            )


async def check_files(ledger: Invariants, people: Iterable[Person], chat: Chat) -> None:
    """Who may read a message may read its file, and nobody else."""
    for device in _online(people):
        account = ledger.key(device.person.id)
        for id, place in ledger.files.items():
            stored = ledger.messages[place.conversation][place.seq - 1]
            membership = now(ledger.disk.membership(place.conversation, account))
            right = (
                membership is not None
                and place.seq >= membership.first_seq
                and not stored.removed.value
                and stored.sender not in now(ledger.disk.blocked(account))
                and bool(now(ledger.disk.conversations_by_key([place.conversation])))
            )
            try:
                await chat.file_by_token(id, device.token)
                found = True
            except ProtocolError as error:
                if error.code is not Code.NOT_FOUND:
                    ledger.fail("file", f"{device.name} asks for a file: {error.code} {error}")
                found = False
            if found != right:
                ledger.fail("file", f"{device.name} may read {id}: {found}, which is {right}")


def check_views(ledger: Invariants, people: Iterable[Person]) -> None:
    """After a last list: each client shows what the disk has."""
    for device in _online(people):
        _check_view(ledger, device)


def _check_view(ledger: Invariants, device: Device) -> None:
    user = device.person.id
    account = ledger.key(user)
    summaries, _ = now(ledger.disk.conversations(account, cursor=None, limit=100))
    if len(summaries) != len(device.view.shown):
        ledger.fail("view", f"{device.name} lists {list(device.view.shown)}, not {len(summaries)}")
    for name, shown in device.view.shown.items():
        conversation = ledger.conversation(user, name)
        if conversation is None:
            ledger.fail("view", f"{device.name} lists {name}, which does not exist")
            return
        membership = now(ledger.disk.membership(conversation, account))
        assert membership is not None
        log = ledger.messages[conversation]
        listed = shown.listed
        read_up_to = max(membership.read_seq, membership.first_seq - 1)
        left_out = {account, *now(ledger.disk.blocked(account))}
        unread = [each for each in log[read_up_to:] if each.sender not in left_out]
        count = sum(not each.removed.value for each in unread)
        expected = {
            "firstSeq": {membership.first_seq},
            "lastSeq": {len(log)},
            "deliveredSeq": {membership.delivered_seq},
            "readSeq": {membership.read_seq},
            "unread": {count},
        }
        if listed.get("notify", "all") != membership.notify:
            ledger.fail("view", f"{device.name}: {name} is not {membership.notify}")
        for field, values in expected.items():
            if listed[field] not in values:
                ledger.fail(
                    "view", f"{device.name}: {field} of {name} is {listed[field]}, not {values}"
                )
        if shown.told != max(len(log), membership.first_seq - 1):
            ledger.fail("view", f"{device.name} has {name} up to {shown.told} of {len(log)}")
        for seq, text in shown.messages.items():
            stored = log[seq - 1]
            # Another device of theirs may have blocked the sender for a while, which hid edits.
            # The ChatClients read the conversation anew then; these devices do not.
            block = ledger.block(user, ledger.name(stored.sender))
            right = {stored.texts.value}
            for blocked in (True, None):
                for start, end in block.periods(blocked):
                    # An edit may have been on its way when the block began.
                    right.update(stored.texts.lately(start))
                    right.update(stored.texts.between(start, end))
            if text not in right and text is not None:
                ledger.fail(
                    "view",
                    f"{device.name} shows {text} at {conversation}-{seq}: {stored.texts.value}",
                )


def check_cursors(ledger: Invariants, people: Iterable[Person]) -> None:
    """An answered move of a pair's cursor is kept."""
    for person in people:
        for device in person.devices:
            if not isinstance(device, Device):
                continue
            for (event, name), seq in device.moved.items():
                conversation = ledger.conversation(person.id, name)
                blocked = (ledger.key(person.id), ledger.key(name)) in ledger.ever_blocked
                if conversation is None or blocked:
                    continue
                membership = now(ledger.disk.membership(conversation, ledger.key(person.id)))
                assert membership is not None
                kept = membership.read_seq if event == "read" else membership.delivered_seq
                if kept < seq:
                    ledger.fail(
                        "cursor", f"{device.name}: {event} {seq} of {name} was answered: {kept}"
                    )


def check_original(ledger: Invariants, people: Iterable[Person]) -> None:
    """Whoever has but clients of the original protocol has got every message for them."""
    for person in people:
        original = [each for each in person.devices if isinstance(each, OriginalDevice)]
        if len(original) != len(person.devices) or not any(each.online for each in original):
            continue
        got = {id for device in original for id, _ in device.received}
        account = ledger.key(person.id)
        for conversation, log in ledger.messages.items():
            if account not in ledger.pair(conversation):
                continue
            for seq, stored in enumerate(log, 1):
                blocked = ledger.block(person.id, ledger.name(stored.sender)).value
                gone = stored.removed.value or blocked
                if stored.sender != account and not gone and f"{conversation}-{seq}" not in got:
                    ledger.fail(
                        "original", f"{person.id} never got {conversation}-{seq}: {stored.data}"
                    )


def check_chat_clients(ledger: Invariants, people: Iterable[Person]) -> None:
    """What programs on ChatClient show is what the disk has."""
    ids = [person.id for person in people]
    for person in people:
        for device in person.devices:
            if isinstance(device, ChatDevice) and device.online:
                _check_chat_client(ledger, device, ids)


def _check_chat_client(ledger: Invariants, device: ChatDevice, ids: list[str]) -> None:
    client = device.client
    assert client is not None
    user, account = client.user, ledger.key(client.user)
    summaries, _ = now(ledger.disk.conversations(account, cursor=None, limit=100))
    stored = {each.conversation.key: each for each in summaries}
    shown = {ledger.conversation(user, each.name): each for each in client.conversations}
    # What somebody wrote who is blocked is not sent, and what another device blocks is not told.
    strange = {
        key
        for key in map(ledger.key, ids)
        if (account, key) in ledger.ever_blocked or (key, account) in ledger.ever_blocked
    }
    # A message that was refused and stored all the same shows with the next one.
    stored = {key: each for key, each in stored.items() if not _ends_in_doubt(ledger, key)}
    # What another device joined shows with its first message.
    missing = [
        key
        for key, summary in stored.items()
        if key not in shown
        and summary.last_seq >= summary.membership.first_seq
        and strange.isdisjoint(_concerned(ledger, key))
    ]
    if missing:
        ledger.fail("client", f"{device.name} lists {[each.name for each in shown.values()]}")
        return
    for key, summary in stored.items():
        conversation = shown.get(key)
        if conversation is None:
            continue
        if strange.isdisjoint(_concerned(ledger, key)):
            _check_listed(ledger, device, summary, conversation, ids)
        _check_messages(ledger, device, summary, conversation, strange)


def _concerned(ledger: Invariants, conversation: int) -> set[int]:
    """The accounts of a pair, and those that have written."""
    senders = {stored.sender for stored in ledger.messages[conversation]}
    return senders | set(ledger.pair(conversation))


def _check_listed(
    ledger: Invariants,
    device: ChatDevice,
    summary: ConversationSummary,
    conversation: ConversationInfo,
    ids: list[str],
) -> None:
    """``conversation``: as the client has it."""
    user, key = device.person.id, summary.conversation.key
    membership = summary.membership
    expected: dict[str, object] = {
        "last_seq": summary.last_seq,
        "first_seq": membership.first_seq,
        "read_seq": membership.read_seq,
        "delivered_seq": membership.delivered_seq,
        "unread": summary.unread,
        "unread_mentions": summary.unread_mentions,
    }
    if conversation.name == user:
        # The server moves that cursor by itself.
        del expected["delivered_seq"]
    elif summary.peer is not None:
        expected["peer_delivered_seq"] = summary.peer.delivered_seq
        expected["peer_read_seq"] = summary.peer.read_seq
    peer = conversation.name
    if peer in ids and peer != user and ledger.messages[key]:
        expected["online"] = bool(ledger.logged_in(peer))
    # Nor is a device told that another one has joined again.
    joined = ledger.first_seq(key, ledger.key(user)).since(0)
    for field, value in expected.items() if len(joined) <= 2 else ():
        if getattr(conversation, field) != value:
            ledger.fail(
                "client",
                f"{device.name}: {field} of {conversation.name}: {conversation}, {value}",
            )


def _check_messages(
    ledger: Invariants,
    device: ChatDevice,
    summary: ConversationSummary,
    conversation: ConversationInfo,
    strange: set[int],
) -> None:
    """``strange``: those who have blocked the user or were blocked, now or before. What they wrote
    may be hidden, and an edit of it may not have been told."""
    client, key = device.client, summary.conversation.key
    assert client is not None
    log = ledger.messages[key]
    cached = [each for each in client.cached_messages(conversation.name) if each.seq]
    steady = strange.isdisjoint(_concerned(ledger, key))
    if steady and cached and cached[-1].seq != len(log):
        ledger.fail("client", f"{device.name} has {cached[-1]} last of {len(log)}")
    for message in cached:
        if message.seq < summary.membership.first_seq:
            continue  # from before another device joined the room again
        kept = log[message.seq - 1]
        if kept.sender in strange:
            if not message.removed and message.text not in kept.texts.since(0):
                ledger.fail("client", f"{device.name} shows {message}, not {kept.texts.value}")
            continue
        if message.removed != kept.removed.value or not (
            message.removed or message.text == kept.texts.value
        ):
            ledger.fail("client", f"{device.name} shows {message}, not {kept.texts.value}")
        if message.removed:
            continue
        if (None if message.file is None else message.file.id) != kept.file:
            ledger.fail("client", f"{device.name} shows {message}, not with {kept.file}")
        (record,) = now(ledger.disk.messages([(key, message.seq)]))
        if strange.isdisjoint(reaction.account for reaction in record.reactions):
            reactions = Counter(reaction.emoji for reaction in record.reactions)
            shown_reactions = {each.emoji: each.count for each in message.reactions}
            if shown_reactions != reactions:
                ledger.fail("client", f"{device.name} shows {message}, not {dict(reactions)}")
        _check_quote(ledger, device, message, kept, log, strange)


def _check_quote(
    ledger: Invariants,
    device: ChatDevice,
    message: MessageInfo,
    kept: Stored,
    log: list[Stored],
    strange: set[int],
) -> None:
    """The quote shows the origin as it is, or nothing of it."""
    quote = message.reply_to
    if (None if quote is None else quote.seq) != kept.reply_to:
        ledger.fail("client", f"{device.name} shows {message}, an answer to {kept.reply_to}")
    if quote is None or not quote.sender:
        return
    origin = log[quote.seq - 1]
    right = not origin.removed.value and quote.text == origin.texts.value
    if not right and origin.sender not in strange:
        ledger.fail("client", f"{device.name} quotes in {message}: {origin.texts.value}")


def _ends_in_doubt(ledger: Invariants, conversation: int) -> bool:
    log = ledger.messages[conversation]
    return bool(log) and log[-1].doubtful and not log[-1].acknowledged


def _online(people: Iterable[Person]) -> list[Device]:
    return [
        device
        for person in people
        for device in person.devices
        if isinstance(device, Device) and device.online
    ]
