"""Print accounts and their login tokens for ``pychat user``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pychat.cli.output.listing import print_listing
from pychat.server.store.records import Account, LoginToken


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
