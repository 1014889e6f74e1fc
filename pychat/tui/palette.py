"""What the command palette offers: every action of the key table."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from pychat.tui.keys import KEYS, Key, keys_of, show

if TYPE_CHECKING:
    from pychat.tui.app import ChatApp

NOT_OFFERED = {"send", "newline", "palette"}
THEME = "Change the colours"


class Actions(Provider):
    """Our own words only: the palette draws them through markup."""

    async def discover(self) -> Hits:
        for key in self._keys():
            yield DiscoveryHit(key.does, lambda key=key: self._run(key), help=self._help(key))
        yield DiscoveryHit(THEME, self.app.action_change_theme)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for key in self._keys():
            score = matcher.match(key.does)
            if score > 0:
                shown = matcher.highlight(key.does)
                yield Hit(score, shown, lambda key=key: self._run(key), help=self._help(key))
        if (score := matcher.match(THEME)) > 0:
            yield Hit(score, matcher.highlight(THEME), self.app.action_change_theme)

    def _keys(self) -> list[Key]:
        return [key for key in KEYS if key.id not in NOT_OFFERED]

    def _help(self, key: Key) -> str:
        app = cast("ChatApp", self.app)
        return "  ".join(show(name) for name in keys_of(key, app.settings.keys))

    async def _run(self, key: Key) -> None:
        scope = "app" if key.scope == "app" else "screen"
        await self.app.run_action(f"{scope}.{key.action}", default_namespace=self.screen)
