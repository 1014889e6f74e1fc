"""Allowed origins, and addresses of clients behind proxies."""

import logging

import pytest
from multidict import CIMultiDict

from pychat.server.engine.answer import Refused
from pychat.server.engine.origins import Origins, Proxies, page_origin


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "chat.example", True),
        ("http://chat.example", "chat.example", True),
        ("http://chat.example:80", "chat.example", True),
        ("https://chat.example", "chat.example", True),
        ("http://CHAT.example", "chat.example", True),
        ("http://chat.example:8080", "chat.example", False),
        ("http://chat.example", "chat.example:3000", False),
        ("http://evil.example", "chat.example", False),
        ("http://chat.example.evil.example", "chat.example", False),
        ("null", "chat.example", False),
        ("", "chat.example", False),
        ("http://[bad", "chat.example", False),
        ("http://localhost:3000", "127.0.0.1:3000", True),
        ("http://[::1]:3000", "localhost:3000", True),
        ("http://localhost:8000", "127.0.0.1:3000", False),
        ("http://localhost:3000", "chat.example:3000", False),
        ("https://friend.example", "chat.example", True),
        ("http://friend.example", "chat.example", False),
    ],
)
def test_own_origin_and_named_ones(origin: str | None, host: str, allowed: bool) -> None:
    origins = Origins(["https://friend.example/"], "--cors-origin {}")
    assert origins.allows(origin, "http", host) is allowed


@pytest.mark.parametrize(
    ("host", "reached_at", "allowed"),
    [
        ("evil.example:3000", "127.0.0.1", False),
        ("evil.example:3000", "::1", False),
        ("localhost.evil.example:3000", "127.0.0.1", False),
        ("friend.example:3000", "127.0.0.1", True),
        ("localhost:3000", "127.0.0.1", True),
        ("chat.localhost:3000", "127.0.0.1", True),
        ("127.0.0.1:3000", "127.0.0.1", True),
        ("[::1]:3000", "::1", True),
        # Reached by others or through a proxy, the server may have any name.
        ("chat.example:3000", "192.0.2.1", True),
        ("chat.example:3000", "", True),
    ],
)
def test_a_name_that_was_bent_to_this_machine_is_not_its_own(
    host: str, reached_at: str, allowed: bool
) -> None:
    """DNS rebinding: a stranger's page makes its own name lead to the visitor's machine."""
    origins = Origins(["http://friend.example:3000"], "--cors-origin {}")
    assert origins.allows(f"http://{host}", "http", host, reached_at) is allowed


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        # A program, or a browser from before 2023.
        ({}, None),
        ({"Referer": "http://evil.example/page"}, None),
        # The server's own page, or an address that the user has typed.
        ({"Sec-Fetch-Site": "same-origin"}, None),
        ({"Sec-Fetch-Site": "none"}, None),
        ({"Sec-Fetch-Site": "None", "Referer": "http://evil.example/"}, None),
        # An image, a script, a link or a frame of another site, or of another port.
        ({"Sec-Fetch-Site": "cross-site"}, "null"),
        ({"Sec-Fetch-Site": "same-site"}, "null"),
        ({"Sec-Fetch-Site": "something-new"}, "null"),
        ({"Sec-Fetch-Site": ""}, "null"),
        (
            {"Sec-Fetch-Site": "cross-site", "Referer": "http://a.example:80/b?c"},
            "http://a.example:80",
        ),
        ({"Sec-Fetch-Site": "cross-site", "Referer": "http://[bad"}, "null"),
        ({"Sec-Fetch-Site": "cross-site", "Referer": "about:blank"}, "null"),
        ({"Sec-Fetch-Site": "cross-site", "Referer": "http://own@evil.example/"}, "null"),
        # Origin says it, whatever else is said.
        ({"Origin": "http://a.example", "Sec-Fetch-Site": "same-origin"}, "http://a.example"),
        ({"Origin": "null", "Referer": "http://a.example/"}, "null"),
        ({"Origin": ""}, ""),
    ],
)
def test_the_page_that_has_sent_a_request(headers: dict[str, str], origin: str | None) -> None:
    assert page_origin(CIMultiDict(headers)) == origin


def test_headers_that_say_two_things() -> None:
    two = CIMultiDict([("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")])
    assert page_origin(two) == "null"
    with pytest.raises(Refused, match="more than one Origin"):
        page_origin(CIMultiDict([("Origin", "http://own.example"), ("Origin", "http://b.example")]))


def test_every_origin_only_when_asked_for() -> None:
    assert Origins("*", "").allows("http://evil.example", "http", "chat.example")
    assert Origins(["*"], "").allows("null", "http", "chat.example")


def test_a_refusal_is_logged_once_with_what_would_allow_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    origins = Origins([], "--cors-origin {}")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            origins.allows("http://other.example:8000", "http", "chat.example")
    assert len(caplog.records) == 1
    assert "--cors-origin http://other.example:8000" in caplog.text


def test_a_proxy_that_nobody_has_named_is_told_how(caplog: pytest.LogCaptureFixture) -> None:
    """Its pages are refused like those of a bent name, as it passes a name on to this machine."""
    origins = Origins([], "--cors-origin {}", "--trusted-proxy {}")
    assert not origins.allows("https://other.example", "http", "chat.example", "127.0.0.1")
    assert "--trusted-proxy" not in caplog.text
    assert not origins.allows("https://chat.example", "http", "chat.example", "127.0.0.1")
    assert "set --trusted-proxy 127.0.0.1" in caplog.text


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("9.9.9.9", ["1.2.3.4"], "9.9.9.9"),
        ("10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6, 1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        # The client has sent a line of its own, the proxy has added another.
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4"], "1.2.3.4"),
        ("10.0.0.1", ["6.6.6.6", "1.2.3.4, 10.0.0.2"], "1.2.3.4"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["1.2.3.4, garbage"], "10.0.0.1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
    ],
)
def test_forwarded_for_is_believed_of_trusted_proxies(
    peer: str, forwarded: list[str], client: str
) -> None:
    proxies = Proxies(["10.0.0.0/8"])
    headers = CIMultiDict([("X-Forwarded-For", line) for line in forwarded])
    assert proxies.client(peer, headers) == client
