"""Silent sessions: opened and never used, as images on pages of other sites can do."""

from __future__ import annotations

import pytest

from pychat.server.engine import registry
from pychat.server.guard.visitors import Admission, Visitors
from tests.server.engine.conftest import Running, Start
from tests.server.engine.rawhttp import RawHttp

CROSS_SITE = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n"
FROM_FRIEND = "Sec-Fetch-Site: cross-site\r\nReferer: http://friend.example/\r\n"
OPEN = "EIO=4&transport=polling"


async def open_silently(server: Running, times: int) -> list[str]:
    """The queries that would poll the sessions."""
    http = await RawHttp.open(server.port)
    sids = []
    for _ in range(times):
        answer = await http.get()
        assert answer.status == 200
        sids.append(answer.body.decode().partition('"sid":"')[2].partition('"')[0])
    http.close()
    return [f"{OPEN}&sid={sid}" for sid in sids]


async def test_they_use_up_nothing_of_their_address(start: Start) -> None:
    admission = Admission(sessions=5, handshakes_per_second=0.001, handshakes_burst=10)
    server = await start(admission=Visitors(admission))
    queries = await open_silently(server, 30)
    # As many as there may be of others.
    assert server.server.client_count == 5
    assert (await server.get(queries[0]))[0] == 400
    for _ in range(5):
        await server.open_polling()
    # What is used counts.
    assert (await server.get(OPEN))[0] == 429


async def test_one_that_is_used_too_late_is_refused(start: Start) -> None:
    server = await start(admission=Visitors(Admission(sessions=3)))
    early, late = await open_silently(server, 2)
    for _ in range(3):
        await server.open_polling()
    for query in (early, late):
        assert (await server.get(query))[0] == 429
    assert server.server.client_count == 3


async def test_one_that_has_ended_makes_room(start: Start) -> None:
    server = await start(admission=Visitors(Admission(sessions=1)))
    for _ in range(3):
        query = await server.open_polling()
        assert (await server.get(OPEN))[0] == 429
        assert (await server.post(query, "1"))[0] == 200


@pytest.mark.parametrize("protocol", [3, 4])
async def test_they_end_soon(start: Start, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    monkeypatch.setattr(registry, "SILENT_SECONDS", 0.05)
    server = await start(ping_interval=0.5, ping_timeout=20)
    used = await server.open_polling(protocol)
    assert (await server.post(used, "1:2" if protocol == 3 else "6"))[0] == 200
    query = f"EIO={protocol}&transport=polling"
    _, body = await server.get(query)
    sid = body.partition('"sid":"')[2].partition('"')[0]
    if protocol == 3:
        await server.handler.until(lambda handler: handler.reasons == ["transport close"])
    else:
        while server.server.client_count > 1:
            assert (await server.get(used)) == (200, "2")
            await server.post(used, "3")
    assert (await server.get(f"{query}&sid={sid}"))[0] == 400
    assert server.server.client_count == 1


async def test_a_page_of_another_site_opens_none(start: Start) -> None:
    server = await start(allowed_origins=["http://friend.example"])
    http = await RawHttp.open(server.port)
    answer = await http.get(CROSS_SITE)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
    assert server.server.client_count == 0
    # A script of a page that may: JSONP sends no Origin.
    assert (await http.get(FROM_FRIEND)).status == 200


async def test_a_page_of_another_site_polls_none(start: Start) -> None:
    """On a connection that polls, too."""
    server = await start(allowed_origins=["http://friend.example"])
    http = await RawHttp.joined(server.port)
    for more, status in ((CROSS_SITE, 403), ("", 200), (FROM_FRIEND, 200)):
        assert (await http.post("6", more)).status == status
    assert (await http.post("6", "Origin: http://friend.example\r\n" * 2)).status == 400
