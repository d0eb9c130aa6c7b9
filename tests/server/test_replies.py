"""Each request gets its one reply, in order, however it comes and whatever follows it."""

import signal
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from cli_client.ledger.numbers import p_value
from tests.server.raw import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Frame,
    RawClient,
    close_code,
    frame,
    handshake,
)
from tests.server.running import Running, running
from wire.exchange import check_reply


def check(reply: Frame | None, opcode: int, request: bytes) -> int:
    """Return the number in a reply that answers a request."""
    assert reply is not None, f"no reply to {request!r}"
    assert (reply.opcode, reply.fin, reply.rsv) == (opcode, True, 0)
    return check_reply(request, reply.payload)


@pytest.mark.parametrize(
    "text",
    [
        "Request 9990",
        "",
        "zwölf 🎲\0",
        "two\nlines",
        "\ufeff\u202e\U0010ffff",
        "a: 42",
        "x" * 2**20,
    ],
    ids=["plain", "empty", "Unicode", "lines", "odd Unicode", "like a reply", "at the size limit"],
)
def test_a_text_comes_back_with_its_ending(plain: Running, text: str) -> None:
    """A request may be any text, also none, up to the size limit."""
    with plain.connect() as client:
        client.send(frame(TEXT, text))
        check(client.read_frame(), TEXT, text.encode())


@pytest.mark.parametrize("data", [b"", b"\0\xff\xfe", bytes(range(256)) * 300])
def test_binary_comes_back_as_binary(plain: Running, data: bytes) -> None:
    """The same bytes with the same kind of ending; they need not be UTF-8."""
    with plain.connect() as client:
        client.send(frame(BINARY, data))
        check(client.read_frame(), BINARY, data)


def test_fragments_are_one_request(plain: Running) -> None:
    """Fragments may split a character, be empty, and have a ping between them."""
    data = "zwölf 🎲".encode()
    with plain.connect() as client:
        client.send(frame(TEXT, data[:3], fin=False))
        client.send(frame(CONT, b"", fin=False) + frame(PING, "between"))
        client.send(frame(CONT, data[3:9], fin=False) + frame(CONT, data[9:]))
        assert client.read_frame() == Frame(PONG, b"between")
        check(client.read_frame(), TEXT, data)
        client.send(frame(BINARY, b"\xff", fin=False) + frame(CONT, b"\xfe"))
        check(client.read_frame(), BINARY, b"\xff\xfe")


def test_a_request_may_come_byte_by_byte(plain: Running) -> None:
    """TCP keeps no boundaries."""
    with plain.connect() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(TEXT, "byte by byte"):
            client.send(bytes([byte]))
        check(client.read_frame(), TEXT, b"byte by byte")


def test_requests_may_come_with_the_handshake(plain: Running) -> None:
    """A client need not wait for the response to its handshake."""
    with RawClient(plain.url) as client:
        client.send(handshake() + frame(TEXT, "early") + frame(TEXT, "bird"))
        assert client.read_head().startswith("HTTP/1.1 101 ")
        check(client.read_frame(), TEXT, b"early")
        check(client.read_frame(), TEXT, b"bird")


def test_every_number_from_1_to_100_is_equally_likely(plain: Running) -> None:
    """20,000 replies spread as chance has it (chi-squared; fails by chance once in a million)."""
    count = 20_000
    with plain.connect() as client:
        client.send(frame(TEXT, "roll") * count)
        numbers = Counter(check(reply, TEXT, b"roll") for reply in client.read_frames(count))
    assert set(numbers) == set(range(1, 101))
    chi_squared = sum((times - 200) ** 2 / 200 for times in numbers.values())
    assert p_value(chi_squared, 99) > 1e-6, numbers


def test_replies_and_pongs_come_in_the_order_of_what_they_answer(plain: Running) -> None:
    """Text, binary and pings, many in one go."""
    sent = [((TEXT, BINARY, PING)[i % 3], f"number {i}".encode()) for i in range(3000)]
    with plain.connect() as client:
        client.send(b"".join(frame(opcode, data) for opcode, data in sent))
        for opcode, data in sent:
            received = client.read_frame()
            if opcode == PING:
                assert received == Frame(PONG, data)
            else:
                check(received, opcode, data)


def test_50_000_requests_then_close_in_one_go(plain: Running) -> None:
    """Every request gets its reply before the closing handshake ends."""
    requests = [f"Request {i}".encode() for i in range(50_000)]
    with plain.connect() as client:
        everything = b"".join(frame(TEXT, request) for request in requests)
        client.send(everything + frame(CLOSE, b"\x03\xe8bye"))
        for request in requests:
            check(client.read_frame(), TEXT, request)
        assert client.read_frame() == Frame(CLOSE, b"\x03\xe8bye")
        assert client.read_frame() is None


def test_50_000_requests_then_fin(plain: Running) -> None:
    """A client that half-closes (``FIN`` without Close) gets all its replies as well."""
    with plain.connect() as client:
        client.send(b"".join(frame(TEXT, f"Request {i}") for i in range(50_000)))
        client.finish()
        for i in range(50_000):
            check(client.read_frame(), TEXT, f"Request {i}".encode())
        # Whatever the server says now, it ends the connection.
        assert all(received.opcode == CLOSE for received in client.read_to_end())


def test_a_client_that_half_closes_and_reads_slowly(plain: Running) -> None:
    """What is still in the server's own buffer when the FIN comes is sent as well."""
    request = b"x" * 1000
    with plain.connect(receive_buffer=4096) as client:

        def send_all() -> None:
            client.send(frame(TEXT, request) * 8000)
            client.finish()

        sender = threading.Thread(target=send_all)
        sender.start()
        for _ in range(8000):
            check(client.read_frame(), TEXT, request)
        assert client.read_frame() is None
        sender.join()


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(TEXT, b"\xc3\x28"), 1007),
        (frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"\x28"), 1007),
        (frame(3), 1002),
        (frame(TEXT, b"x", rsv=4), 1002),
        (frame(CONT, b"of nothing"), 1002),
        (frame(TEXT, b"not masked", mask=b""), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, b"\x03\xed"), 1002),
    ],
    ids=[
        *("invalid UTF-8", "invalid UTF-8 in fragments", "reserved opcode", "reserved bit"),
        *("continuation of nothing", "not masked", "long ping", "short close", "close code 1005"),
    ],
)
def test_a_bad_frame_behind_good_requests(plain: Running, bad: bytes, code: int) -> None:
    """First the replies that are owed, then the close code, then the end."""
    with plain.connect() as client:
        client.send(b"".join(frame(TEXT, f"Request {i}") for i in range(1000)) + bad)
        for i in range(1000):
            check(client.read_frame(), TEXT, f"Request {i}".encode())
        assert close_code(client.read_frame()) == code
        assert client.read_frame() is None


def test_nothing_is_answered_behind_a_close(plain: Running) -> None:
    """Requests behind the client's own Close frame are not requests (section 5.5.1)."""
    with plain.connect() as client:
        client.send(frame(CLOSE, b"\x03\xe8") + frame(TEXT, "too late"))
        assert list(client.read_to_end()) == [Frame(CLOSE, b"\x03\xe8")]


def test_echo_returns_the_request_as_it_came(echo: Running) -> None:
    """``--reply echo``."""
    with echo.connect() as client:
        client.send(frame(TEXT, "zwölf 🎲") + frame(BINARY, b"\xff\0") + frame(TEXT))
        assert client.read_frames(3) == [
            Frame(TEXT, "zwölf 🎲".encode()),
            Frame(BINARY, b"\xff\0"),
            Frame(TEXT, b""),
        ]


def test_echo_of_an_empty_text_goes_on(echo: Running) -> None:
    """A reply of no bytes is a reply, and not the end of all replies."""
    with echo.connect() as client:
        for _ in range(3):
            assert client.ask("") == ""
        assert client.ask("more") == "more"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_it_listens_on_both_loopback_addresses(plain: Running, host: str) -> None:
    """The default host, ``localhost``, is IPv4 and IPv6."""
    with RawClient((host, plain.port)) as client:
        exchange_and_close(client)


def test_it_listens_on_a_unix_socket(tmp_path: Path) -> None:
    """``--unix`` serves the same, stops the same, and leaves no file behind."""
    path = tmp_path / "wsroll.sock"
    with running("--unix", str(path)) as server:
        assert str(path) in server.announcement
        with RawClient(str(path)) as client:
            exchange_and_close(client)
        with RawClient(str(path)) as client:
            client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.read_response()[0] == 200
        with RawClient(str(path)) as client:
            client.open()
            server.signal(signal.SIGTERM)
            assert close_code(client.close_in_turn()[-1]) == 1001
        assert server.wait() == 0
    assert not path.exists()


@pytest.mark.parametrize(("options", "compressed"), [((), False), (("--compress",), True)])
def test_compression_is_off_unless_asked_for(options: tuple[str, ...], compressed: bool) -> None:
    """A client that offers permessage-deflate gets it with ``--compress`` alone."""
    with running("--reply", "echo", *options) as server, RawClient(server.url) as client:
        client.send(handshake("localhost", "Sec-WebSocket-Extensions: permessage-deflate"))
        assert ("permessage-deflate" in client.read_head()) == compressed
        client.send(frame(TEXT, "a" * 1000))
        reply = client.read_frame()
        assert reply is not None
        assert (reply.rsv, len(reply.payload) < 1000) == ((4, True) if compressed else (0, False))


def exchange_and_close(client: RawClient) -> None:
    """Go through a connection's life: open, request, fragments, ping, bad frame."""
    client.open()
    check_reply(b"Request 1", client.ask("Request 1").encode())
    client.send(frame(TEXT, "a", fin=False) + frame(PING, "p") + frame(CONT, "b"))
    assert client.read_frame() == Frame(PONG, b"p")
    check(client.read_frame(), TEXT, b"ab")
    client.send(frame(TEXT, "last") + frame(TEXT, b"\xff"))
    check(client.read_frame(), TEXT, b"last")
    assert close_code(client.read_frame()) == 1007
    assert client.read_frame() is None
