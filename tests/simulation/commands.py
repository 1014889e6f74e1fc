"""An operator's commands: another process on the same store (``pychat user …``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pychat.server.store.base import StoreError
from tests.simulation.devices import Person
from tests.simulation.store import SimulatedStore


class Operator:
    """Does what ``pychat/cli/operator/user.py`` does, call by call."""

    def __init__(self, store: SimulatedStore) -> None:
        self._store = store

    async def change_password(self, person: Person) -> None:
        """The new one, and all logins end."""
        await _until_done(lambda: self._change_password(person))

    async def _change_password(self, person: Person) -> None:
        account = await self._store.account(person.id)
        if account is None:
            return
        password = f"{person.id} password {person.written}"
        person.password = password
        await self._store.update_account(account.key, password_hash=f"new:{password}")
        sessions = await self._store.login_tokens(account.key)
        await self._store.revoke_login_tokens(account.key, [each.id for each in sessions])

    async def disable(self, person: Person, disabled: bool) -> None:
        """Or enables."""
        await _until_done(lambda: self._disable(person, disabled))

    async def _disable(self, person: Person, disabled: bool) -> None:
        account = await self._store.account(person.id)
        if account is None:
            return
        await self._store.update_account(account.key, disabled=disabled)
        person.disabled = disabled


async def _until_done(command: Callable[[], Awaitable[None]]) -> None:
    """Given again when it fails."""
    while True:
        try:
            return await command()
        except StoreError:
            continue
