"""A server to attack, an eye on its log, and the table at the end."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from pychat.server.app import ChatServer
from tests.attack.report import PROPERTY, Tell, table
from tests.attack.wire import Client, browsing, connect
from tests.serving import serving


@pytest.fixture
def tell(record_property: Any) -> Tell:
    """Puts a row into the table."""

    def tell(what: str, times: int, became: str) -> None:
        record_property(PROPERTY, (what, times, became))

    return tell


@pytest.fixture(autouse=True)
def no_errors_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """An ERROR in the server's log is a crash that was caught: the attack has succeeded."""
    caplog.set_level(logging.INFO)
    yield
    for when in ("setup", "call"):
        for record in caplog.get_records(when):
            assert record.levelno < logging.ERROR, record.getMessage()


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with serving() as server:
        yield server


@pytest.fixture
async def web() -> AsyncIterator[aiohttp.ClientSession]:
    async with browsing() as session:
        yield session


@pytest.fixture
async def alice(server: ChatServer, web: aiohttp.ClientSession) -> Client:
    """A victim."""
    client = await connect(web, server.url)
    await client.login("alice")
    return client


@pytest.fixture
async def bob(server: ChatServer, web: aiohttp.ClientSession) -> Client:
    """Another."""
    client = await connect(web, server.url)
    await client.login("bob")
    return client


@pytest.fixture
async def mallory(server: ChatServer, web: aiohttp.ClientSession) -> Client:
    """The attacker, with an account like everybody's."""
    client = await connect(web, server.url)
    await client.login("mallory")
    return client


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY and getattr(report, "when", "") == "call"
    ]
    if rows:
        terminalreporter.section("attacks")
        for line in table(rows):
            terminalreporter.write_line(line)
