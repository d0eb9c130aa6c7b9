"""Origins that are told to the server: as browsers write them, or refused with a reason."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.gate import Gate
from server.origins import parse_origins
from tests.server.running import run_to_end, running
from tests.server.test_gate import status


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        ("https://a.org", "https://a.org"),
        ("HTTPS://A.org/", "https://a.org"),
        ("https://a.org:443", "https://a.org"),
        ("http://a.org:80/", "http://a.org"),
        ("http://a.org:443", "http://a.org:443"),
        ("https://a.org:0443", "https://a.org"),
        ("https://münchen.de", "https://xn--mnchen-3ya.de"),
        ("https://MÜNCHEN.de:8443", "https://xn--mnchen-3ya.de:8443"),
        ("http://[0:0::1]:8080", "http://[::1]:8080"),
        ("http://[::FFFF:1.2.3.4]:80", "http://[::ffff:102:304]"),
        ("http://[::ffff:0:0]", "http://[::ffff:0:0]"),
        ("http://192.0.2.1", "http://192.0.2.1"),
        ("http://my_host.local", "http://my_host.local"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("null", "null"),
        ("file://", "file://"),
        ("*", "*"),
    ],
)
def test_an_origin_becomes_what_browsers_send(told: str, sent: str) -> None:
    assert parse_origins(told) == [sent]


@pytest.mark.parametrize("told", ["http://a,http://b", "http://a, http://b", "http://a http://b,"])
def test_a_list_of_origins(told: str) -> None:
    assert parse_origins(told) == ["http://a", "http://b"]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("", "missing"),
        (" , ", "missing"),
        ("a.org", "such as https://"),
        ("https://*.a.org", "wildcards"),
        ("https://a.org/page", "no path"),
        ("https://a.org?x", "no path"),
        ("https://user@a.org", "no user name"),
        ("wss://a.org", "http:// or https://"),
        ("https://a.org:99999", "65535"),
        ("https://a.org:x", "such as"),
        ("https://", "such as"),
        ("https://a..org", "not a name"),
        ("https://a%20b", "not a name"),
        ("https://[::x]", "::x"),
        ("http://127.1", "127.1"),
        ("http://0x7f.1", "0x7f.1"),
        ("http://a.0x", "a.0x"),
        ("http://[fe80::1%eth0]", "no zone"),
        ("file:///", "null or file://"),
        ("FILE:///home/page.html", "null or file://"),
        ("file://host", "null or file://"),
        (f"http://{'a' * 64}.org", "not a name"),
        ("https://straße.de", "in ASCII"),
        ("https://a.org, b.org", "'b.org'"),
    ],
)
def test_an_origin_that_can_never_match_is_refused(told: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_origins(told)


@given(st.text(max_size=30) | st.from_regex(r"https?://[a-z0-9.:*\[\]-]{1,12}", fullmatch=True))
def test_any_text_is_origins_or_a_reason(told: str) -> None:
    """And an origin that was rewritten is rewritten to itself."""
    try:
        origins = parse_origins(told)
    except ValueError:
        return
    assert [same for origin in origins for same in parse_origins(origin)] == origins


def test_files_can_be_admitted_where_others_can_connect() -> None:
    gate = Gate(parse_origins("null, file://"), local=False)
    assert gate.admits_origin("null", "example.org")
    assert gate.admits_origin("file://", "example.org")
    assert not gate.admits_origin("https://a.org", "example.org")
    assert not Gate([], local=False).admits_origin("file://", "example.org")


def test_origins_as_an_option_and_as_a_variable() -> None:
    """``WSROLL_ORIGIN`` stands for ``--origin``, as for every option."""
    with running("--origin", "https://a.org:443, https://münchen.de") as server:
        assert status(server, "localhost", "Origin: https://a.org") == 101
        assert status(server, "localhost", "Origin: https://xn--mnchen-3ya.de") == 101
    with running(WSROLL_ORIGIN="https://a.org, https://b.org") as server:
        assert status(server, "localhost", "Origin: https://b.org") == 101
        assert status(server, "localhost", "Origin: https://c.org") == 403
    result = run_to_end("--origin", "https://*.a.org")
    assert result.returncode == 2
    assert "wildcards" in result.stderr
    assert len(result.stderr.splitlines()) == 1
