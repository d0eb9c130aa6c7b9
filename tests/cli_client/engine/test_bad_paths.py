"""What a run reports of a path that fails, told by servers that fail as real ones do."""

import asyncio
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State

from cli_client.engine.run import Run
from cli_client.ledger.result import CloseKey, HandshakeKey, Result
from cli_client.ledger.verdict import judge
from cli_client.settings import Settings
from tests.certificates import make_pair
from tests.cli_client import liars
from tests.cli_client.liars import at, reply_to, serving
from tests.cli_client.raw import RawConnection, RawHandler, raw_serving
from tests.cli_client.sending import report

PATIENT = 20.0


def run(url: str, **settings: Any) -> Result:
    """Do a run in this process."""
    return Run(Settings(url=url, **settings), lambda replies: None, lambda standing: True)()


def verdict(result: Result) -> str:
    return judge(result, checks_hold=True, strict=False).name


def failed(result: Result) -> Counter[HandshakeKey]:
    return Counter(
        {key: count for key, count in result.handshakes.items() if key.outcome == "failed"}
    )


def not_ended_by_us(result: Result) -> Counter[CloseKey]:
    return Counter({key: count for key, count in result.closes.items() if not key.ended_by_us})


async def answer(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(reply_to(message))


class Refusing:
    """Refuses some handshakes, each with a status, as a proxy before the server would."""

    def __init__(self, status: int, refuses: Callable[[int], bool]) -> None:
        self.tried = 0
        self._status = status
        self._refuses = refuses

    def __call__(self, websocket: ServerConnection, request: Request) -> Response | None:
        number, self.tried = self.tried, self.tried + 1
        if not self._refuses(number):
            return None
        response = websocket.respond(self._status, "not now\n")
        response.headers["Server"] = "nginx"
        return response


def answer_close_with(code: int, reason: str, *, keep: bool = False) -> RawHandler:
    """Return a handler that answers the first request, and then our Close in this way."""

    async def handle(raw: RawConnection) -> None:
        await raw.shake_hands()
        raw.send(Opcode.TEXT, reply_to((await raw.receive()).decode()).encode())
        await raw.receive()
        raw.send(Opcode.CLOSE, b"" if code == 1005 else Close(code, reason).serialize())
        if keep:
            await raw.reader.read()

    return handle


# Handshakes and connections.


@pytest.mark.parametrize("status", [503, 429])
def test_handshakes_that_fail_and_are_tried_again_are_counted(status: int) -> None:
    refusing = Refusing(status, lambda number: number % 2 == 1)
    with serving(answer, process_request=refusing) as url:
        result = run(url, messages=500, connections=10)
    assert result.fates["verified"] == 500
    assert failed(result) == {
        HandshakeKey("failed", "handshake", f"HTTP {status} from nginx"): refusing.tried // 2
    }
    assert result.handshakes[HandshakeKey("opened")] == 10
    assert verdict(result) == "recovered"


def test_a_handshake_that_is_under_way_when_the_run_ends_is_counted_and_no_failure() -> None:
    async def open_first_alone(websocket: ServerConnection, request: Request) -> None:
        nonlocal tried
        tried += 1
        if tried > 1:
            await websocket.wait_closed()

    tried = 0
    with serving(answer, process_request=open_first_alone) as url:
        result = run(url, connections=3, max_time=0.5, connect_timeout=PATIENT)
    assert result.handshakes == {HandshakeKey("opened"): 1, HandshakeKey("unfinished"): 2}
    assert tried == 3


def test_a_wrong_accept_header_is_a_breach() -> None:
    def respond(websocket: ServerConnection, request: Request, response: Response) -> None:
        if not broken.is_set() and first.is_set():
            broken.set()
            del response.headers["Sec-WebSocket-Accept"]
            response.headers["Sec-WebSocket-Accept"] = "d3Jvbmc="
        first.set()

    first, broken = threading.Event(), threading.Event()
    with serving(answer, process_response=respond) as url:
        result = run(url, messages=100, connections=2)
    assert result.fates["verified"] == 100
    assert result.attempts["breaches"] == 1
    assert verdict(result) == "fail"


def test_connections_that_close_and_are_refused_afterwards_are_not_a_pass() -> None:
    async def close_soon(websocket: ServerConnection) -> None:
        nonlocal opened
        opened += 1
        if opened < 5:
            asyncio.get_running_loop().call_later(0.2, asyncio.ensure_future, websocket.close(1001))
        await answer(websocket)

    opened = 0
    refusing = Refusing(503, lambda number: number >= 5)
    with serving(close_soon, process_request=refusing) as url:
        result = run(url, messages=None, duration=0.6, rate=100.0, connections=5)
    assert sum(not_ended_by_us(result).values()) == 4
    assert sum(failed(result).values()) >= 4
    assert verdict(result) in ("recovered", "fail")


def test_when_not_even_the_first_connection_opens_the_result_says_what_was_tried() -> None:
    with serving(answer, process_request=Refusing(503, lambda number: True)) as url:
        result = run(url, messages=10)
    assert result.fates == {"requests": 10, "never_sent": 10} | dict.fromkeys(
        ("verified", "wrong", "missing"), 0
    )
    assert failed(result) == {HandshakeKey("failed", "handshake", "HTTP 503 from nginx"): 1}
    assert verdict(result) == "fail"
    assert "HTTP 503" in result.errors.listed()[0][0]


def test_a_close_that_is_not_answered_is_counted() -> None:
    async def go_deaf(websocket: ServerConnection) -> None:
        await websocket.send(reply_to(await websocket.recv()))
        websocket.transport.pause_reading()  # type: ignore[attr-defined]
        await websocket.wait_closed()

    with serving(go_deaf) as url:
        result = run(url, messages=1, close_timeout=0.2)
    assert result.attempts["unanswered_closes"] == 1
    assert [key.words for key in result.closes] == ["the server did not answer our Close"]
    assert verdict(result) == "recovered"


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [
        (1000, "", ""),
        (1005, "", ""),
        (1000, "bye", "; the server answered our Close with code 1000 bye"),
        (1011, "disk full", "; the server answered our Close with code 1011 disk full"),
        (4001, "", "; the server answered our Close with code 4001"),
    ],
)
def test_what_a_server_answers_our_close_with_is_told(code: int, reason: str, said: str) -> None:
    with raw_serving(answer_close_with(code, reason)) as url:
        result = run(url, messages=1)
    assert [(key.words, key.ended_by_us) for key in result.closes] == [
        (f"closed in order{said}", True)
    ]
    assert verdict(result) == "pass"


def test_a_server_that_keeps_the_tcp_connection_after_its_close_is_named() -> None:
    with raw_serving(answer_close_with(1000, "", keep=True)) as url:
        result = run(url, messages=1, close_timeout=0.2)
    assert [key.words for key in result.closes] == [
        "closed in order; the server kept the TCP connection open"
    ]


def test_who_ended_a_connection_and_why_is_told() -> None:
    async def fin(websocket: ServerConnection, request: str) -> None:
        websocket.transport.close()

    async def reset(websocket: ServerConnection, request: str) -> None:
        connected = websocket.transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        websocket.transport.abort()

    for end, words in (
        (fin, "the peer closed the connection without a Close frame"),
        (reset, "the connection was reset by the peer"),
        (liars.close, "the server closed the connection with code 1011 out of numbers"),
        (liars.broken_frame, "the server broke the protocol"),
    ):
        with serving(once(at, "Request 5", end)) as url:
            result = run(url, messages=10, window=1)
        (key,) = not_ended_by_us(result)
        assert key.words.startswith(words)
        assert result.fates["verified"] == 10


def test_a_connection_that_ends_before_its_first_request_was_not_idle() -> None:
    async def refuse(websocket: ServerConnection) -> None:
        await websocket.close(4401, "who are you")

    with serving(refuse) as url:
        result = run(url, messages=1, greeting="/hi", retries=0)
    (key,) = failed(result)
    assert key.reason == (
        "the greeting (/hi) did not come: the server closed the connection with code 4401 "
        "who are you"
    )


def test_the_peer_is_not_blamed_where_an_interrupted_run_has_no_time_for_a_close_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cli_client.engine.run.INTERRUPTED_CLOSE_TIMEOUT", 0)

    async def say_nothing(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    with serving(say_nothing) as url:
        settings = Settings(url=url, messages=1)
        result = Run(settings, lambda replies: None, lambda standing: False)()
    assert not not_ended_by_us(result)
    assert {key.words for key in result.closes} == {"interrupted"}
    assert result.attempts["unanswered_closes"] == 0


def test_what_comes_behind_the_close_frame_is_a_breach() -> None:
    async def close_and_go_on(websocket: ServerConnection, request: str) -> None:
        websocket.transport.write(b"\x88\x02\x03\xe8" + b"\x81\x01x")

    with serving(once(at, "Request 5", close_and_go_on)) as url:
        result = run(url, messages=10, window=1)
    (key,) = not_ended_by_us(result)
    assert (key.by, key.code) == ("server", 1000)
    assert key.reason == "it broke the protocol: a frame behind the Close frame"
    assert result.attempts["breaches"] == 1
    assert verdict(result) == "fail"


def test_a_flood_from_the_first_moment_on_does_not_keep_a_run_from_its_end() -> None:
    async def flood(websocket: ServerConnection) -> None:
        while websocket.state is State.OPEN:
            if websocket.transport.get_write_buffer_size() < 2**20:
                websocket.transport.write(b"\x81\x08unwanted" * 100_000)
            await asyncio.sleep(0)

    with serving(flood) as url:
        result = run(url, messages=10, max_time=0.2, close_timeout=0.2)
    assert result.fates["verified"] == 0
    # About 25,000 in a turn of the event loop, and 32 times as many if it read all there is.
    assert result.messages["unsolicited"] < 8_000_000


def once(
    make: Callable[[str, Any], liars.Handler],
    request: str,
    lie: Callable[[ServerConnection, str], Any],
) -> liars.Handler:
    """Return a handler that lies once."""
    done = threading.Event()

    async def lie_once(websocket: ServerConnection, message: str) -> None:
        if done.is_set():
            await websocket.send(reply_to(message))
        else:
            done.set()
            await lie(websocket, message)

    return make(request, lie_once)


def test_an_idle_connection_that_is_closed_is_called_idle() -> None:
    async def close_idle(websocket: ServerConnection) -> None:
        nonlocal served
        served += 1
        if served == 1:
            await websocket.send(reply_to(await websocket.recv()))
            await asyncio.sleep(1.2)
            await websocket.close(1000)
        else:
            await answer(websocket)

    served = 0
    with serving(close_idle) as url:
        result = run(url, messages=2, rate=0.5)
    (key,) = not_ended_by_us(result)
    assert key.words.startswith("the server closed the connection with code 1000; idle for 1.")
    assert verdict(result) == "recovered"


# What is owed, and when it is over.


def test_a_rate_owes_what_is_due_before_the_duration_is_over() -> None:
    async def freeze(websocket: ServerConnection) -> None:
        async for message in websocket:
            if not frozen.is_set() and message == "Request 40":
                frozen.set()
                await asyncio.sleep(0.3)
            await websocket.send(reply_to(message))

    frozen = threading.Event()
    with serving(freeze) as url:
        result = run(url, messages=None, duration=0.5, rate=200.0, window=8)
    assert result.fates["requests"] == result.fates["verified"] == 100
    assert verdict(result) == "pass"
    assert result.silence_max >= 0.29


def test_what_cannot_be_sent_in_time_is_never_sent() -> None:
    async def freeze(websocket: ServerConnection) -> None:
        websocket.transport.pause_reading()  # type: ignore[attr-defined]
        await websocket.wait_closed()

    with serving(freeze) as url:
        began = time.monotonic()
        result = run(
            url, messages=None, duration=0.5, rate=200.0, window=8, timeout=0.4, close_timeout=0.2
        )
        lasted = time.monotonic() - began
    assert result.fates["requests"] == 100
    assert result.fates["verified"] == 0
    assert result.fates["never_sent"] > 0
    assert verdict(result) == "fail"
    assert lasted < 0.5 + 2 * 0.4 + 0.2 + PATIENT


def test_a_black_hole_does_not_outlast_the_duration_by_more_than_two_time_outs() -> None:
    async def swallow(websocket: ServerConnection) -> None:
        async for _ in websocket:
            pass

    with serving(swallow) as url:
        result = run(url, messages=None, duration=0.5, timeout=0.3, close_timeout=0.2)
    # In seconds of the run: the machine may be slow, but the run knows its own time.
    assert len(result.seconds) <= 3
    assert result.fates["verified"] == 0


def test_a_duplicate_for_ever_does_not_keep_a_run_from_its_end() -> None:
    async def repeat(websocket: ServerConnection) -> None:
        first = reply_to(await websocket.recv())
        await websocket.recv()
        while True:
            await websocket.send(first)
            await asyncio.sleep(0.05)

    with serving(repeat) as url:
        result = run(url, messages=2, timeout=0.3, retries=1, close_timeout=0.2)
    assert result.fates["verified"] >= 1
    assert result.fates["missing"] >= 1
    assert result.messages["duplicate"] >= 2


def test_a_server_that_only_pings_and_takes_nothing_is_given_up() -> None:
    async def flood(raw: RawConnection) -> None:
        await raw.shake_hands()
        while not raw.writer.is_closing():
            for _ in range(1000):
                raw.send(Opcode.PING, bytes(125))
            await raw.writer.drain()
            await asyncio.sleep(0.001)

    with raw_serving(flood) as url:
        result = run(url, messages=1000, retries=0, timeout=0.3, max_time=PATIENT)
    (key,) = result.closes
    assert key.words in (
        "we gave up: the server took nothing for 0.3 s",
        "we gave up: no reply came for 0.3 s, nor a pong",
    )
    assert verdict(result) == "fail"


def test_max_time_bounds_any_run() -> None:
    with serving(at("Request 5", liars.nothing)) as url:
        result = run(url, messages=100, window=1, max_time=0.4)
    assert result.fates["verified"] == 5
    assert result.fates["missing"] == 1
    assert result.fates["never_sent"] == 94
    assert "--max-time 0.4 s was over" in str(result.errors.listed())


def test_the_time_out_is_not_in_the_elapsed_time() -> None:
    with serving(at("Request 99", liars.nothing)) as url:
        result = run(url, messages=100, timeout=1.0)
    assert result.fates["missing"] == 1
    assert result.elapsed < 1.0


def test_the_processor_is_measured_over_the_same_time_as_what_it_is_divided_by() -> None:
    with serving(at("Request 9", liars.nothing)) as url:
        done = report(url, "-n", 10, "-t", "0.5s")
    assert done.faults == {"missing": 1}
    assert done.report["sender"]["cpu"] <= 2


@pytest.mark.parametrize("code", [1000, 1008, 1012])
@pytest.mark.parametrize("retries", [0, 3])
def test_a_close_in_the_same_read_as_the_last_reply_gives_nothing_up(
    code: int, retries: int
) -> None:
    """The run is over by then: nothing is left for which the connection would be needed."""

    async def answer_and_close(connection: RawConnection) -> None:
        await connection.shake_hands()
        requests = [await connection.receive() for _ in range(10)]
        replies = [Frame(Opcode.TEXT, request + b": 7") for request in requests]
        frames = [*replies, Frame(Opcode.CLOSE, code.to_bytes(2, "big"))]
        connection.writer.write(b"".join(frame.serialize(mask=False) for frame in frames))
        await connection.reader.read()

    with raw_serving(answer_and_close) as url:
        done = report(url, "-n", 10, "-w", 10, "--retries", retries)
    assert (done.report["verdict"], done.status) == ("recovered", 0)
    assert done.report["connections"]["given_up"] == 0
    (close,) = done.report["connections"]["closes"]
    assert (close["by"], close["code"]) == ("server", code)


def test_bytes_that_move_keep_a_request_waiting() -> None:
    async def drip(websocket: ServerConnection) -> None:
        message = str(await websocket.recv())
        payload = reply_to(message).encode()
        head = b"\x81\x7e" + len(payload).to_bytes(2, "big")
        data = head + payload
        for start in range(0, len(data), 4000):
            websocket.transport.write(data[start : start + 4000])
            await asyncio.sleep(0.1)
        await websocket.wait_closed()

    with serving(drip) as url:
        result = run(url, messages=1, size=60_000, timeout=0.5, window=1)
    assert (result.fates["verified"], verdict(result)) == (1, "pass")
    assert result.latencies.summary()["max"] > 1000  # type: ignore[index]


# What is sent again.


def test_a_drain_of_all_connections_costs_no_request() -> None:
    async def drain(websocket: ServerConnection) -> None:
        nonlocal opened
        opened += 1
        if opened <= 30:
            loop = asyncio.get_running_loop()
            loop.call_later(0.3 + 0.02 * opened, websocket.transport.close)
        async for message in websocket:
            await asyncio.sleep(0.005)
            await websocket.send(reply_to(message))

    opened = 0
    with serving(drain) as url:
        result = run(url, messages=6000, connections=30, window=8, retries=3)
    assert result.fates["verified"] == 6000
    assert verdict(result) == "recovered"


@pytest.mark.parametrize("code", [0, 1001, 1008, 1011])
def test_a_poison_message_takes_no_others_with_it(code: int) -> None:
    async def die(websocket: ServerConnection, request: str) -> None:
        if code:
            await websocket.close(code)
        else:
            websocket.transport.abort()

    with serving(at("Request 20", die)) as url:
        result = run(url, messages=200, window=64, retries=3)
    assert result.fates["verified"] == 199
    assert result.fates["missing"] == 1
    assert "Request 20 got no reply" in str(result.errors.listed())


def test_pushes_between_slow_replies_are_unsolicited_and_nothing_is_wrong() -> None:
    async def push(websocket: ServerConnection) -> None:
        async for message in websocket:
            for _ in range(3):
                await websocket.send("tick")
                await asyncio.sleep(0.01)
            await websocket.send(message)

    with serving(push) as url:
        result = run(url, messages=30, window=4, expect="echo")
    assert result.fates["verified"] == 30
    assert result.messages["unsolicited"] == 90
    assert result.messages["duplicate"] == 0


def test_what_was_asked_for_and_not_granted_stands_beside_the_verdict() -> None:
    with serving(answer) as url:
        result = run(url, messages=1, compress=True, subprotocols=("chat",))
    assert "compression was asked for and not granted" in result.unverified
    assert "a subprotocol was asked for and none was granted" in result.unverified


def test_a_certificate_that_is_not_verified_stands_beside_the_verdict(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    with serving(answer, context) as url:
        result = run(url, messages=1, insecure=True)
    assert "the server's certificate was not verified (-k)" in result.unverified


def test_any_reply_is_counted_and_not_matched() -> None:
    with serving(answer) as url:
        result = run(url, messages=1, expect="any")
    assert "replies were counted, not matched to their requests" in result.unverified
