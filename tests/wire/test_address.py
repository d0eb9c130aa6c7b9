"""URLs that can be connected to, and what is said of those that cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.address import (
    announcement,
    check_url,
    complete_url,
    find_announced_url,
    public_url,
)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("ws://localhost:8765/", "ws://localhost:8765/"),
        ("ws://localhost:8765", "ws://localhost:8765/"),
        ("wss://example.org/path?query=1", "wss://example.org/path?query=1"),
        ("ws://[::1]:80/", "ws://[::1]:80/"),
        ("ws://user:secret@example.org/", "ws://user:secret@example.org/"),
    ],
)
def test_a_websocket_url_is_returned_in_full(text: str, url: str) -> None:
    assert check_url(text) == url


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must start with ws://"),
        ("localhost:8765", "must start with ws://"),
        ("http://localhost:8765/", "must start with ws://"),
        ("ws://", "names no host"),
        ("ws://:8765/", "names no host"),
        ("ws://localhost:port/", "ort"),
        ("ws://localhost:65536/", "ort"),
        ("ws://localhost:0/", "from 1 to 65535"),
        ("ws://localhost/#top", "fragment"),
        ("ws://local host/", "space"),
        ("ws://localhost/\n", "control character"),
        ("ws://[::1/", "IPv6"),
        ("ws://us%3Aer:pw@host/", "colon"),
        ("ws://u%ff:pw@host/", "not UTF-8"),
        ("ws://user:p%ffw@host/", "not UTF-8"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        check_url(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "http://me:hush@host/",
        "ws://me:hush@local host/",
        "ws://me:hu:sh@host:port/",
        "ws://me:hush@host/?token=hush#x",
        "wss://host/?a=b&token=hush hush",
    ],
)
def test_the_reason_shows_no_password_and_no_query(text: str) -> None:
    with pytest.raises(ValueError, match="is not a WebSocket URL") as caught:
        check_url(text)
    assert "hush" not in str(caught.value)
    assert "sh@" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:8765", "ws://localhost:8765/"),
        ("  example.org/chat?a=b://c ", "ws://example.org/chat?a=b://c"),
        ("example.org:443/chat", "wss://example.org:443/chat"),
        ("example.org?port=:443", "ws://example.org/?port=:443"),
        ("[::1]:443", "wss://[::1]:443/"),
        ("//example.org", "ws://example.org/"),
        ("http://example.org:443", "ws://example.org:443/"),
        ("HTTPS://example.org", "wss://example.org/"),
        ("wss://example.org", "wss://example.org/"),
    ],
)
def test_what_a_person_typed_is_completed(text: str, url: str) -> None:
    assert complete_url(text) == url


@pytest.mark.parametrize("text", ["", "  ", "//", "ftp://example.org/", "mailto:me", "ws://", ":1"])
def test_what_cannot_be_completed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a WebSocket URL"):
        complete_url(text)


def test_a_public_url_has_no_user_and_a_query_only_if_wanted() -> None:
    url = "wss://me:secret@example.org:1/path?token=secret"
    assert public_url(url) == "wss://example.org:1/path"
    assert public_url(url, query=True) == "wss://example.org:1/path?token=secret"


@given(st.text())
def test_no_text_completed_does_more_than_raise_value_error(text: str) -> None:
    try:
        url = complete_url(text)
    except ValueError:
        return
    assert check_url(public_url(url)) == public_url(url)


@given(st.text())
def test_no_text_does_more_than_raise_value_error(text: str) -> None:
    try:
        url = check_url(text)
    except ValueError:
        return
    assert check_url(url) == url


def test_a_client_finds_the_url_that_a_server_announces() -> None:
    line = announcement("wss://localhost:8765/", "https://localhost:8765/")
    assert find_announced_url(line) == "wss://localhost:8765/"
    assert find_announced_url("Stopping") is None
