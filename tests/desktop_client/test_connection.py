"""The connection by itself: its states, its waits, without a window."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from PySide6.QtWidgets import QApplication
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from desktop_client import connection as module
from desktop_client.connection import Connection, Refused, State
from desktop_client.pairing import Arrival, Check, Kind
from desktop_client.state_line import Remedy, Step, next_step
from desktop_client.target import Target
from tests.conftest import ServerProcess
from tests.desktop_client.conftest import Run
from tests.desktop_client.scripted_server import serving
from tests.desktop_client.waiting import until


class Watched:
    """A connection with a record of the states it went through and what it said."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.states: list[State] = [self.connection.state]
        self.arrivals: list[Arrival] = []
        self.events: list[str] = []
        self.reasons_of_connecting: list[str] = []
        self.failures: list[str] = []
        self.connection.changed.connect(self._note)
        self.connection.arrived.connect(self.arrivals.append)
        self.connection.logged.connect(
            lambda entry: self.events.append(entry.message) if entry.is_event else None
        )
        self.connection.failed.connect(self.failures.append)

    @property
    def answered(self) -> list[str | bytes]:
        """The requests that have had their replies."""
        return [each.waiting.request for each in self.arrivals if each.waiting is not None]

    def _note(self) -> None:
        if self.connection.state is State.CONNECTING:
            self.reasons_of_connecting.append(self.connection.reason)
        if self.connection.state is not self.states[-1]:
            self.states.append(self.connection.state)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Watched]:
    watched = Watched()
    watched.connection.open(Target(url))
    await until(lambda: watched.connection.state is State.CONNECTED)
    try:
        yield watched
    finally:
        await watched.connection.aclose()


def test_the_states_follow_in_order(qapp: QApplication, server_url: str, run: Run) -> None:
    async def scenario() -> None:
        async with connected(server_url) as watched:
            pass
        assert watched.states == [
            State.DISCONNECTED,
            State.CONNECTING,
            State.CONNECTED,
            State.CLOSING,
            State.DISCONNECTED,
        ]

    run(scenario())


def test_another_target_takes_the_place_of_the_first(
    server_url: str, server: ServerProcess, run: Run
) -> None:
    async def scenario() -> None:
        async with connected(server_url) as watched:
            connection = watched.connection
            connection.send("one")
            await until(lambda: watched.answered == ["one"])
            connection.open(Target("ws://127.0.0.1:1/"))
            connection.open(Target(server.url))
            await until(lambda: connection.state is State.CONNECTED)
            connection.send("three")
            await until(lambda: watched.answered == ["one", "three"])
            assert connection.target == Target(server.url)
            connection.close()
            with pytest.raises(Refused, match="no connection"):
                connection.send("two")

    run(scenario())


def test_the_waits_grow_with_jitter_and_can_be_skipped(
    unused_port: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)

    async def scenario() -> None:
        connection = Connection()
        waits: list[int] = []

        def note() -> None:
            if connection.seconds_to_next_try is not None:
                assert "no server at ws://localhost" in connection.reason
                waits.append(round(connection.seconds_to_next_try))
                asyncio.get_running_loop().call_soon(connection.try_now)

        connection.changed.connect(note)
        connection.open(Target(f"ws://localhost:{unused_port}/"))
        await until(lambda: len(waits) >= 7)
        connection.changed.disconnect(note)
        await connection.aclose()
        assert waits[:7] == [1, 2, 4, 8, 15, 15, 15]
        assert connection.failure is None

    run(scenario())


def test_a_time_out_ends_the_waiting_and_not_the_connection(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPLY_TIMEOUT", 0.2)

    async def scenario() -> None:
        async def answer_the_second(websocket: ServerConnection) -> None:
            await websocket.recv()
            await websocket.send(f"{await websocket.recv()!s}: 7")
            await websocket.wait_closed()

        async with serving(answer_the_second) as url, connected(url) as watched:
            watched.connection.send("Hello?")
            await until(lambda: watched.failures)
            assert watched.failures == ["no reply to “Hello?” in 0.2 s"]
            assert watched.connection.waiting == 0
            watched.connection.send("Still there?")
            await until(lambda: watched.answered == ["Still there?"])
            assert watched.connection.state is State.CONNECTED

    run(scenario())


@pytest.mark.parametrize(
    ("check", "messages", "kinds", "answered"),
    [
        (Check.NUMBER, ["one: 0", "one: 5"], [Kind.UNEXPECTED, Kind.REPLY], ["one"]),
        (Check.NUMBER, [b"one: 5", "two: 5"], [Kind.UNEXPECTED, Kind.REPLY], ["two"]),
        (Check.NUMBER, ["two: 5", "one: 5"], [Kind.REPLY, Kind.REPLY], ["two", "one"]),
        (
            Check.NUMBER,
            ["one: 5", "one: 5", "two: 5", "!"],
            [Kind.REPLY, Kind.UNEXPECTED, Kind.REPLY, Kind.UNSOLICITED],
            ["one", "two"],
        ),
        (
            Check.ECHO,
            ["two", "one: 5", "one"],
            [Kind.REPLY, Kind.UNEXPECTED, Kind.REPLY],
            ["two", "one"],
        ),
        (Check.OFF, ["two: 5", "x"], [Kind.MESSAGE, Kind.MESSAGE], []),
    ],
    ids=["wrong number", "binary for text", "another order", "twice", "echo", "off"],
)
def test_each_message_is_passed_on_for_what_it_is(
    check: Check, messages: list[str | bytes], kinds: list[Kind], answered: list[str], run: Run
) -> None:
    async def scenario() -> None:
        async def say(websocket: ServerConnection) -> None:
            await websocket.recv()
            await websocket.recv()
            for message in messages:
                await websocket.send(message)
            await websocket.wait_closed()

        async with serving(say) as url, connected(url) as watched:
            watched.connection.check = check
            watched.connection.send("one")
            watched.connection.send("two")
            await until(lambda: len(watched.arrivals) == len(messages))
            assert [each.kind for each in watched.arrivals] == kinds
            assert watched.answered == answered
            assert watched.connection.state is State.CONNECTED

    run(scenario())


def test_unsolicited_messages_are_counted(run: Run) -> None:
    async def scenario() -> None:
        async def push(websocket: ServerConnection) -> None:
            for i in range(3):
                await websocket.send(f"tick {i}")
            await websocket.wait_closed()

        async with serving(push) as url, connected(url) as watched:
            await until(lambda: watched.connection.unsolicited == 3)
            assert [each.kind for each in watched.arrivals] == [Kind.UNSOLICITED] * 3
            assert watched.connection.state is State.CONNECTED

    run(scenario())


@pytest.mark.parametrize(
    ("first", "foreign"), [("Welcome", True), ("Request 9: 5", False), (b"\x00", True)]
)
def test_a_first_message_that_looks_foreign_is_noticed(
    first: str | bytes, foreign: bool, run: Run
) -> None:
    async def scenario() -> None:
        async def greet(websocket: ServerConnection) -> None:
            await websocket.send(first)
            await websocket.send("Another")
            await websocket.wait_closed()

        async with serving(greet) as url, connected(url) as watched:
            await until(lambda: len(watched.arrivals) == 2)
            assert watched.connection.is_foreign is foreign

    run(scenario())


def test_a_closure_is_reported_with_code_reason_and_unanswered_request(run: Run) -> None:
    async def scenario() -> None:
        async def leave(websocket: ServerConnection) -> None:
            async for _ in websocket:
                await websocket.close(1001, "maintenance")

        async with serving(leave) as url, connected(url) as watched:
            watched.connection.send("one")
            await until(lambda: watched.connection.state is State.DISCONNECTED)
            assert watched.connection.reason == (
                "closed by the server: 1001 (going away) maintenance, "
                "before the reply to “one” came"
            )
            assert "no reply to “one”" in watched.events
            await until(lambda: State.CONNECTING in watched.states[3:])
            assert any("maintenance" in reason for reason in watched.reasons_of_connecting)

    run(scenario())


def test_a_flood_of_messages_does_not_block_the_loop(run: Run) -> None:
    async def scenario() -> None:
        turns = 0

        async def flood(websocket: ServerConnection) -> None:
            for i in range(20_000):
                await websocket.send(f"tick {i}")
            await websocket.wait_closed()

        async with serving(flood) as url, connected(url) as watched:
            while watched.connection.unsolicited < 20_000:
                await asyncio.sleep(0)
                turns += 1
            assert turns > 20

    run(scenario())


def test_a_server_that_does_not_read_does_not_delay_the_close(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.2)

    async def scenario() -> None:
        async def do_not_read(websocket: ServerConnection) -> None:
            websocket.transport.pause_reading()
            await gone.wait()

        gone = asyncio.Event()
        async with serving(do_not_read) as url:
            async with connected(url) as watched:
                watched.connection.send("x" * 15 * 2**20)
                await until(lambda: watched.connection.waiting)
                # Without a bound of ours it takes the library's ten seconds, or for ever.
                async with asyncio.timeout(8):
                    await watched.connection.aclose()
            assert watched.connection.state is State.DISCONNECTED
            gone.set()

    run(scenario())


@pytest.mark.parametrize(
    ("status", "is_final"), [(401, True), (403, True), (404, True), (429, False), (503, False)]
)
def test_a_refusal_that_cannot_heal_is_final(status: int, is_final: bool, run: Run) -> None:
    async def scenario() -> None:
        async def handle(websocket: ServerConnection) -> None:
            raise AssertionError("the handshake must not succeed")

        def refuse(websocket: ServerConnection, request: Request) -> Response:
            return websocket.respond(status, "not for you")

        async with serve(handle, "127.0.0.1", 0, process_request=refuse) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            connection = Connection()
            connection.open(Target(f"ws://127.0.0.1:{port}/"))
            await until(lambda: connection.reason)
            await until(lambda: connection.state is State.DISCONNECTED)
            assert f"it answered HTTP {status}" in connection.reason
            assert "not for you" in connection.reason
            await until(lambda: connection.is_open is not is_final)
            assert (connection.seconds_to_next_try is None) is is_final
            await connection.aclose()

    run(scenario())


def test_a_redirect_is_not_followed(run: Run) -> None:
    async def scenario() -> None:
        visits: list[str] = []

        async def handle(websocket: ServerConnection) -> None:
            await websocket.wait_closed()

        def redirect(websocket: ServerConnection, request: Request) -> Response | None:
            visits.append(request.path)
            if request.path == "/new":
                return None
            response = websocket.respond(302, "")
            response.headers["Location"] = "/new"
            return response

        async with serve(handle, "127.0.0.1", 0, process_request=redirect) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            connection = Connection()
            connection.open(Target(f"ws://127.0.0.1:{port}/old"))
            await until(lambda: not connection.is_open)
            assert visits == ["/old"]
            assert next_step(connection) == Remedy(Step.GO, f"ws://127.0.0.1:{port}/new")

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "words", "step"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not a WebSocket server", None),
        (b"", "it closed the connection before it had answered", Step.GO),
    ],
)
def test_a_server_without_websocket_is_reported_in_words(
    answer: bytes, words: str, step: Step | None, run: Run
) -> None:
    async def scenario() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            connection = Connection()
            connection.open(Target(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
            await until(lambda: words in connection.reason)
            await until(lambda: connection.state is State.DISCONNECTED)
            remedy = next_step(connection)
            assert (remedy and remedy.step) == step
            await connection.aclose()

    run(scenario())


def test_an_unknown_host_is_reported_in_words(run: Run) -> None:
    async def scenario() -> None:
        connection = Connection()
        connection.open(Target("ws://no-such-host.invalid/"))
        await until(lambda: "no-such-host.invalid' is not known" in connection.reason)
        await connection.aclose()

    run(scenario())


def test_a_server_that_never_answers_the_handshake_is_given_up(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPEN_TIMEOUT", 0.2)

    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            connection = Connection()
            connection.open(Target(f"ws://127.0.0.1:{deaf.getsockname()[1]}/"))
            await until(lambda: "no connection in 0.2 s" in connection.reason)
            await connection.aclose()

    run(scenario())


def test_half_a_surrogate_pair_is_refused(server_url: str, run: Run) -> None:
    async def scenario() -> None:
        async with connected(server_url) as watched:
            with pytest.raises(Refused, match="surrogate"):
                watched.connection.send("\ud83c")
            watched.connection.send("🎲")
            await until(lambda: watched.answered)

    run(scenario())
