"""Silent clients: a ping, 1011 without a sign of life, and the end of one that does not close."""

import contextlib

from tests.server.raw import (
    PING,
    PONG,
    TEXT,
    close_code,
    frame,
)
from tests.server.running import running


def test_a_client_that_answers_no_ping() -> None:
    """Close code 1011 and a log line."""
    with running("--ping-interval", "0.2", "--pong-timeout", "0.2") as server:
        with server.connect() as client:
            received = client.read_frame()
            assert received is not None
            assert received.opcode == PING
            assert close_code(client.read_frame()) == 1011
            assert client.read_frame() is None
        server.wait_for_log("no pong")


def test_a_client_that_answers_pings_stays() -> None:
    """However many intervals pass, and a request is a sign of life as well."""
    with running("--ping-interval", "0.1", "--pong-timeout", "0.3") as server:
        with server.connect() as client:
            for i in range(5):
                ping = client.read_frame()
                assert ping is not None
                assert ping.opcode == PING
                client.send(frame(PONG, ping.payload) if i % 2 else frame(TEXT, "here"))
                if not i % 2:
                    answered = client.read_frame()
                    assert answered is not None
                    assert answered.opcode == TEXT
        assert "no pong" not in server.log


def test_a_client_that_does_not_close_its_end() -> None:
    """After the close code it has the close time-out, then it is cut off, even if it goes on."""
    with running("--close-timeout", "0.3") as server, server.connect() as client:
        client.send(frame(3))
        assert close_code(client.read_frame()) == 1002
        assert client.read_frame() is None
        with contextlib.suppress(ConnectionError):
            while True:  # until it is reset
                client.send(frame(TEXT, "x" * 10_000))
