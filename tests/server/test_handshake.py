"""The opening handshake: the short way for the usual request and the library's way agree."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.raw import RawClient
from tests.server.running import Running

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455, section 1.3."""

PLAIN = (
    "GET / HTTP/1.1",
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Key: {KEY}",
    "Sec-WebSocket-Version: 13",
)
UNUSUAL = "X-Unusual: " + "x" * 5000
"""A line that changes nothing, but is too long for the short way."""


def ask(server: Running, lines: tuple[str, ...]) -> tuple[int, str]:
    """Return the status of the response and what it accepts."""
    with RawClient(server.url) as client:
        client.send("\r\n".join([*lines, "", ""]).encode("latin-1"))
        head = client.read_head()
    accepted = re.search(r"^Sec-WebSocket-Accept: (.*?)\r?$", head, re.MULTILINE)
    return int(head.split()[1]), accepted[1] if accepted else ""


def check_both_ways(server: Running, lines: tuple[str, ...]) -> tuple[int, str]:
    """Return what a server answers, which it must on the short way as on the other."""
    answer = ask(server, lines)
    assert answer == ask(server, (*lines, UNUSUAL))
    return answer


def changed(place: int, *lines: str) -> tuple[str, ...]:
    """Return the plain request with other lines in place of one."""
    return (*PLAIN[:place], *lines, *PLAIN[place + 1 :])


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (PLAIN, 101),
        (tuple(line.replace(": ", ":") for line in PLAIN), 101),
        ((PLAIN[0], *(line.replace(": ", ":  ") + " " for line in PLAIN[1:])), 101),
        ((PLAIN[0], *(line.upper() for line in PLAIN[1:4]), *PLAIN[4:]), 101),
        (changed(0, "GET /a?b=c HTTP/1.1"), 101),
        (changed(0, "GET /a b HTTP/1.1"), 400),
        (changed(0, "POST / HTTP/1.1"), 405),
        (changed(0, "GET / HTTP/1.0"), 505),
        (changed(1), 101),
        (changed(1, "Host: elsewhere.example"), 403),
        (changed(1, "Host: localhost", "Host: elsewhere.example"), 400),
        (changed(2, "Upgrade: websocket, h2c"), 426),
        (changed(2, "Upgrade: h2c"), 426),
        (changed(3, "Connection: keep-alive, Upgrade"), 101),
        (changed(3, "Connection: close, x, Upgrade"), 101),
        (changed(3, "Connection: keep-alive"), 426),
        (changed(3), 426),
        (changed(4), 400),
        (changed(4, "Sec-WebSocket-Key: short"), 400),
        (changed(4, f"Sec-WebSocket-Key: {KEY}AAAA"), 400),
        (changed(4, f"Sec-WebSocket-Key: {KEY}", f"Sec-WebSocket-Key: {KEY}"), 400),
        (changed(5), 400),
        (changed(5, "Sec-WebSocket-Version: 8"), 426),
        ((*PLAIN, "Origin: http://localhost:1234"), 101),
        ((*PLAIN, "Origin: https://elsewhere.example"), 403),
        ((*PLAIN, "Origin: null"), 101),
        ((*PLAIN, "Content-Length: 5"), 400),
        ((*PLAIN, "Transfer-Encoding: chunked"), 400),
        ((*PLAIN, "Sec-WebSocket-Protocol: chat"), 101),
        ((*PLAIN, "Sec-WebSocket-Protocol: ,"), 400),
        ((*PLAIN, "Sec-WebSocket-Extensions: permessage-deflate"), 101),
        ((*PLAIN, "Bad Name: x"), 400),
        ((*PLAIN, "X: \x01"), 400),
        ((*PLAIN, "no colon"), 400),
        ((*PLAIN, "Cookie: caf\xe9"), 101),
        ((*PLAIN, *["X: x"] * 60), 101),
        ((*PLAIN, *["X: x"] * 200), 431),
    ],
)
def test_both_ways_agree(plain: Running, lines: tuple[str, ...], status: int) -> None:
    """A request is answered in the same way, however it is parsed."""
    found, accepted = check_both_ways(plain, lines)
    assert found == status
    assert accepted == (ACCEPT if status == 101 else "")


@settings(max_examples=150, database=None)
@given(
    st.integers(0, len(PLAIN) - 1),
    st.integers(0, 60),
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=2),
)
def test_both_ways_agree_on_damaged_requests(
    plain: Running, line: int, place: int, text: str
) -> None:
    """The same with other characters somewhere in a line."""
    damaged = PLAIN[line][:place] + text + PLAIN[line][place + 1 :]
    check_both_ways(plain, changed(line, damaged))
