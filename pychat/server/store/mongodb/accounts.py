"""Accounts, login tokens, webhooks and blocks in MongoDB."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Sequence

import msgspec
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError, PyMongoError

from pychat.protocol import Availability, canonical_id
from pychat.server.store.base import AlreadyExists, StoreUnavailable
from pychat.server.store.lookalikes import lookalike_form
from pychat.server.store.mongodb.base import MongoPart, change, explain, query
from pychat.server.store.mongodb.conversations import add_member, seq_of_last
from pychat.server.store.mongodb.documents import Document, member_id
from pychat.server.store.records import EVERYONE, Account, Block, HookRecord, LoginToken
from pychat.server.store.terms import Query, terms

TOKENS_AT_ONCE = 10_000
"""Half a megabyte per command. MongoDB allows 16."""


def _account(document: Document) -> Account:
    return Account(
        key=document["_id"],
        id=document["id"],
        alias=document["alias"],
        password_hash=document["password_hash"],
        disabled=document["disabled"],
        created_at=document["created_at"],
        last_seen_at=document["last_seen_at"],
        status=Availability(document.get("status", Availability.ONLINE)),
        status_text=document.get("status_text", ""),
    )


def _login_token(document: Document) -> LoginToken:
    return LoginToken(token_hash=bytes(document.pop("_id")), **document)


def _hook(document: Document) -> HookRecord:
    return HookRecord(token_hash=bytes(document.pop("_id")), **document)


class MongoAccounts(MongoPart):
    """Implements the accounts, login tokens, webhooks and blocks of ``base.Store``."""

    @change
    async def create_account(
        self, id: str, alias: str, password_hash: str | None, created_at: int
    ) -> Account:
        key = await self._next("account")
        # The membership comes first, because no account may be without it.
        before = await seq_of_last(self._database, EVERYONE.key)
        await add_member(self._database, EVERYONE.key, EVERYONE.kind, key, before)
        account = Account(key, id, alias, password_hash, False, created_at, None)
        document: Document = msgspec.to_builtins(account)
        document["_id"] = document.pop("key")
        document["canonical"] = canonical_id(id)
        document["lookalike"] = lookalike_form(id)
        document["terms"] = sorted(terms(f"{id} {alias}"))
        try:
            await self._database["accounts"].insert_one(document)
        except DuplicateKeyError:
            await self._database["memberships"].delete_one({"_id": member_id(EVERYONE.key, key)})
            raise AlreadyExists(id) from None
        return account

    @query
    async def account(self, id: str) -> Account | None:
        document = await self._database["accounts"].find_one({"canonical": canonical_id(id)})
        return _account(document) if document else None

    @query
    async def accounts(self, keys: Sequence[int]) -> list[Account]:
        found = self._database["accounts"].find({"_id": {"$in": list(keys)}})
        return [_account(document) async for document in found]

    @query
    async def find_accounts(self, query: str, limit: int) -> list[Account]:
        wanted = Query(query)
        condition: Document = {"canonical": {"$gt": ""}}
        if not wanted.is_blank:
            if not wanted.terms:
                return []
            term = wanted.rarest
            beginning = {"$regex": f"^{re.escape(term.text)}"}
            condition = {"terms": beginning if term.prefix else term.text}
        documents = self._database["accounts"].find(condition).sort("canonical", ASCENDING)
        found: list[Account] = []
        async for document in documents:
            account = _account(document)
            if account.disabled:
                continue
            if not wanted.is_blank and not wanted.matches(f"{account.id} {account.alias}"):
                continue
            found.append(account)
            if len(found) == limit:
                break
        await documents.close()
        return found

    async def all_accounts(self) -> AsyncIterator[Account]:
        documents = self._database["accounts"].find({"canonical": {"$gt": ""}})
        try:
            async for document in documents.sort("canonical", ASCENDING):
                yield _account(document)
        except PyMongoError as error:
            raise StoreUnavailable(explain(error, self.location)) from error

    @change
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
        given: Document = {
            "alias": alias,
            "password_hash": password_hash,
            "disabled": disabled,
            "last_seen_at": last_seen_at,
            "status": status and status.value,
            "status_text": status_text,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        accounts = self._database["accounts"]
        if alias is not None:
            document = await accounts.find_one({"_id": key})
            assert document is not None
            changes["terms"] = sorted(terms(f"{document['id']} {alias}"))
        if changes:
            await accounts.update_one({"_id": key}, {"$set": changes})
        if password_hash is not None or disabled is not None:
            await self._next("account_changes")

    @change
    async def rehash_password(self, key: int, old: str, new: str) -> bool:
        changed = await self._database["accounts"].update_one(
            {"_id": key, "password_hash": old}, {"$set": {"password_hash": new}}
        )
        return changed.matched_count > 0

    @query
    async def account_changes(self) -> int:
        counter = await self._database["meta"].find_one({"_id": "account_changes"})
        return int(counter["value"]) if counter else 0

    # --- login tokens ---

    @change
    async def add_login_token(self, token: LoginToken) -> None:
        document: Document = msgspec.structs.asdict(token)
        document["_id"] = document.pop("token_hash")
        await self._database["sessions"].insert_one(document)

    @query
    async def login_token(self, token_hash: bytes) -> LoginToken | None:
        document = await self._database["sessions"].find_one({"_id": token_hash})
        return _login_token(document) if document else None

    @query
    async def login_tokens_by_hash(self, token_hashes: Sequence[bytes]) -> list[LoginToken]:
        found: list[LoginToken] = []
        for start in range(0, len(token_hashes), TOKENS_AT_ONCE):
            wanted = list(token_hashes[start : start + TOKENS_AT_ONCE])
            documents = self._database["sessions"].find({"_id": {"$in": wanted}})
            found += [_login_token(document) async for document in documents]
        return found

    @query
    async def login_tokens(self, account: int) -> list[LoginToken]:
        documents = self._database["sessions"].find({"account": account})
        found = [_login_token(document) async for document in documents]
        return sorted(found, key=lambda token: token.last_seen_at, reverse=True)

    @change
    async def touch_login_token(
        self, token_hash: bytes, last_seen_at: int, expires_at: int
    ) -> None:
        await self._database["sessions"].update_one(
            {"_id": token_hash},
            {"$set": {"last_seen_at": last_seen_at, "expires_at": expires_at}},
        )

    @change
    async def revoke_login_tokens(self, account: int, ids: Sequence[str]) -> None:
        now = int(time.time() * 1000)
        await self._database["sessions"].delete_many({"account": account, "id": {"$in": list(ids)}})
        await self._database["sessions"].delete_many(
            {"account": account, "expires_at": {"$lte": now}}
        )
        await self._next("account_changes")

    # --- webhooks ---

    @change
    async def add_hook(self, hook: HookRecord) -> None:
        document: Document = msgspec.structs.asdict(hook)
        document["_id"] = document.pop("token_hash")
        await self._database["hooks"].insert_one(document)

    @query
    async def hook(self, token_hash: bytes) -> HookRecord | None:
        document = await self._database["hooks"].find_one({"_id": token_hash})
        return _hook(document) if document else None

    @query
    async def hooks(self) -> list[HookRecord]:
        found = [_hook(document) async for document in self._database["hooks"].find({})]
        return sorted(found, key=lambda hook: (hook.created_at, hook.id))

    @change
    async def remove_hook(self, id: str) -> bool:
        deleted = await self._database["hooks"].delete_one({"id": id})
        return deleted.deleted_count > 0

    # --- blocks ---

    @change
    async def block(self, account: int, other: int, since: int | None = None) -> None:
        by = await self._database["accounts"].find_one({"_id": account})
        if by is None:
            return
        if since is None:
            since = by["created_at"] if by["last_seen_at"] is None else by["last_seen_at"]
        block = {"account": account, "other": other, "alias": by["alias"], "since": since}
        await self._database["blocks"].update_one(
            {"_id": f"{account}-{other}"}, {"$setOnInsert": block}, upsert=True
        )

    @change
    async def unblock(self, account: int, other: int) -> None:
        await self._database["blocks"].delete_one({"_id": f"{account}-{other}"})

    @query
    async def blocked(self, account: int) -> frozenset[int]:
        documents = self._database["blocks"].find({"account": account})
        return frozenset([document["other"] async for document in documents])

    @query
    async def blockers(self, account: int) -> list[Block]:
        blocks = await self._database["blocks"].find({"other": account}).to_list()
        by = {a.key: a for a in await self.accounts([block["account"] for block in blocks])}
        # Blocks of older versions have neither alias nor since.
        return [
            Block(by[key], block.get("alias", by[key].alias), block.get("since"))
            for block in blocks
            if (key := block["account"]) in by
        ]
