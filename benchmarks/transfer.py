"""How fast whole stores are moved: python -m benchmarks.transfer --help.

An export is made up and imported into a store that is not there yet, which is then checked and
exported, by the commands themselves: their time and their memory at its highest.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import click
from rich.console import Console
from rich.table import Table

from pychat.server.store.transfer.lines import (
    AccountLine,
    ConversationLine,
    End,
    Header,
    Line,
    MemberLine,
    MessageLine,
    Total,
    encoder,
)
from tests.processes import PYCHAT

PARTNERS = 10
TEXT = "As many words as people say in a chat, and now and then one more. "

console = Console()


def made_up(conversations: int, messages: int) -> Iterator[Line]:
    """What ``pychat export`` would write: pairs, each account in twenty of them, and nothing said
    in ALL."""
    random_ = random.Random(42)
    ids = [f"user{n:07}" for n in range(conversations // PARTNERS + PARTNERS)]
    yield Header()
    for id in ids:
        yield AccountLine(id, id.title(), None, False, 1, None, [], [])
    yield ConversationLine("everyone", [MemberLine(id, 1, 0, 0) for id in ids])
    yield End(0, "")
    sent_at = 1_700_000_000_000
    for pair in range(conversations):
        first = pair // PARTNERS
        between = [ids[first], ids[first + 1 + pair % PARTNERS]]
        count = random_.randint(1, 2 * messages - 1)
        members = [MemberLine(id, 1, count, count) for id in between]
        yield ConversationLine("pair", members, between)
        for seq in range(1, count + 1):
            sent_at += 1
            text = TEXT[: random_.randint(5, len(TEXT))]
            client_id = uuid.UUID(int=random_.getrandbits(128)).hex
            yield MessageLine(seq, random_.choice(between), client_id, sent_at, text)
        yield End(count, "")


def write(lines: Iterator[Line], file: Path) -> int:
    """With its counts and checksums; answers how many lines."""
    total, count = Total(0, 0, 0, ""), 1
    digest, conversation = hashlib.sha256(), hashlib.sha256()
    with file.open("wb") as output:
        for line in lines:
            match line:
                case AccountLine():
                    total.accounts += 1
                case ConversationLine():
                    total.conversations += 1
                    conversation = hashlib.sha256()
                case MessageLine():
                    total.messages += 1
                    conversation.update(encoder.encode(line))
                case End():
                    line.sha256 = conversation.hexdigest()
            encoded = encoder.encode(line) + b"\n"
            digest.update(encoded)
            output.write(encoded)
            count += 1
        total.sha256 = digest.hexdigest()
        output.write(encoder.encode(total) + b"\n")
    return count


def measured(*arguments: str) -> tuple[float, float, float]:
    """Seconds, seconds of CPU time, and MB, of a command that must succeed."""
    started = perf_counter()
    process = subprocess.Popen([*PYCHAT, *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


@click.command()
@click.option("--conversations", default=100_000, show_default=True)
@click.option("--messages", default=4, show_default=True, help="In each, on average.")
@click.option("--store", help="An empty store's address; a SQLite file beside the export if none.")
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep the files here."
)
def main(conversations: int, messages: int, store: str | None, keep: Path | None) -> None:
    """Import, check and export of a chat with so many conversations."""
    with tempfile.TemporaryDirectory(dir=keep) as temporary:
        folder = keep or Path(temporary)
        file = folder / f"{conversations}x{messages}.jsonl"
        count = write(made_up(conversations, messages), file)
        store = store or f"sqlite:///{folder}/{conversations}x{messages}.db"
        table = Table(f"{count:,} lines", "seconds", "CPU seconds", "lines/s", "MB at most")
        for command in (
            ("import", "--store", store, str(file)),
            ("store", "check", "--store", store),
            ("export", "--store", store, f"{temporary}/again.jsonl"),
        ):
            seconds, cpu, megabytes = measured(*command)
            table.add_row(
                " ".join(command[: command.index("--store")]),
                *(f"{seconds:.1f}", f"{cpu:.1f}", f"{count / seconds:,.0f}", f"{megabytes:.0f}"),
            )
    console.print(table)


main()
