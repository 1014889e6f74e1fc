"""Accounts, login tokens, webhooks and blocks in SQLite."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Sequence

import msgspec

from pychat.protocol import Availability, canonical_id
from pychat.server.store.base import AlreadyExists
from pychat.server.store.lookalikes import lookalike_form
from pychat.server.store.records import EVERYONE, Account, Block, HookRecord, LoginToken
from pychat.server.store.sqlite.base import SQLitePart, counter, set_counter
from pychat.server.store.sqlite.conversations import join
from pychat.server.store.terms import Query, terms

_ACCOUNT = "key, id, alias, password_hash, disabled, created_at, last_seen_at, status, status_text"
_LOGIN_TOKEN = "id, account, token_hash, device, since, last_seen_at, expires_at"
_HOOK = "id, token_hash, conversation, account, created_at"
_LAST_CHARACTER = "\U0010ffff"
PAGE = 500


def _account(row: tuple[int, str, str, str | None, int, int, int | None, str, str]) -> Account:
    key, id, alias, password_hash, disabled, created_at, last_seen_at, status, text = row
    return Account(
        key,
        id,
        alias,
        password_hash,
        bool(disabled),
        created_at,
        last_seen_at,
        Availability(status),
        text,
    )


class SQLiteAccounts(SQLitePart):
    """Implements the accounts, login tokens, webhooks and blocks of ``base.Store``."""

    async def create_account(
        self, id: str, alias: str, password_hash: str | None, created_at: int
    ) -> Account:
        lookalike = lookalike_form(id)

        def write(connection: sqlite3.Connection) -> Account:
            try:
                cursor = connection.execute(
                    "INSERT INTO account (id, canonical, lookalike, alias, password_hash,"
                    " created_at) VALUES (?, ?, ?, ?, ?, ?)",
                    (id, canonical_id(id), lookalike, alias, password_hash, created_at),
                )
            except sqlite3.IntegrityError:
                raise AlreadyExists(id) from None
            key = cursor.lastrowid
            assert key is not None
            _index_account(connection, key, id, alias)
            join(connection, EVERYONE.key, key, from_now=True)
            return Account(key, id, alias, password_hash, False, created_at, None)

        return await self._write(write)

    async def account(self, id: str) -> Account | None:
        def read(connection: sqlite3.Connection) -> Account | None:
            row = connection.execute(
                f"SELECT {_ACCOUNT} FROM account WHERE canonical = ?", (canonical_id(id),)
            ).fetchone()
            return _account(row) if row else None

        return await self._read(read)

    async def accounts(self, keys: Sequence[int]) -> list[Account]:
        def read(connection: sqlite3.Connection) -> list[Account]:
            sql = f"SELECT {_ACCOUNT} FROM account WHERE key = ?"
            rows = [connection.execute(sql, (key,)).fetchone() for key in keys]
            return [_account(row) for row in rows if row]

        return await self._read(read)

    async def find_accounts(self, query: str, limit: int) -> list[Account]:
        wanted = Query(query)
        if wanted.is_blank:
            condition, parameters = "true", []
        elif not wanted.terms:
            return []
        else:
            # Use the index for one term, and check the others on the text.
            term = wanted.rarest
            condition = "key IN (SELECT account FROM account_term WHERE term BETWEEN ? AND ?)"
            parameters = [term.text, term.text + (_LAST_CHARACTER if term.prefix else "")]

        def read(connection: sqlite3.Connection) -> list[Account]:
            rows = connection.execute(
                f"SELECT {_ACCOUNT} FROM account WHERE NOT disabled AND {condition}"
                " ORDER BY canonical",
                parameters,
            )
            found: list[Account] = []
            for row in rows:
                account = _account(row)
                if parameters and not wanted.matches(f"{account.id} {account.alias}"):
                    continue
                found.append(account)
                if len(found) == limit:
                    break
            rows.close()
            return found

        return await self._read(read)

    async def all_accounts(self) -> AsyncIterator[Account]:
        last = ""
        while True:

            def read(connection: sqlite3.Connection, after: str = last) -> list[Account]:
                rows = connection.execute(
                    f"SELECT {_ACCOUNT} FROM account WHERE canonical > ? ORDER BY canonical"
                    " LIMIT ?",
                    (after, PAGE),
                )
                return [_account(row) for row in rows]

            page = await self._read(read)
            for account in page:
                yield account
            if len(page) < PAGE:
                return
            last = canonical_id(page[-1].id)

    async def update_account(
        self,
        key: int,
        *,
        alias: str | None = None,
        password_hash: str | None = None,
        disabled: bool | None = None,
        last_seen_at: int | None = None,
        status: Availability | None = None,
        status_text: str | None = None,
    ) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE account SET alias = coalesce(?, alias),"
                " password_hash = coalesce(?, password_hash), disabled = coalesce(?, disabled),"
                " last_seen_at = coalesce(?, last_seen_at), status = coalesce(?, status),"
                " status_text = coalesce(?, status_text) WHERE key = ?",
                (alias, password_hash, disabled, last_seen_at, status, status_text, key),
            )
            if alias is not None:
                connection.execute("DELETE FROM account_term WHERE account = ?", (key,))
                (id,) = connection.execute(
                    "SELECT id FROM account WHERE key = ?", (key,)
                ).fetchone()
                _index_account(connection, key, id, alias)
            if password_hash is not None or disabled is not None:
                _count_change(connection)

        await self._write(write)

    async def rehash_password(self, key: int, old: str, new: str) -> bool:
        def write(connection: sqlite3.Connection) -> bool:
            changed = connection.execute(
                "UPDATE account SET password_hash = ? WHERE key = ? AND password_hash = ?",
                (new, key, old),
            )
            return changed.rowcount > 0

        return await self._write(write)

    async def account_changes(self) -> int:
        def read(connection: sqlite3.Connection) -> int:
            # A server calls this twice a second, so it notices soon that its files are gone.
            self._files.check()
            return counter(connection, "account_changes")

        return await self._read(read)

    # --- login tokens ---

    async def add_login_token(self, token: LoginToken) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"INSERT INTO session ({_LOGIN_TOKEN}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                msgspec.structs.astuple(token),
            )

        await self._write(write)

    async def login_token(self, token_hash: bytes) -> LoginToken | None:
        def read(connection: sqlite3.Connection) -> LoginToken | None:
            row = connection.execute(
                f"SELECT {_LOGIN_TOKEN} FROM session WHERE token_hash = ?", (token_hash,)
            ).fetchone()
            return LoginToken(*row) if row else None

        return await self._read(read)

    async def login_tokens_by_hash(self, token_hashes: Sequence[bytes]) -> list[LoginToken]:
        def read(connection: sqlite3.Connection) -> list[LoginToken]:
            sql = f"SELECT {_LOGIN_TOKEN} FROM session WHERE token_hash = ?"
            rows = [connection.execute(sql, (each,)).fetchone() for each in token_hashes]
            return [LoginToken(*row) for row in rows if row]

        return await self._read(read)

    async def login_tokens(self, account: int) -> list[LoginToken]:
        def read(connection: sqlite3.Connection) -> list[LoginToken]:
            rows = connection.execute(
                f"SELECT {_LOGIN_TOKEN} FROM session WHERE account = ? ORDER BY last_seen_at DESC",
                (account,),
            )
            return [LoginToken(*row) for row in rows]

        return await self._read(read)

    async def touch_login_token(
        self, token_hash: bytes, last_seen_at: int, expires_at: int
    ) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE session SET last_seen_at = ?, expires_at = ? WHERE token_hash = ?",
                (last_seen_at, expires_at, token_hash),
            )

        await self._write(write)

    async def revoke_login_tokens(self, account: int, ids: Sequence[str]) -> None:
        now = int(time.time() * 1000)

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "DELETE FROM session WHERE account = ? AND id = ?", [(account, id) for id in ids]
            )
            connection.execute(
                "DELETE FROM session WHERE account = ? AND expires_at <= ?", (account, now)
            )
            _count_change(connection)

        await self._write(write)

    # --- webhooks ---

    async def add_hook(self, hook: HookRecord) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"INSERT INTO hook ({_HOOK}) VALUES (?, ?, ?, ?, ?)",
                (hook.id, hook.token_hash, hook.conversation, hook.account, hook.created_at),
            )

        await self._write(write)

    async def hook(self, token_hash: bytes) -> HookRecord | None:
        def read(connection: sqlite3.Connection) -> HookRecord | None:
            row = connection.execute(
                f"SELECT {_HOOK} FROM hook WHERE token_hash = ?", (token_hash,)
            ).fetchone()
            return HookRecord(*row) if row else None

        return await self._read(read)

    async def hooks(self) -> list[HookRecord]:
        def read(connection: sqlite3.Connection) -> list[HookRecord]:
            rows = connection.execute(f"SELECT {_HOOK} FROM hook ORDER BY created_at, id")
            return [HookRecord(*row) for row in rows]

        return await self._read(read)

    async def remove_hook(self, id: str) -> bool:
        def write(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM hook WHERE id = ?", (id,)).rowcount > 0

        return await self._write(write)

    # --- blocks ---

    async def block(self, account: int, other: int, since: int | None = None) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR IGNORE INTO block (account, other, since, alias)"
                " SELECT key, ?, coalesce(?, last_seen_at, created_at), alias FROM account"
                " WHERE key = ?",
                (other, since, account),
            )

        await self._write(write)

    async def unblock(self, account: int, other: int) -> None:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM block WHERE account = ? AND other = ?", (account, other)
            )

        await self._write(write)

    async def blocked(self, account: int) -> frozenset[int]:
        def read(connection: sqlite3.Connection) -> frozenset[int]:
            rows = connection.execute("SELECT other FROM block WHERE account = ?", (account,))
            return frozenset(other for (other,) in rows)

        return await self._read(read)

    async def blockers(self, account: int) -> list[Block]:
        columns = ", ".join(f"account.{column}" for column in _ACCOUNT.split(", "))

        def read(connection: sqlite3.Connection) -> list[Block]:
            rows = connection.execute(
                f"SELECT block.alias, block.since, {columns} FROM block"
                " CROSS JOIN account ON account.key = block.account WHERE block.other = ?",
                (account,),
            )
            return [Block(_account(tuple(by)), alias, since) for alias, since, *by in rows]

        return await self._read(read)


def _index_account(connection: sqlite3.Connection, key: int, id: str, alias: str) -> None:
    connection.executemany(
        "INSERT INTO account_term VALUES (?, ?)",
        [(term, key) for term in terms(f"{id} {alias}")],
    )


def _count_change(connection: sqlite3.Connection) -> None:
    set_counter(connection, "account_changes", counter(connection, "account_changes") + 1)
