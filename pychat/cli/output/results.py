"""Print what commands found: messages, lists, and accounts with their login tokens."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from pychat.cli.output.streams import check_output
from pychat.client.models import FileInfo, MessageInfo, QuoteInfo
from pychat.client.safetext import safe_text

if TYPE_CHECKING:
    from pychat.server.store.records import Account, LoginToken

# JSON does not escape DEL, C1 controls (some terminals treat U+009B as ESC [) and bidi controls.
_OBEYED: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff]")


def json_line(value: Any) -> str:
    """Encode as JSON and escape control characters. No line feed at the end."""
    return harmless_json(msgspec.json.encode(value).decode())


def harmless_json(encoded: str) -> str:
    """Escape the characters in JSON text that could control a terminal."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", encoded)


def as_json(message: MessageInfo) -> str:
    """A message as one line of JSON, fields as in docs/reference/protocol.md. No line feed."""
    fields: dict[str, object] = {
        "with": message.conversation,
        "id": message.id,
        "seq": message.seq,
    }
    if message.removed:
        fields["removed"] = True
    else:
        fields |= {
            "sender": message.sender,
            "data": message.text,
            "sentAt": _utc(message.sent_at),
            "clientId": message.client_id,
        }
        if message.edited is not None:
            fields["edited"] = _utc(message.edited)
        if message.reply_to is not None:
            quote = message.reply_to
            read = {"sender": quote.sender, "data": quote.text} if quote.sender else {}
            fields["replyTo"] = {"seq": quote.seq} | read
        if message.reactions:
            fields["reactions"] = message.reactions
        if message.mentions:
            fields["mentions"] = message.mentions
        if message.file is not None:
            fields["file"] = _file(message.file)
    return json_line(fields)


def _file(file: FileInfo) -> dict[str, object]:
    fields: dict[str, object] = {
        "id": file.id,
        "name": file.name,
        "size": file.size,
        "mime": file.mime,
    }
    if file.width is not None:
        fields["width"] = file.width
    if file.height is not None:
        fields["height"] = file.height
    if file.blurhash:
        fields["blurhash"] = file.blurhash
    return fields


def as_text(message: MessageInfo, *, conversation: bool = False) -> str:
    """Time, sender and text, safe for a terminal. Further lines are indented.

    A quote is the line above, reactions the line below.

    ``conversation`` also names the room or ALL, for output of several conversations.
    """
    if message.removed:
        return f"[{_local(message.sent_at)}] (removed)" if message.sent_at else "(removed)"
    sender = safe_text(message.sender, multiline=False)
    if conversation and message.conversation != message.sender:
        sender += f" → {safe_text(message.conversation, multiline=False)}"
    text = safe_text(message.shown_text).replace("\n", "\n    ")
    edited = " (edited)" if message.edited is not None else ""
    line = f"[{_local(message.sent_at)}] {sender}: {text}{edited}"
    if message.reply_to is not None:
        line = f"    > {_quoted(message.reply_to)}\n{line}"
    if message.reactions:
        reactions = (f"{each.emoji} {each.count}" for each in message.reactions)
        line += "\n    " + safe_text("  ".join(reactions), multiline=False)
    return line


def _quoted(quote: QuoteInfo) -> str:
    if not quote.sender:
        return f"message {quote.seq}"
    return safe_text(f"{quote.sender}: {quote.text}", multiline=False)


def _utc(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def print_listing(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    objects: Iterable[object],
    as_json: bool,
) -> None:
    """Print ``objects`` if ``as_json``, otherwise the rows, made safe, with ``names`` as heads."""
    check_output()
    if as_json:
        print_json(objects)
    elif sys.stdout.isatty():
        print_table(names, rows)
    else:
        print_lines(rows)


def print_json(objects: Iterable[object]) -> None:
    """One JSON object per line."""
    for each in objects:
        click.echo(json_line(each))


def print_lines(rows: Iterable[Sequence[str]]) -> None:
    """Cells separated by tabs. A tab inside a cell becomes a space."""
    for row in rows:
        click.echo("\t".join(safe_text(cell, multiline=False).expandtabs(1) for cell in row))


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns of text without borders."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*names, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(safe_text(cell, multiline=False)) for cell in row))
    Console().print(table)


def print_accounts(accounts: Sequence[Account], *, as_json: bool) -> None:
    """Print accounts as lines of JSON, as a table, or as lines with tabs."""
    rows = [
        (account.id, account.alias, _state(account), _time(account.last_seen_at))
        for account in accounts
    ]
    objects = (
        {
            "id": account.id,
            "alias": account.alias,
            "state": _state(account),
            "createdAt": _time(account.created_at),
            "lastSeen": _time(account.last_seen_at) or None,
        }
        for account in accounts
    )
    print_listing(("id", "alias", "state", "last seen"), rows, objects=objects, as_json=as_json)


def print_sessions(sessions: Sequence[LoginToken], *, as_json: bool) -> None:
    """The same for login tokens: id, device, since, last seen, expires."""
    rows = [
        (s.id, s.device, _time(s.since), _time(s.last_seen_at), _time(s.expires_at))
        for s in sessions
    ]
    names = ("id", "device", "since", "lastSeen", "expires")
    objects = (dict(zip(names, row, strict=True)) for row in rows)
    heads = ("id", "device", "since", "last seen", "expires")
    print_listing(heads, rows, objects=objects, as_json=as_json)


def _state(account: Account) -> str:
    if account.disabled:
        return "disabled"
    return "active" if account.password_hash else "no password"


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")[:19] + "Z"
