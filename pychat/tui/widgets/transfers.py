"""FileTransfers: sends and saves files, with a row for each one that is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.widget import Widget
from textual.worker import get_current_worker

from pychat.client.errors import ChatClientError
from pychat.client.models import MessageInfo
from pychat.tui.model.paths import path_from
from pychat.tui.text.names import fitted, line, problem_line
from pychat.visible import file_size

if TYPE_CHECKING:
    from textual.worker import Worker

    from pychat.client import ChatClient


@dataclass(slots=True, eq=False)
class Transfer:
    """A file that is being sent or saved. ``name`` is safe text; ``total`` in bytes."""

    sign: str
    name: str
    total: int
    done: int = 0
    worker: Worker[None] | None = None


class FileTransfers(Widget):
    """The rows. A click on one cancels it, and so does ``cancel_last``."""

    class Posted(TextualMessage):
        """A message with a file went to the outbox."""

        def __init__(self, conversation: str) -> None:
            super().__init__()
            self.conversation = conversation

    def __init__(self, client: ChatClient, downloads: str, *, id: str) -> None:
        super().__init__(id=id)
        self._client = client
        self._downloads = downloads
        self._transfers: list[Transfer] = []

    def send(self, typed: str, conversation: str, reply_to: int | None) -> None:
        """Send the file at a path that was typed as a message."""
        self._run(partial(self._send, typed, conversation, reply_to))

    def save(self, message: MessageInfo) -> None:
        """Save the file of a message to the folder for downloads."""
        self._run(partial(self._save, message))

    def cancel_last(self) -> bool:
        """Cancel the transfer that began last; False if there is none."""
        if self._transfers:
            self._cancel(self._transfers[-1])
            return True
        return False

    def _run(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        _: Worker[None] = self.run_worker(work, group="transfers")

    async def _send(self, typed: str, conversation: str, reply_to: int | None) -> None:
        try:
            path = path_from(typed)
            size = await asyncio.to_thread(_size_of, path)
        except (OSError, RuntimeError, ValueError):
            self._say(f"There is no file {line(typed, 200)}")
            return
        transfer = Transfer("↑", line(path.name), size)
        try:
            with self._shown(transfer):
                progress = partial(self._progress, transfer)
                file = await self._client.upload(path, progress=progress)
            self._client.post(conversation, file=file, reply_to=reply_to)
        except (ChatClientError, OSError) as error:
            self._say(f"{transfer.name} is not sent: {problem_line(error)}")
        else:
            self.post_message(self.Posted(conversation))

    async def _save(self, message: MessageInfo) -> None:
        if message.file is None:
            return
        transfer = Transfer("↓", line(message.file.name), message.file.size)
        try:
            with self._shown(transfer):
                folder = await asyncio.to_thread(_created, self._downloads)
                progress = partial(self._progress, transfer)
                path = await self._client.download(message, folder, progress=progress)
        except (ChatClientError, OSError) as error:
            self._say(f"{transfer.name} is not saved: {problem_line(error)}")
        else:
            self._say(f"Saved: {path}")

    def _say(self, text: str) -> None:
        self.notify(line(text, 300), markup=False)

    @contextmanager
    def _shown(self, transfer: Transfer) -> Iterator[None]:
        """Show a row for a transfer as long as it lasts."""
        transfer.worker = get_current_worker()
        self._transfers.append(transfer)
        self._changed()
        try:
            yield
        except asyncio.CancelledError:
            if self.is_running:
                self._say(f"{transfer.name}: cancelled")
            raise
        finally:
            self._transfers.remove(transfer)
            self._changed()

    def _progress(self, transfer: Transfer, amount: int) -> None:
        transfer.done += amount
        self.refresh()

    def _changed(self) -> None:
        self.set_class(bool(self._transfers), "-shown")
        self.refresh(layout=True)

    def _cancel(self, transfer: Transfer) -> None:
        if transfer.worker is not None:
            transfer.worker.cancel()

    def on_click(self, event: events.Click) -> None:
        if event.y < len(self._transfers):
            self._cancel(self._transfers[event.y])

    def render(self) -> Content:
        hint = "  Alt+C cancels"
        rows = []
        for each in self._transfers:
            percent = f" {min(99, each.done * 100 // max(1, each.total))} %"
            size = f" of {file_size(each.total)}"
            room = self.content_size.width - len(percent + size + hint) - 2
            rows.append(
                Content.assemble(
                    (f"{each.sign} ", "$accent"),
                    (fitted(each.name, max(4, room)), "$foreground"),
                    (percent, "$accent"),
                    (size + hint, "$foreground 72%"),
                )
            )
        return Content("\n").join(rows)


def _size_of(path: Path) -> int:
    """Return the size of a file. Raises OSError for anything else: a pipe would never end."""
    if not path.is_file():
        raise FileNotFoundError(path)
    return path.stat().st_size


def _created(folder: str) -> Path:
    path = Path(folder).expanduser()
    path.mkdir(parents=True, exist_ok=True)
    return path
