"""Clients that are refused: 503, 408, 431, 400, and those that say nothing at all."""

import contextlib
import resource
import socket
from collections.abc import Iterator

import pytest

from tests.server.raw import (
    CLOSE,
    TEXT,
    RawClient,
    frame,
    handshake,
)
from tests.server.running import Running, check_alive, running


def test_one_connection_too_many() -> None:
    """Status 503 and a log line; when one goes, the next may come."""
    with running("--max-connections", "2") as server:
        first, second = server.connect(), server.connect()
        with RawClient(server.url) as third:
            third.send(handshake())
            assert third.read_response()[0] == 503
        server.wait_for_log("refused (full)")
        assert first.ask("Request 1").startswith("Request 1: ")
        first.send(frame(CLOSE, b"\x03\xe8"))
        assert len(list(first.read_to_end())) == 1
        first.socket.close()
        with patient_client(server) as fourth:
            fourth.ask("Request 1")
        second.socket.close()


def patient_client(server: Running) -> RawClient:
    """Return a client that comes again until it is let in."""
    for _ in range(200):
        client = RawClient(server.url)
        client.send(handshake())
        if client.read_head().startswith("HTTP/1.1 101 "):
            return client
        client.socket.close()
    raise AssertionError("never let in")


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", handshake()[:-2]], ids=["nothing", "a part", "all but the end"]
)
def test_a_handshake_that_takes_too_long(sent: bytes) -> None:
    """Status 408 and a log line, however little or much has come."""
    with running("--open-timeout", "0.2") as server:
        with RawClient(server.url) as client:
            client.send(sent)
            assert client.read_response()[0] == 408
        server.wait_for_log("refused (timeout)")
        check_alive(server)


def test_a_handshake_sent_byte_by_byte_takes_too_long() -> None:
    """The time is that of the whole handshake, so dripping it gains nothing (Slowloris)."""
    with running("--open-timeout", "0.3", "--close-timeout", "0.3") as server:
        with RawClient(server.url) as client, contextlib.suppress(OSError):
            client.socket.settimeout(0.02)
            for byte in b"GET / HTTP/1.1\r\nX: " + b"x" * 1000:
                client.send(bytes([byte]))
                with contextlib.suppress(TimeoutError):
                    if client.socket.recv(4096, socket.MSG_PEEK):
                        break
        server.wait_for_log("refused (timeout)")
        client.socket.close()


def test_what_comes_behind_a_refusal_is_not_looked_at() -> None:
    """After 408, the rest of the handshake opens nothing."""
    with running("--open-timeout", "0.2") as server:
        with RawClient(server.url) as client:
            client.send(handshake()[:-2])
            head = client.read_head()
            assert head.startswith("HTTP/1.1 408 ")
            client.send(b"\r\n" + frame(TEXT, "let me in"))
            client.finish()
            assert b"101 Switching" not in client.read_body()
        check_alive(server)


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, {431}),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", {431}),
        (b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 300 + b"\r\n", {431}),
        (b"GET /" + b"x" * 20_000, {414, 431}),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", {414, 431}),
        (b"x" * 20_000, {414, 431}),
    ],
    ids=["endless header", "long header", "many headers", "endless path", "long path", "no line"],
)
def test_a_request_that_is_too_large(plain: Running, head: bytes, statuses: set[int]) -> None:
    """Status 431 (or 414 for the path), and a log line."""
    with RawClient(plain.url) as client:
        client.send(head)
        assert client.read_response()[0] in statuses
    plain.wait_for_log("refused (header size)")


def test_the_header_size_is_an_option() -> None:
    """One byte more is too much."""
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "
    for size, status in ((1000, 200), (1001, 431)):
        with running("--max-header-size", "1000") as server, RawClient(server.url) as client:
            client.send(request + b"x" * (size - len(request) - 4) + b"\r\n\r\n")
            assert client.read_response()[0] == status


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \x00\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        handshake("localhost", "Host: evil.example"),
        handshake("localhost", "Origin: http://localhost", "Origin: http://evil.example"),
        handshake().replace(b"Sec-WebSocket-Key", b"X-Key"),
        handshake("localhost", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
        handshake().replace(b"GET /", b"GET \xff\xfe/"),
    ],
)
def test_a_request_that_makes_no_sense(plain: Running, request_bytes: bytes) -> None:
    """A client error and a log line."""
    with RawClient(plain.url) as client:
        client.send(request_bytes)
        status, _, body = client.read_response()
        assert status in (400, 405), status
        assert body
    check_alive(plain)


def test_another_version_of_the_protocol(plain: Running) -> None:
    """Status 426 says which version is spoken here (section 4.4)."""
    with RawClient(plain.url) as client:
        client.send(handshake().replace(b"Version: 13", b"Version: 8"))
        status, head, _ = client.read_response()
    assert status == 426
    assert "Sec-WebSocket-Version: 13" in head


def test_clients_that_leave_without_a_word() -> None:
    """Port scanners and crashed clients: no reply, no complaint, no connection left."""
    with running() as server:
        for sent in (b"", b"GET /", handshake(), handshake() + frame(TEXT, "x")[:3]):
            for leave in (RawClient.finish, RawClient.reset):
                with RawClient(server.url) as client:
                    client.send(sent)
                    leave(client)
        check_alive(server)
        assert "error" not in server.log


@pytest.fixture
def many_files() -> Iterator[None]:
    """Enough file descriptors for thousands of sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_5000_half_open_handshakes(many_files: None) -> None:
    """A good client still connects, and they are all gone after their time."""
    with running("--open-timeout", "3", "--quiet") as server, contextlib.ExitStack() as stack:
        half_open = [stack.enter_context(RawClient(server.url)) for _ in range(5000)]
        for client in half_open:
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        check_alive(server)
        for client in half_open:
            assert client.read_head().startswith("HTTP/1.1 408 ")
