"""Accounts and their logins as ``pychat user`` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from pychat.cli.jsonlines import json_line
from pychat.client.safetext import safe_text
from pychat.server.store.records import Account, LoginSession


def print_accounts(accounts: Sequence[Account], *, as_lines: bool, as_table: bool) -> None:
    """As lines of JSON, as a table for people, or as lines with tabs."""
    if as_lines:
        for account in accounts:
            click.echo(_as_json(account))
    elif as_table:
        _print_table(accounts)
    else:
        for account in accounts:
            click.echo("\t".join(cell.expandtabs(1) for cell in _cells(account)))


def print_sessions(sessions: Sequence[LoginSession], *, as_lines: bool, as_table: bool) -> None:
    """The same for logins: id, device, since when, when last seen, until when."""
    names = ("id", "device", "since", "lastSeen", "expires")
    rows = [
        (s.id, s.device, _time(s.since), _time(s.last_seen_at), _time(s.expires_at))
        for s in sessions
    ]
    if as_lines:
        for row in rows:
            click.echo(json_line(dict(zip(names, row, strict=True))))
        return
    shown = [tuple(safe_text(cell, multiline=False) for cell in row) for row in rows]
    if as_table:
        _print_rows(("id", "device", "since", "last seen", "expires"), shown)
    else:
        for cells in shown:
            click.echo("\t".join(cell.expandtabs(1) for cell in cells))


def _as_json(account: Account) -> str:
    fields = {
        "id": account.id,
        "alias": account.alias,
        "state": _state(account),
        "createdAt": _time(account.created_at),
        "lastSeen": _time(account.last_seen_at) or None,
    }
    return json_line(fields)


def _print_table(accounts: Sequence[Account]) -> None:
    _print_rows(("id", "alias", "state", "last seen"), [_cells(account) for account in accounts])


def _print_rows(names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _cells(account: Account) -> tuple[str, ...]:
    texts = (safe_text(text, multiline=False) for text in (account.id, account.alias))
    return (*texts, _state(account), _time(account.last_seen_at))


def _state(account: Account) -> str:
    if account.disabled:
        return "disabled"
    return "active" if account.password_hash else "no password"


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")[:19] + "Z"
