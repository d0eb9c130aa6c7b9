"""Memory: what a connection costs while it is idle, and that a gone one costs nothing."""

import contextlib
import gc
import ssl
import weakref
from collections.abc import Iterator

import pytest

from server.connection import Connection
from server.counters import Counters
from server.hub import Hub
from server.secure import RECORD_SIZE
from server.settings import Settings
from tests.certificates import Pair
from tests.server.fakes import FakeLoop, FakeTransport
from tests.server.raw import BINARY, CLOSE, CONT, PING, TEXT, RawClient, frame, handshake
from tests.server.running import Running, running
from wire.exchange import check_reply

MIB = 2**20


class WatchedConnection(Connection):
    """A connection whose end can be seen."""

    __slots__ = ("__weakref__",)


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Leave garbage that only the collector of cycles would find."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


LIVES = {
    "a handshake": handshake(),
    "a handshake the library's way": handshake("localhost", "X-Long: " + "x" * 5000),
    "a part of a handshake": handshake()[:-2],
    "a refusal": handshake("elsewhere.example"),
    "a page": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a large message": handshake() + frame(BINARY, bytes(100_000)),
    "a part of a large message": handshake() + frame(BINARY, bytes(100_000))[:-1],
    "a part of a fragmented message": handshake() + frame(TEXT, b"x" * 50_000, fin=False),
    "a bad text": handshake() + frame(TEXT, b"x" * 100_000 + b"\xff"),
    "a bad fragment": handshake() + frame(TEXT, b"x" * 100_000, fin=False) + frame(TEXT),
    "a message that is too large": handshake() + frame(BINARY, bytes(MIB + 1)),
    "a Close": handshake() + frame(PING) + frame(CLOSE, b"\x03\xe8"),
    "a bad Close": handshake() + frame(CLOSE, b"\x03"),
    "compressed": handshake("localhost", "Sec-WebSocket-Extensions: permessage-deflate")
    + frame(TEXT, b"\xca\xc9\xc9\x07\x00" + bytes(5), rsv=4),
}


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
def test_a_connection_that_is_gone_leaves_nothing(life: bytes) -> None:
    """Not even for the garbage collector: under load that comes too late."""

    def live() -> None:
        loop = FakeLoop()
        hub = Hub(Settings(compress=True), Counters(), local=True)
        connection = WatchedConnection(
            hub, loop, on_made=lambda made: None, on_lost=lambda lost: None
        )
        connection.connection_made(FakeTransport())
        connection.data_received(life)
        while loop.turn():
            pass
        protocol = connection._protocol and weakref.ref(connection._protocol)
        connection.connection_lost(None)
        gone = weakref.ref(connection)
        del connection
        assert gone() is None
        assert protocol is None or protocol() is None

    with without_collector():
        live()


CLIENTS = 60


def growth_by_large_messages(server: Running, tls: ssl.SSLContext | None = None) -> int:
    """Return how much more memory clients cost after messages of a MiB, in bytes."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect(tls=tls)) for _ in range(CLIENTS)]
        for client in clients[:10]:  # what the first messages of all need is there before
            exchange(client)
        before = server.memory()
        for client in clients:
            exchange(client)
        growth = server.memory() - before
    print(f"growth: {growth / MIB:.1f} MiB")
    return growth


def test_an_idle_client_costs_what_it_did_before_its_large_message() -> None:
    """Whole messages and fragmented ones, answered long ago."""
    with running("--ping-interval", "600") as server:
        assert growth_by_large_messages(server) < 15 * MIB


def test_an_idle_client_costs_little_more_over_tls(pair: Pair) -> None:
    """A few records for each: TLS keeps its buffers."""
    options = ("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))
    trusting = ssl.create_default_context(cafile=str(pair.certificate))
    with running(*options, "--ping-interval", "600") as server:
        assert growth_by_large_messages(server, trusting) < CLIENTS * 10 * RECORD_SIZE


DATA = b"x" * MIB
WHOLE = frame(TEXT, DATA)
IN_PARTS = frame(TEXT, DATA[: MIB // 2], fin=False) + frame(CONT, DATA[MIB // 2 :])


def exchange(client: RawClient) -> None:
    """Send a MiB, whole and in fragments, and check the replies."""
    for request in (WHOLE, IN_PARTS):
        client.send(request)
        # A client that was idle for long is pinged.
        reply = next(got for got in iter(client.read_frame, None) if got.opcode != PING)
        check_reply(DATA, reply.payload)


def test_clients_that_come_and_go_leave_nothing() -> None:
    """One after the other, each sends most of a large message and vanishes."""
    size = 16 * MIB
    most_of_it = frame(BINARY, bytes(size))[:-1]
    with running("--max-message-size", str(size)) as server:
        for count in range(20):
            with server.connect() as client:
                client.send(most_of_it)
            if count == 3:
                before = server.memory()
        with server.connect() as client:
            client.ask("Request 1")
        growth = server.memory() - before
    print(f"growth: {growth / MIB:.1f} MiB")
    assert growth < 2 * size
