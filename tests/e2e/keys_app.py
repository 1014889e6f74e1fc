"""The terminal client with a scripted server, which writes down what each key does.

``python -m tests.e2e.keys_app FILE``: a line of JSON for each action: its name, and what is written
in the composer before and after it. What an action opens is closed again, and what would end or
stop the app is not run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pychat.client.models import DeliveryStatus
from pychat.tui.app import ChatApp
from pychat.tui.settings import Settings
from pychat.tui.terminal.terminal import Terminal
from tests.tui import scenes
from tests.tui.scripted import stopped_clock

DRAFT = "words"


class KeysApp(ChatApp):
    """Ready for the next key once it has written its line."""

    written: Path

    def on_ready(self) -> None:
        self.call_later(self._tell, "ready", "", "")

    async def run_action(self, action: Any, *args: Any, **kwargs: Any) -> bool:
        name = (action if isinstance(action, str) else action[1]).removeprefix("screen.")
        before = self.chat.view.composer.written
        done = True
        if name.removeprefix("app.") not in ("quit", "end", "suspend_process"):
            done = await super().run_action(action, *args, **kwargs)
        self.call_later(self._tell, name, before, self.chat.view.composer.written)
        return done

    async def _tell(self, name: str, before: str, after: str) -> None:
        while self.screen is not self.chat:
            await self.pop_screen()
        self.chat.action_cancel_purpose()
        if name != "select_message":  # the next key acts on the message
            self.chat.close_search()
            self.chat.open("bob")
            self.chat.view.composer.focus()
        self.chat.view.composer.load(DRAFT)
        await self.chat.view.composer.wait_for_refresh()
        with self.written.open("a") as log:
            log.write(json.dumps([name.removeprefix("app."), before, after]) + "\n")


def main() -> None:
    client = scenes.world()
    client.say("bob", "not sent", own=True).delivery = DeliveryStatus.FAILED
    KeysApp.written = Path(sys.argv[1])
    with Terminal() as terminal:
        app = KeysApp(
            client,  # type: ignore[arg-type] # ScriptedClient has what the app uses of it
            Settings(reduced_motion=True, theme="pychat-dark"),
            clock=stopped_clock(),
            conversation="bob",
            terminal=terminal,
        )
        app.run()
    sys.exit(app.return_code)


if __name__ == "__main__":
    main()
