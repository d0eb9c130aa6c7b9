"""Connections that die in the middle: opened again, and every request answered once."""

import asyncio
import json
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Event, State
from websockets.server import ServerProtocol

from tests.cli_client import liars
from tests.cli_client.liars import at, reply_to, serving
from tests.cli_client.sending import interrupt, report, reported, send, sending, wait_for_progress
from tests.conftest import ServerProcess


@pytest.mark.parametrize("connections", [1, 4])
def test_a_server_killed_and_started_again_costs_no_request(
    server: ServerProcess, connections: int
) -> None:
    with sending(server.url, "-n", 10_000, "-r", 8_000, "-c", connections) as sender:
        said = wait_for_progress(sender, 2_000)
        server.kill()
        server.start()
        _, rest = sender.communicate(timeout=60)
    done = reported(sender.returncode, said + rest)
    assert done.status == 0, done.report
    assert (done.report["verdict"], done.faults) == ("recovered", {})
    assert done.report["ledger"]["verified"] == 10_000
    # One that is back first may answer for all.
    assert 1 <= done.report["attempts"]["reconnects"] <= connections
    assert done.report["attempts"]["resent"] == done.report["attempts"]["in_flight_when_lost"]
    assert {"by": "network", "code": 1006} in [
        {"by": close["by"], "code": close["code"]} for close in done.report["connections"]["closes"]
    ]


def cut_once(after: str) -> liars.Handler:
    """Return a right handler that cuts the connection, once, in place of a reply."""
    cut = threading.Event()

    async def lie(websocket: liars.ServerConnection, request: str) -> None:
        if cut.is_set():
            await websocket.send(reply_to(request))
        else:
            cut.set()
            websocket.transport.abort()

    return at(after, lie)


def test_what_was_in_flight_is_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with serving(cut_once("Request 50")) as url:
        done = report(url, "-n", 100, "-w", 1, "--ledger", path)
    assert (done.status, done.faults) == (0, {})
    assert done.report["attempts"] == {"reconnects": 1, "in_flight_when_lost": 1, "resent": 1}
    lines = {line["request"]: line for line in map(json.loads, path.read_text().splitlines())}
    assert len(lines) == 100
    for request, line in lines.items():
        assert line["attempt"] == (2 if request == 50 else 1)
        assert line["connection"] == (1 if request < 50 else 2)


def test_without_resending_what_was_in_flight_is_missing() -> None:
    with serving(cut_once("Request 50")) as url:
        done = report(url, "-n", 100, "-w", 1, "--no-resend")
    assert done.status == 1
    assert done.faults == {"missing": 1}
    assert done.report["ledger"]["verified"] == 99
    assert "Request 50 got no reply" in done.errors
    assert done.report["attempts"] == {"reconnects": 1, "in_flight_when_lost": 1, "resent": 0}


def test_a_request_that_always_kills_its_connection_is_given_up() -> None:
    with serving(at("Request 50", liars.cut)) as url:
        done = report(url, "-n", 100, "-w", 1, "--retries", 2)
    assert done.status == 1
    assert done.faults == {"missing": 1, "never_sent": 49}
    assert done.report["attempts"]["resent"] == 2


def test_without_retries_the_first_end_is_the_last() -> None:
    with serving(at("Request 50", liars.close)) as url:
        done = report(url, "-n", 100, "-w", 1, "--retries", 0)
    assert done.faults == {"missing": 1, "never_sent": 49}
    assert done.report["connections"]["opened"] == 1
    assert "the server closed the connection with code 1011 out of numbers" in done.errors


@pytest.mark.parametrize("code", [1008, 1009])
def test_a_server_that_refuses_what_it_is_sent_is_not_asked_again(code: int) -> None:
    async def refuse(websocket: liars.ServerConnection, request: str) -> None:
        await websocket.close(code, "not that")

    with serving(at("Request 5", refuse)) as url:
        done = report(url, "-n", 10, "-w", 1)
    assert done.status == 1
    assert done.faults == {"missing": 1, "never_sent": 4}
    assert done.report["connections"]["opened"] == 1
    assert f"with code {code} not that" in done.errors


def test_a_server_that_does_not_come_back_ends_the_run(server: ServerProcess) -> None:
    with sending(server.url, "-n", 100_000, "-r", 5_000, "--retries", 2) as sender:
        said = wait_for_progress(sender, 500)
        server.kill()
        _, rest = sender.communicate(timeout=60)
    done = reported(sender.returncode, said + rest)
    assert done.status == 1
    assert "connection refused" in done.errors
    assert done.report["ledger"]["never_sent"] > 0


def test_silence_with_a_pong_is_a_missing_reply() -> None:
    with serving(at("Request 5", liars.nothing)) as url:
        done = report(url, "-n", 10, "-w", 1, "-t", 0.4)
    assert done.faults == {"missing": 1}
    assert done.report["connections"]["opened"] == 1
    assert "Request 5 got no reply: no reply came for 0.4 s" in done.errors


def test_silence_without_a_pong_is_a_dead_connection() -> None:
    silenced = threading.Event()

    async def go_deaf(websocket: liars.ServerConnection, request: str) -> None:
        if silenced.is_set():
            await websocket.send(reply_to(request))
        else:
            silenced.set()
            websocket.transport.pause_reading()  # type: ignore[attr-defined]
            await websocket.wait_closed()

    with serving(at("Request 5", go_deaf)) as url:
        done = report(url, "-n", 10, "-w", 1, "-t", 0.4)
    assert (done.status, done.faults) == (0, {})
    assert done.report["attempts"] == {"reconnects": 1, "in_flight_when_lost": 1, "resent": 1}


async def take_long(websocket: liars.ServerConnection) -> None:
    """Answer each request after a while."""
    async for message in websocket:
        await asyncio.sleep(0.02)
        await websocket.send(reply_to(message))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows stops no process")
def test_a_sender_that_was_stopped_blames_nobody_for_the_silence() -> None:
    # Stopped at any moment, the sender waits for a reply: it does hardly anything else.
    with serving(take_long) as url, sending(url, "-n", 100, "-w", 1, "-t", 0.5) as sender:
        said = wait_for_progress(sender, 10)
        sender.send_signal(signal.SIGSTOP)
        time.sleep(1.0)  # what is awaited is that time goes by
        sender.send_signal(signal.SIGCONT)
        _, rest = sender.communicate(timeout=60)
    done = reported(sender.returncode, said + rest)
    assert (done.status, done.faults) == (0, {})
    assert done.report["connections"]["opened"] == 1
    # The machine may have held it up too, for less long.
    longest = max(done.report["stalls"], key=lambda stall: stall["length_s"])
    assert 0.9 < longest["length_s"] < 30
    assert longest["requests"] > 0
    with_stalls, without = (
        done.report[name]["max"] for name in ("latency_ms", "latency_without_stalls_ms")
    )
    assert with_stalls > 900 > without


def test_a_server_that_only_answers_pings_ends_the_run() -> None:
    async def only_read(websocket: liars.ServerConnection) -> None:
        async for _ in websocket:
            pass

    with serving(only_read) as url:
        done = report(url, "-n", 100, "-w", 4, "-t", 0.2, "--retries", 1)
    assert done.status == 1
    assert done.report["ledger"]["verified"] == 0


def test_a_connection_refused_after_the_first_is_told(server: ServerProcess) -> None:
    server.kill()
    server.options = ("--max-connections", "3")
    server.start()
    done = report(server.url, "-n", 1000, "-c", 5, "--retries", 1)
    assert done.status == 1
    assert done.report["ledger"]["verified"] == 1000
    assert "a connection could not be opened" in done.errors
    assert "HTTP 503" in done.errors


def test_ctrl_c_while_the_server_is_gone_leaves_the_report(server: ServerProcess) -> None:
    with sending(server.url, "-n", 100_000, "-r", 5_000) as sender:
        said = wait_for_progress(sender, 500)
        server.kill()
        assert sender.stderr is not None
        said += sender.stderr.readline()
        done = interrupt(sender, said)
    assert done.report["interrupted"]


def test_a_port_where_nobody_answers_the_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"ws://127.0.0.1:{deaf.getsockname()[1]}/"

        done = send(url, "--connect-timeout", "300ms")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{url} did not answer the handshake in 0.3 s; is it a WebSocket server?"
    ]


def test_a_handshake_that_fails_when_the_run_is_over_is_no_error() -> None:
    """Its connection was to be opened again; meanwhile the other one has had all the replies."""

    def exchange(connection: socket.socket, protocol: ServerProtocol) -> list[Event]:
        """Send what is due, and return what comes next."""
        connection.sendall(b"".join(protocol.data_to_send()))
        protocol.receive_data(connection.recv(2**16))
        return list(protocol.events_received())

    def accept() -> tuple[socket.socket, ServerProtocol]:
        connection, protocol = listener.accept()[0], ServerProtocol()
        (request,) = exchange(connection, protocol)
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        connection.sendall(b"".join(protocol.data_to_send()))
        return connection, protocol

    def serve() -> None:
        first, protocol = accept()
        second, other = accept()
        exchange(second, other)
        second.close()
        late, _ = listener.accept()
        with first, late:
            while protocol.state is not State.CLOSING:
                for event in exchange(first, protocol):
                    assert isinstance(event, Frame)
                    if event.opcode is Opcode.TEXT:
                        protocol.send_text(reply_to(bytes(event.data).decode()).encode())
            late.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            first.sendall(b"".join(protocol.data_to_send()))
            first.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        server = threading.Thread(target=serve)
        server.start()
        done = send(
            f"ws://127.0.0.1:{listener.getsockname()[1]}/", "-q", "-n", 10, "-c", 2, "-w", 1
        )
        server.join(10)
    assert done.returncode == 0, done.stderr
    assert "never retrieved" not in done.stderr
