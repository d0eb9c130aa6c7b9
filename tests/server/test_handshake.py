"""The opening handshake: the short way for the usual request and the library's way agree.

Some tests ask a server, the others the handshake itself, which needs no socket.
"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.counters import Counters
from server.gate import Gate
from server.handshake import (
    Accepted,
    OpeningHandshake,
    Outcome,
    Page,
    Refused,
    accept_plain,
    answer,
)
from server.hub import Hub
from server.settings import Settings
from tests.server.raw import TEXT, RawClient, frame, handshake
from tests.server.running import Running, running

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


# The handshake itself.


class RecordingGate(Gate):
    """A gate that keeps the headers that it was asked about."""

    def __init__(self) -> None:
        super().__init__([], local=True)
        self.seen: list[tuple[str, str | None]] = []

    def admits_host(self, host: str) -> bool:
        self.seen.append(("host", host))
        return super().admits_host(host)

    def admits_origin(self, origin: str | None, host: str) -> bool:
        if origin is not None:
            self.seen.append(("origin", origin))
        return super().admits_origin(origin, host)


def new_hub(**options: object) -> Hub:
    return Hub(Settings(http=False, **options), Counters(), local=True)  # type: ignore[arg-type]


def status(outcome: Outcome | None) -> int:
    assert outcome is not None
    return int(outcome.response.split(b" ")[1])


def conclude(data: bytes, hub: Hub | None = None) -> Outcome | None:
    return OpeningHandshake(hub or new_hub()).receive(data)


def accept_header(response: bytes) -> bytes:
    found = re.search(rb"Sec-WebSocket-Accept: (\S+)", response)
    assert found is not None
    return found[1]


def check_short_way(head: bytes) -> None:
    """Check that the short way grants nothing that the library's way would not."""
    ways = []
    for way in (accept_plain, lambda hub, head: answer(hub, head, b"")):
        hub = new_hub()
        gate = hub.gate = RecordingGate()
        ways.append((way(hub, head), gate.seen))  # type: ignore[operator]
    (short, seen), (outcome, seen_by_other) = ways
    if short is not None:
        assert isinstance(outcome, Accepted), outcome
        assert accept_header(short) == accept_header(outcome.response)
        assert seen == seen_by_other


KEY_LINE = PLAIN[4]
key_lines = st.one_of(
    st.sampled_from(
        [
            KEY_LINE,
            KEY_LINE.lower(),
            f"Sec-WebSocket-Key:{KEY}",
            f"{KEY_LINE} ",
            f"{KEY_LINE}.evil.example",
            f"{KEY_LINE}{KEY}",
            f"{KEY_LINE}\r\n {KEY}",
            f"{KEY_LINE}\r\n\t{KEY}",
            f"{KEY_LINE}\r",
            f"{KEY_LINE}\n",
            f"X: {KEY_LINE}",
            f" {KEY_LINE}",
            "Sec-WebSocket-Key:",
        ]
    ),
    st.integers(0, len(KEY_LINE)).map(lambda size: KEY_LINE[:size]),
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=3).map(
        lambda text: KEY_LINE + text
    ),
)
other_lines = st.sampled_from(
    [
        *PLAIN[1:4],
        PLAIN[5],
        "Host: local",
        "Host: localhost.evil.example",
        "Host: evil.example",
        "Origin: http://localhost",
        "Origin: http://local",
        "Origin: http://evil.example",
        "host",
        ".evil.example",
        " folded",
    ]
)


@settings(max_examples=400, database=None)
@given(st.lists(other_lines, max_size=8), st.lists(key_lines, max_size=2), st.data())
def test_the_short_way_grants_what_the_other_does_with_the_key_anywhere(
    others: list[str], keys: list[str], data: st.DataObject
) -> None:
    """The gate sees the same Host and Origin, wherever the key stands and whatever follows it."""
    lines = [*PLAIN[1:4], PLAIN[5], *others] if data.draw(st.booleans()) else list(others)
    for line in keys:
        lines.insert(data.draw(st.integers(0, len(lines))), line)
    check_short_way("\r\n".join([PLAIN[0], *lines, "", ""]).encode("latin-1"))


@settings(max_examples=200, database=None)
@given(st.integers(0, 4), st.integers(0, 40), st.sampled_from(["", "\r", "\n", " ", "\r\n "]))
def test_no_line_is_completed_by_what_follows_the_key(line: int, cut: int, between: str) -> None:
    """A line is cut in two, and its rest comes behind the key, folded or not."""
    lines = [*PLAIN[1:4], PLAIN[5], "Origin: http://localhost"]
    whole = lines[line]
    lines[line : line + 1] = [whole[:cut], f"{KEY_LINE}{between}{whole[cut:]}"]
    check_short_way("\r\n".join([PLAIN[0], *lines, "", ""]).encode())


@pytest.mark.parametrize("place", range(1, 6))
def test_what_follows_the_key_is_not_part_of_the_header_before_it(place: int) -> None:
    """``Host: local`` and ``…host`` behind the key are not ``Host: localhost``."""
    lines = ["Host: local", *PLAIN[2:4], PLAIN[5]]
    lines.insert(place, f"{KEY_LINE}host")
    outcome = conclude("\r\n".join([PLAIN[0], *lines, "", ""]).encode())
    assert isinstance(outcome, Refused)


def test_a_handshake_is_incomplete_until_its_last_byte() -> None:
    """Cut at each place; what follows the head is given back."""
    data = handshake()
    for cut in range(len(data)):
        opening = OpeningHandshake(new_hub())
        assert opening.receive(data[:cut]) is None
        outcome = opening.receive(data[cut:] + b"first frames")
        assert isinstance(outcome, Accepted)
        assert outcome.rest == b"first frames"


def test_a_head_is_refused_as_soon_as_it_is_too_large() -> None:
    opening = OpeningHandshake(new_hub(max_header_size=100))
    assert opening.receive(b"GET / HTTP/1.1\r\nX: ") is None
    outcome = opening.receive(b"x" * 100)
    assert isinstance(outcome, Refused)
    assert (status(outcome), outcome.reason) == (431, "header size")


def test_a_handshake_that_times_out() -> None:
    for data, end in ((b"", b".\n"), (b"GET /", b".\n"), (b"HEAD / HTTP/1.1\r\n", b"\r\n\r\n")):
        opening = OpeningHandshake(new_hub())
        opening.receive(data)
        outcome = opening.time_out()
        assert isinstance(outcome, Refused)
        assert (status(outcome), outcome.reason) == (408, "timeout")
        assert outcome.response.endswith(end)


@pytest.mark.parametrize("target", ["http://localhost/a?b", "HTTP://LOCALHOST:1", "ws://[::1]/?x"])
def test_a_target_in_absolute_form(target: str) -> None:
    """Servers must accept it (RFC 9112, section 3.2.2), and its host counts."""
    assert isinstance(conclude(handshake("evil.example", path=target)), Accepted)
    assert isinstance(conclude(f"GET {target} HTTP/1.1\r\n\r\n".encode()), Page)


@pytest.mark.parametrize(
    "target", ["http://evil.example/", "http://localhost@evil.example/", "http://[::1]evil.example"]
)
def test_the_host_of_an_absolute_target_is_checked(target: str) -> None:
    outcome = conclude(handshake("localhost", path=target))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "host"


@pytest.mark.parametrize(
    "target",
    ["http://evil.example/#x", "http:///", "ftp://localhost/", "localhost:8765", "*", "/\x1b[31m"],
)
def test_a_target_that_is_neither_a_path_nor_a_url_of_ours(target: str) -> None:
    """It may name another host in a way that the gate does not see."""
    for data in (handshake("localhost", path=target), f"GET {target} HTTP/1.1\r\n\r\n".encode()):
        outcome = conclude(data)
        assert isinstance(outcome, Refused)
        assert status(outcome) == 400
        assert b"\x1b" not in outcome.response


def test_an_empty_line_before_a_request_is_ignored() -> None:
    """As servers should (RFC 9112, section 2.2), wherever what came is cut."""
    data = b"\r\n" + handshake()
    for cut in range(len(data)):
        opening = OpeningHandshake(new_hub())
        assert opening.receive(data[:cut]) is None
        assert isinstance(opening.receive(data[cut:]), Accepted)


@pytest.mark.parametrize(
    "data", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n"]
)
def test_another_version_of_http(data: bytes) -> None:
    assert status(conclude(data)) == 505


@pytest.mark.parametrize(
    "name", ["Upgrade: websocket, ", "Connection: ", "Sec-WebSocket-Protocol: "]
)
def test_a_refusal_repeats_nothing_that_a_terminal_obeys(name: str) -> None:
    """U+009B begins an escape sequence."""
    outcome = conclude(handshake("localhost", name + "\x9b31m").replace(b"\xc2", b""))
    assert isinstance(outcome, Refused)
    body = outcome.response.partition(b"\r\n\r\n")[2].decode()
    assert body.endswith("\n")
    assert body[:-1].isprintable()


@pytest.mark.parametrize("offer", ["h2c", "h2c, HTTP/2.0", "TLS/1.0"])
def test_an_offer_of_another_protocol_is_ignored(offer: str) -> None:
    """As Java's HttpClient and ``curl --http2`` send it."""
    lines = f"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: {offer}\r\nConnection: Upgrade\r\n\r\n"
    assert isinstance(conclude(lines.encode()), Page)


@pytest.mark.parametrize(
    "data",
    [
        b"HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nX: " + b"x" * 20_000,
        b"HEAD / HTTP/1.1\r\nno colon\r\n\r\n",
        handshake().replace(b"GET", b"HEAD"),
    ],
)
def test_no_refusal_of_a_head_request_has_a_body(data: bytes) -> None:
    outcome = conclude(data)
    assert isinstance(outcome, Refused)
    assert outcome.response.endswith(b"\r\n\r\n")
    assert outcome.response.count(b"\r\n\r\n") == 1
    assert b"Content-Length: 0" not in outcome.response


def test_a_header_size_above_the_default_lets_larger_lines_in() -> None:
    """And more of them: the library's own limits grow with it."""
    with running("--max-header-size", "64K") as server:
        for line in ("X: " + "x" * 40_000, "\r\n".join(["X: x"] * 1000)):
            assert ask(server, (*PLAIN, line))[0] == 101
        assert ask(server, (*PLAIN, "X: " + "x" * 65_536))[0] == 431


# Subprotocols.


@pytest.mark.parametrize(
    ("ours", "offered", "chosen"),
    [
        ((), "chat", None),
        (("chat",), "chat", b"chat"),
        (("chat", "soap"), "soap, chat", b"soap"),
        (("chat",), "soap", None),
        (("*",), "soap, chat", b"soap"),
        (("Chat",), "chat", None),
    ],
)
def test_the_first_subprotocol_that_is_ours_is_chosen(
    ours: tuple[str, ...], offered: str, chosen: bytes | None
) -> None:
    """Where none is, the connection opens without one, and the log says so."""
    outcome = conclude(
        handshake("localhost", f"Sec-WebSocket-Protocol: {offered}"), new_hub(subprotocols=ours)
    )
    assert isinstance(outcome, Accepted)
    found = re.search(rb"Sec-WebSocket-Protocol: (.*)\r", outcome.response)
    assert (found and found[1]) == chosen
    assert (outcome.notice is None) == (chosen is not None)


def test_a_client_without_subprotocols_needs_none() -> None:
    outcome = conclude(handshake(), new_hub(subprotocols=("chat",)))
    assert isinstance(outcome, Accepted)
    assert outcome.notice is None


def test_subprotocols_from_outside() -> None:
    with running("--subprotocol", "chat") as server:
        with RawClient(server.url) as client:
            client.send(handshake("localhost", "Sec-WebSocket-Protocol: soap, chat"))
            assert "Sec-WebSocket-Protocol: chat" in client.read_head()
            client.send(frame(TEXT, "Request 1"))
            assert client.read_frame() is not None
        with RawClient(server.url) as client:
            client.open("Sec-WebSocket-Protocol: soap")
        server.wait_for_log("none of its subprotocols was chosen: soap")
