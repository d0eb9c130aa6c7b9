"""Stopping: in order, in bounded time, with what was read answered."""

import selectors
import signal
import socket
import time

import pytest

from tests.server.raw import CLOSE, TEXT, close_code, frame, parse_frame
from tests.server.running import running
from wire.exchange import check_reply

STOP_SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_stops_it(number: signal.Signals) -> None:
    """Exit status 0; clients are told with close code 1001; nothing else is said."""
    with running("--quiet") as server:
        with server.connect() as client:
            client.ask("Request 1")
            server.signal(number)
            received = client.read_frame()
            assert close_code(received) == 1001
            assert received is not None
            client.send(frame(CLOSE, received.payload))
            assert client.read_frame() is None
        assert server.wait() == 0
    assert server.log == server.announcement


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_stops_a_server_without_clients(number: signal.Signals) -> None:
    """Nothing to wait for."""
    with running() as server:
        server.signal(number)
        assert server.wait() == 0


def test_the_end_of_standard_input_stops_it() -> None:
    """``--stop-on-eof``, for a program that starts a server of its own."""
    with running() as server, server.connect() as client:
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert close_code(client.read_frame()) == 1001
        client.send(frame(CLOSE, b"\x03\xe9"))
        assert client.read_frame() is None
        client.socket.close()
        assert server.wait() == 0


def test_it_stops_accepting() -> None:
    """From the signal on nobody else gets in, while the old clients may still close."""
    with running() as server, server.connect() as client:
        server.signal(signal.SIGTERM)
        assert close_code(client.read_frame()) == 1001
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        client.send(frame(CLOSE, b"\x03\xe9"))
        assert client.read_frame() is None
        client.socket.close()
        assert server.wait() == 0


def test_while_it_drains_it_serves_and_only_its_health_says_that_it_goes() -> None:
    """``--drain``: old and new clients get what they ask for; a second signal ends that."""
    with running("--drain", "600", "--grace", "600") as server, server.connect() as client:
        assert server.get("/healthz")[0] == 200
        server.signal(signal.SIGTERM)
        server.wait_for_log("draining for 600 s")
        assert server.get("/healthz")[0] == 503
        assert server.get("/version")[0] == 200
        client.ask("Request 1")
        with server.connect() as late:
            late.ask("Request 2")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


@pytest.mark.parametrize("options", [(), ("--workers", "2")])
def test_after_the_drain_it_stops(options: tuple[str, ...]) -> None:
    """As it does at once without one."""
    with running("--drain", "0.3", *options) as server, server.connect() as client:
        server.signal(signal.SIGTERM)
        received = client.read_frame()
        assert close_code(received) == 1001
        assert received is not None
        client.send(frame(CLOSE, received.payload))
        assert client.read_frame() is None
        client.socket.close()
        assert server.wait() == 0


def test_a_client_that_does_not_close_is_cut_off_after_the_grace() -> None:
    """``--grace`` bounds the stop, whatever the time for a single close."""
    with running("--grace", "0.3", "--close-timeout", "60") as server:
        with server.connect() as client:
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
            assert close_code(client.read_frame()) == 1001
        assert "cut off" in server.log


def test_a_second_signal_ends_it_at_once() -> None:
    """Someone at a terminal presses Ctrl-C again."""
    with running("--grace", "600", "--close-timeout", "600") as server, server.connect() as client:
        server.signal(signal.SIGINT)
        assert close_code(client.read_frame()) == 1001
        server.signal(signal.SIGINT)
        server.wait()


def test_half_open_handshakes_do_not_hold_up_the_stop() -> None:
    """Someone who has not said what he wants is no client."""
    with running("--grace", "600", "--open-timeout", "600") as server:
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
        silent[0].sendall(b"GET / HTTP/1.1\r\nHost:")
        with server.connect() as client:
            client.ask("Request 1")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        for connection in silent:
            connection.close()


def test_what_was_read_is_answered() -> None:
    """A client that sends without pause gets the reply to every request that was read.

    Replies come without a gap, in order; then the Close; and the server reads no more.
    """
    with running() as server, server.connect() as client:
        requests = b"".join(frame(TEXT, f"Request {i}") for i in range(200_000))
        client.socket.setblocking(False)
        sent, received, count, signalled = 0, bytearray(), 0, False
        closed: int | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while closed is None:
                for _, events in selector.select(20):
                    if events & selectors.EVENT_WRITE and sent < len(requests):
                        sent += client.socket.send(requests[sent : sent + 2**14])
                    if events & selectors.EVENT_READ:
                        received += client.socket.recv(2**16)
                at = 0
                while (found := parse_frame(received, at)) is not None:
                    reply, at = found
                    if reply.opcode == CLOSE:
                        closed = close_code(reply)
                        break
                    check_reply(f"Request {count}".encode(), reply.payload)
                    count += 1
                del received[:at]
                if count > 1000 and not signalled:
                    server.signal(signal.SIGTERM)
                    signalled = True
        assert closed == 1001
        client.socket.setblocking(True)
        client.reset()
        assert server.wait() == 0


def test_1000_busy_clients_and_10_that_do_not_read() -> None:
    """Busy clients get all they are owed and 1001; the others end with the grace."""
    with running("--grace", "3", "--stall-timeout", "600") as server:
        busy = [server.connect() for _ in range(1000)]
        deaf = [server.connect(receive_buffer=4096) for _ in range(10)]
        for client in deaf:
            fill(client.socket)
        for round_number in range(3):
            for client in busy:
                client.send(frame(TEXT, f"Request {round_number}") * 10)
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        for client in busy:
            frames = list(client.close_in_turn())
            assert close_code(frames.pop()) == 1001
            for i, reply in enumerate(frames):
                check_reply(f"Request {i // 10}".encode(), reply.payload)
        assert server.wait() == 0
        # The promise is the bound: the grace, and what this busy machine adds to it.
        assert time.monotonic() - started < 3 + 10
        for client in busy + deaf:
            client.socket.close()
    assert "10 connections did not close in time" in server.log


def fill(connection: socket.socket) -> None:
    """Send requests until no more are taken."""
    connection.settimeout(0.2)
    data = frame(TEXT, "x" * 1000) * 100
    try:
        while True:
            connection.sendall(data)
    except TimeoutError:
        pass
