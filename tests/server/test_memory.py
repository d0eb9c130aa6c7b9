"""Memory: what a connection costs while it is idle, and that a gone one costs nothing."""

import asyncio
import contextlib
import gc
import socket
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
from tests.server.raw import BINARY, CLOSE, CONT, PING, TEXT, RawClient, frame, handshake
from tests.server.running import Running, running
from wire.exchange import check_reply

MIB = 2**20


class FakeTransport(asyncio.Transport):
    """A transport without a network: what is written is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = False
        self.reading = asyncio.Event()
        self.reading.set()
        self.socket, self.peer = socket.socketpair()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.socket if name == "socket" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: object) -> None:
        self.written += data  # type: ignore[arg-type]

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True
        self.reading.set()

    def is_closing(self) -> bool:
        return self.ended

    def pause_reading(self) -> None:
        self.reading.clear()

    def resume_reading(self) -> None:
        self.reading.set()

    def abort(self) -> None:
        self.ended = True
        self.reading.set()


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


async def receive(connection: Connection, transport: FakeTransport, data: bytes) -> None:
    """Have a connection read some data, in the order that it asks for."""
    for start in range(0, len(data), 2**18):
        await transport.reading.wait()
        connection.data_received(data[start : start + 2**18])
    await transport.reading.wait()


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

    async def live() -> None:
        hub = Hub(Settings(compress=True), Counters(), local=True)
        lost: list[Connection] = []
        connection = WatchedConnection(
            hub, asyncio.get_running_loop(), on_made=lambda made: None, on_lost=lost.append
        )
        transport = FakeTransport()
        connection.connection_made(transport)
        await receive(connection, transport, life)
        protocol = connection._protocol and weakref.ref(connection._protocol)
        connection.connection_lost(None)
        lost.clear()
        gone = weakref.ref(connection)
        del connection
        await asyncio.sleep(0)
        assert gone() is None
        assert protocol is None or protocol() is None
        transport.socket.close()
        transport.peer.close()

    with without_collector():
        asyncio.run(live())


CLIENTS = 100


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
    with running() as server:
        assert growth_by_large_messages(server) < 10 * MIB


def test_an_idle_client_costs_little_more_over_tls(pair: Pair) -> None:
    """A few records for each: TLS keeps its buffers."""
    options = ("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))
    trusting = ssl.create_default_context(cafile=str(pair.certificate))
    with running(*options) as server:
        assert growth_by_large_messages(server, trusting) < CLIENTS * 10 * RECORD_SIZE


def exchange(client: RawClient) -> None:
    data = b"x" * MIB
    client.send(frame(TEXT, data))
    whole = client.read_frame()
    client.send(frame(TEXT, data[: MIB // 2], fin=False) + frame(CONT, data[MIB // 2 :]))
    parts = client.read_frame()
    for reply in (whole, parts):
        assert reply is not None
        check_reply(data, reply.payload)


def test_clients_that_come_and_go_leave_nothing() -> None:
    """One after the other, each sends most of a large message and vanishes."""
    size = 16 * MIB
    with running("--max-message-size", str(size)) as server:
        for count in range(20):
            with server.connect() as client:
                client.send(frame(BINARY, bytes(size))[:-1])
            if count == 3:
                before = server.memory()
        with server.connect() as client:
            client.ask("Request 1")
        growth = server.memory() - before
    print(f"growth: {growth / MIB:.1f} MiB")
    assert growth < 2 * size
