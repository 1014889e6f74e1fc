"""Accounts, login tokens, webhooks and blocks of the in-memory store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence

import msgspec

from pychat.protocol import Availability, canonical_id
from pychat.server.store.base import AlreadyExists
from pychat.server.store.lookalikes import lookalike_form
from pychat.server.store.records import Account, Block, HookRecord, LoginToken
from pychat.server.store.terms import Query


class MemoryAccounts:
    """Implements the accounts, login tokens, webhooks and blocks of ``base.Store``."""

    def __init__(self) -> None:
        self._accounts: dict[int, Account] = {}
        self._account_keys: dict[str, int] = {}
        self._lookalikes: set[str] = set()
        self._login_tokens: dict[bytes, LoginToken] = {}
        self._hooks: dict[bytes, HookRecord] = {}
        self._blocked: dict[int, dict[int, Block]] = {}
        self._account_changes = 0

    async def create_account(
        self, id: str, alias: str, password_hash: str | None, created_at: int
    ) -> Account:
        canonical = canonical_id(id)
        lookalike = lookalike_form(id)
        if lookalike in self._lookalikes:
            raise AlreadyExists(id)
        account = Account(
            key=len(self._accounts) + 1,
            id=id,
            alias=alias,
            password_hash=password_hash,
            disabled=False,
            created_at=created_at,
            last_seen_at=None,
        )
        self._accounts[account.key] = account
        self._account_keys[canonical] = account.key
        self._lookalikes.add(lookalike)
        self._account_created(account.key)
        return account

    def _account_created(self, key: int) -> None:
        raise NotImplementedError

    async def account(self, id: str) -> Account | None:
        key = self._account_keys.get(canonical_id(id))
        return None if key is None else self._accounts[key]

    async def accounts(self, keys: Sequence[int]) -> list[Account]:
        return [self._accounts[key] for key in keys if key in self._accounts]

    async def find_accounts(self, query: str, limit: int) -> list[Account]:
        wanted = Query(query)
        found = []
        for canonical in sorted(self._account_keys):
            account = self._accounts[self._account_keys[canonical]]
            if account.disabled:
                continue
            if wanted.is_blank or wanted.matches(f"{account.id} {account.alias}"):
                found.append(account)
                if len(found) == limit:
                    break
        return found

    async def all_accounts(self) -> AsyncIterator[Account]:
        for canonical in sorted(self._account_keys):
            yield self._accounts[self._account_keys[canonical]]

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
        account = self._accounts[key]
        self._accounts[key] = msgspec.structs.replace(
            account,
            alias=account.alias if alias is None else alias,
            password_hash=account.password_hash if password_hash is None else password_hash,
            disabled=account.disabled if disabled is None else disabled,
            last_seen_at=account.last_seen_at if last_seen_at is None else last_seen_at,
            status=status or account.status,
            status_text=account.status_text if status_text is None else status_text,
        )
        if password_hash is not None or disabled is not None:
            self._account_changes += 1

    async def rehash_password(self, key: int, old: str, new: str) -> bool:
        account = self._accounts[key]
        if account.password_hash != old:
            return False
        self._accounts[key] = msgspec.structs.replace(account, password_hash=new)
        return True

    async def account_changes(self) -> int:
        return self._account_changes

    async def add_login_token(self, token: LoginToken) -> None:
        self._login_tokens[token.token_hash] = token

    async def login_token(self, token_hash: bytes) -> LoginToken | None:
        return self._login_tokens.get(token_hash)

    async def login_tokens_by_hash(self, token_hashes: Sequence[bytes]) -> list[LoginToken]:
        return [self._login_tokens[each] for each in token_hashes if each in self._login_tokens]

    async def login_tokens(self, account: int) -> list[LoginToken]:
        mine = [token for token in self._login_tokens.values() if token.account == account]
        return sorted(mine, key=lambda token: token.last_seen_at, reverse=True)

    async def touch_login_token(
        self, token_hash: bytes, last_seen_at: int, expires_at: int
    ) -> None:
        token = self._login_tokens.get(token_hash)
        if token:
            self._login_tokens[token_hash] = msgspec.structs.replace(
                token, last_seen_at=last_seen_at, expires_at=expires_at
            )

    async def revoke_login_tokens(self, account: int, ids: Sequence[str]) -> None:
        now = time.time() * 1000
        for token_hash, token in list(self._login_tokens.items()):
            if token.account == account and (token.id in ids or token.expires_at <= now):
                del self._login_tokens[token_hash]
        self._account_changes += 1

    async def add_hook(self, hook: HookRecord) -> None:
        self._hooks[hook.token_hash] = hook

    async def hook(self, token_hash: bytes) -> HookRecord | None:
        return self._hooks.get(token_hash)

    async def hooks(self) -> list[HookRecord]:
        return sorted(self._hooks.values(), key=lambda hook: (hook.created_at, hook.id))

    async def remove_hook(self, id: str) -> bool:
        found = [hook.token_hash for hook in self._hooks.values() if hook.id == id]
        for token_hash in found:
            del self._hooks[token_hash]
        return bool(found)

    async def block(self, account: int, other: int, since: int | None = None) -> None:
        by = self._accounts[account]
        if since is None:
            since = by.created_at if by.last_seen_at is None else by.last_seen_at
        self._blocked.setdefault(account, {}).setdefault(other, Block(by, by.alias, since))

    async def unblock(self, account: int, other: int) -> None:
        self._blocked.get(account, {}).pop(other, None)

    async def blocked(self, account: int) -> frozenset[int]:
        return frozenset(self._blocked.get(account, ()))

    async def blockers(self, account: int) -> list[Block]:
        return [
            Block(self._accounts[by], blocked[account].alias, blocked[account].since)
            for by, blocked in self._blocked.items()
            if account in blocked
        ]
