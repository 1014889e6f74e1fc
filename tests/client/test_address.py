"""Normalization of server addresses."""

from __future__ import annotations

import pytest

from pychat.client import ChatClient, InvalidAddress
from pychat.client.connection.address import normalized_address


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("localhost", "http://localhost:3000"),
        (" chat.example.org:80/ ", "http://chat.example.org:80"),
        ("http://127.0.0.1:3000/", "http://127.0.0.1:3000"),
        ("http://chat.example.org", "http://chat.example.org"),
        ("https://chat.example.org", "https://chat.example.org"),
        ("HTTPS://Chat.Example.org:8443", "https://chat.example.org:8443"),
        ("ws://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("wss://chat.example.org", "https://chat.example.org"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("http://[::1]", "http://[::1]"),
    ],
)
def test_addresses_are_normalized(typed: str, address: str) -> None:
    assert normalized_address(typed) == address
    assert ChatClient(typed, user="alice").server == address


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "the host is missing or invalid"),
        ("http://", "the host is missing or invalid"),
        ("ftp://host", "scheme ftp"),
        ("host:port", "port"),
        ("host:70000", "ort"),
        ("alice:secret@host", "must not contain a user or password"),
        ("http://host/chat", "must contain only a host"),
        ("two words", "the host is missing or invalid"),
    ],
)
def test_an_invalid_address_is_refused_with_an_example(typed: str, says: str) -> None:
    with pytest.raises(InvalidAddress) as refused:
        normalized_address(typed)
    line = str(refused.value)
    assert says in line
    assert "https://chat.example.org" in line
    assert "\n" not in line
