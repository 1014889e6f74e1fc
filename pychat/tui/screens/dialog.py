"""Dialog: a modal screen that ends once."""

from __future__ import annotations

from contextlib import suppress

from textual.await_complete import AwaitComplete
from textual.command import CommandPalette
from textual.screen import ModalScreen, ScreenResultType


class Dialog(ModalScreen[ScreenResultType]):
    """Keys pressed faster than it closes find it closed; Textual would end the app for that."""

    def dismiss(self, result: ScreenResultType | None = None) -> AwaitComplete:
        if self.is_current:
            return super().dismiss(result)
        done: AwaitComplete = AwaitComplete.nothing()  # type: ignore[no-untyped-call]  # of Textual
        return done


class Palette(CommandPalette, Dialog[None]):
    """Textual's command palette, which ends once."""

    def _action_command_list(self, action: str) -> None:
        # Textual's list fails on a page up or down while it is not laid out.
        with suppress(KeyError):
            super()._action_command_list(action)
