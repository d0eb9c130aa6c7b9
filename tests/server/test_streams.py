"""Odd standard streams: the server serves and stops whatever they are."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.raw import RawClient
from wire.address import find_announced_url
from wire.exchange import check_reply


def close(*descriptors: int) -> Callable[[], None]:
    def close_them() -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    return close_them


def serve_and_stop(number: signal.Signals = signal.SIGTERM, **streams: object) -> int:
    """Start a server, exchange a message, stop the server; return its exit status."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ("--host", "127.0.0.1", "--port", str(port))
    server = subprocess.Popen([sys.executable, "-m", "server", *options], **streams)  # type: ignore[call-overload]
    try:
        with connect(port) as client:
            check_reply(b"Request 1", client.open().ask("Request 1").encode())
            server.send_signal(number)
            client.close_in_turn()
        return int(server.wait(20))
    finally:
        server.kill()
        server.wait()


def connect(port: int) -> RawClient:
    deadline = time.monotonic() + 20
    while True:
        try:
            return RawClient(("127.0.0.1", port))
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the server does not serve"
            time.sleep(0.02)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_standard_streams_that_are_closed(closed: tuple[int, ...]) -> None:
    assert serve_and_stop(preexec_fn=close(*closed)) == 0


def test_a_device_for_standard_error_that_is_full() -> None:
    with Path("/dev/full").open("wb") as full:
        assert serve_and_stop(stderr=full) == 0


def test_standard_error_without_a_reader() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert serve_and_stop(stderr=writing) == 0
    finally:
        os.close(writing)


def test_a_pipe_for_standard_error_that_is_full() -> None:
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, bytes(4096))
        except BlockingIOError:
            os.set_blocking(writing, True)
        assert serve_and_stop(stderr=writing) == 0
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_each_signal_to_stop_closes_in_order(number: signal.Signals) -> None:
    """A terminal that is closed sends SIGHUP."""
    assert serve_and_stop(number, stderr=subprocess.DEVNULL) == 0


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    """As under ``nohup``: the server goes on until another signal."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "server", "--host", "127.0.0.1", "--port", str(port)],
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN) and None,
    )
    try:
        with connect(port) as client:
            client.open()
            server.send_signal(signal.SIGHUP)
            client.ask("Request 1")
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.wait()


def test_stop_on_eof_needs_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server", "--port", "0", "--stop-on-eof"],
        capture_output=True,
        text=True,
        preexec_fn=close(0),
        timeout=20,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--stop-on-eof" in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_standard_input_that_does_not_block(workers: str) -> None:
    """That nothing has come yet is not its end."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    command = [sys.executable, "-m", "server", "--port", "0", "--stop-on-eof"]
    with subprocess.Popen(
        [*command, "--workers", workers], stdin=reading, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        url = find_announced_url(server.stderr.readline())
        assert url is not None
        os.write(writing, b"not the end")
        with RawClient(url) as client:
            check_reply(b"Request 1", client.open().ask("Request 1").encode())
            # It would have stopped before this client came.
            check_reply(b"Request 2", client.ask("Request 2").encode())
            os.close(writing)
            client.close_in_turn()
        assert server.wait(20) == 0
    os.close(reading)


def test_a_standard_error_that_does_not_block() -> None:
    """What does not fit into it waits for a reader, as it does where it blocks."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    lines = [f"{number}{'x' * 3000}" for number in range(100)]
    code = (
        "import logging\nfrom server.logs import logging_to_stderr\n"
        "with logging_to_stderr(logging.INFO, as_json=False) as say:\n"
        "    for number in range(100): say(f\"{number}{'x' * 3000}\")\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=writing), open(reading) as log:
        os.close(writing)
        assert log.read().splitlines() == lines


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupt_while_it_starts(workers: str) -> None:
    """In the middle of its imports there is no traceback either."""
    command = [sys.executable, "-X", "importtime", "-m", "server", "--port", "0"]
    with subprocess.Popen(
        [*command, "--workers", workers], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        while not server.stderr.readline().rstrip().endswith(" asyncio.constants"):
            pass
        server.send_signal(signal.SIGINT)
        said = server.stderr.read()
        assert server.wait(20) == 130
    assert "Traceback" not in said
