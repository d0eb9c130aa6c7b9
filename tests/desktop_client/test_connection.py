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
from desktop_client.connection import Connection, Exchange, Refused, State
from desktop_client.target import Target
from tests.conftest import ServerProcess
from tests.desktop_client.conftest import Run
from tests.desktop_client.liar import serving
from tests.desktop_client.waiting import until


class Watched:
    """A connection with a record of the states it went through and what it said."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.states: list[State] = [self.connection.state]
        self.exchanges: list[Exchange] = []
        self.troubles: list[str] = []
        self.connection.changed.connect(self._note)
        self.connection.replied.connect(self.exchanges.append)
        self.connection.troubled.connect(self.troubles.append)

    def _note(self) -> None:
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


def test_it_goes_through_its_states_in_order(qapp: QApplication, server_url: str, run: Run) -> None:
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
            await until(lambda: len(watched.exchanges) == 1)
            connection.open(Target("ws://127.0.0.1:1/"))
            connection.open(Target(server.url))
            with pytest.raises(Refused, match="no connection"):
                connection.send("two")
            await until(lambda: connection.state is State.CONNECTED)
            connection.send("three")
            await until(lambda: len(watched.exchanges) == 2)
            assert watched.exchanges[1].request == "three"
            assert connection.target == Target(server.url)

    run(scenario())


def test_the_waits_grow_with_jitter_and_can_be_cut_short(
    unused_port: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)

    async def scenario() -> None:
        connection = Connection()
        waits: list[int] = []

        def note() -> None:
            if connection.seconds_to_next_try is not None:
                assert connection.no_server
                assert "There is no server at" in connection.reason
                waits.append(round(connection.seconds_to_next_try))
                asyncio.get_running_loop().call_soon(connection.try_now)

        connection.changed.connect(note)
        connection.open(Target(f"ws://localhost:{unused_port}/"))
        await until(lambda: len(waits) >= 7)
        connection.changed.disconnect(note)
        await connection.aclose()
        assert waits[:7] == [1, 2, 4, 8, 15, 15, 15]
        assert not connection.no_server

    run(scenario())


def test_a_silent_server_is_given_up_after_a_time(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPLY_TIMEOUT", 0.2)

    async def scenario() -> None:
        async def be_silent(websocket: ServerConnection) -> None:
            await websocket.wait_closed()

        async with serving(be_silent) as url, connected(url) as watched:
            watched.connection.send("Hello?")
            watched.connection.send("Still there?")
            await until(lambda: watched.connection.state is State.DISCONNECTED)
            assert "no reply within" in watched.troubles[0]
            assert watched.connection.waiting == 0

    run(scenario())


@pytest.mark.parametrize(
    ("messages", "trouble"),
    [
        (["one: 0"], "wrong reply"),
        ([b"one: 5", "two: 5"], "binary"),
        (["two: 5", "one: 5"], "wrong reply"),
        (["one: 5", "one: 5"], ""),
    ],
    ids=["wrong number", "binary for text", "wrong order", "twice"],
)
def test_no_reply_counts_for_another_request(
    messages: list[str | bytes], trouble: str, run: Run
) -> None:
    async def scenario() -> None:
        async def lie(websocket: ServerConnection) -> None:
            await websocket.recv()
            for message in messages:
                await websocket.send(message)
            await websocket.wait_closed()

        async with serving(lie) as url, connected(url) as watched:
            watched.connection.send("one")
            watched.connection.send("two")
            await until(lambda: watched.connection.state is State.DISCONNECTED)
            assert any(trouble in text for text in watched.troubles)
            assert [each.request for each in watched.exchanges] in ([], ["one"])
            assert trouble == "" or watched.exchanges == []

    run(scenario())


def test_a_server_that_does_not_read_cannot_hold_up_the_close(
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
    ("url", "words"),
    [
        ("ws://127.0.0.1:{port}/", "HTTP status 404"),
        ("ws://no-such-host.invalid:{port}/", "No host has the name"),
    ],
)
def test_what_is_no_websocket_server_is_told_in_words(url: str, words: str, run: Run) -> None:
    async def scenario() -> None:
        async def handle(websocket: ServerConnection) -> None:
            raise AssertionError("nobody gets as far as this")

        def refuse(websocket: ServerConnection, request: Request) -> Response:
            return websocket.respond(404, "nothing here")

        async with serve(handle, "127.0.0.1", 0, process_request=refuse) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            connection = Connection()
            connection.open(Target(url.format(port=port)))
            await until(lambda: words in connection.reason)
            assert connection.state is State.DISCONNECTED
            assert not connection.no_server
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
            await until(lambda: "No answer within" in connection.reason)
            await connection.aclose()

    run(scenario())


def test_half_a_surrogate_pair_is_refused(server_url: str, run: Run) -> None:
    async def scenario() -> None:
        async with connected(server_url) as watched:
            with pytest.raises(Refused, match="surrogate"):
                watched.connection.send("\ud83c")
            watched.connection.send("🎲")
            await until(lambda: watched.exchanges)

    run(scenario())
