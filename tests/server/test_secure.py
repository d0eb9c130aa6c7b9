"""TLS by itself, between a connection and a transport: there is no network and no clock."""

import ssl

import pytest

from server.connection import Connection
from server.counters import Counters
from server.hub import Hub
from server.secure import RECORD_SIZE, SecureConnection
from server.settings import Settings
from server.tls import server_context
from tests.certificates import Pair
from tests.server.fakes import FakeLoop, FakeTransport
from tests.server.raw import BINARY, CLOSE, frame, handshake, parse_frame

REQUEST = frame(BINARY, bytes(200))


class Peer:
    """A client that speaks TLS, and the connection that it has."""

    def __init__(self, pair: Pair) -> None:
        self.loop = FakeLoop()
        self.transport = FakeTransport()
        hub = Hub(Settings(http=False, reply="echo"), Counters(), local=True)
        self.connection = Connection(
            hub, self.loop, on_made=lambda made: None, on_lost=lambda lost: None
        )
        self.secure = SecureConnection(
            server_context(pair.certificate, pair.key),
            self.connection,
            self.loop,
            handshake_timeout=10,
            on_made=lambda made: None,
            on_lost=lambda lost: None,
            on_refused=lambda refused, reason: None,
        )
        self.secure.connection_made(self.transport)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=str(pair.certificate))
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.deliver(self._outgoing.read())
                self._incoming.write(self.transport.take())
            else:
                break
        self.send(handshake())
        assert self.received().startswith(b"HTTP/1.1 101 ")

    def deliver(self, data: bytes) -> None:
        """Let the server read what came over the network."""
        while data:
            buffer = self.secure.get_buffer(-1)
            size = min(len(data), len(buffer))
            buffer[:size] = data[:size]
            data = data[size:]
            self.secure.buffer_updated(size)

    def send(self, data: bytes) -> None:
        self._tls.write(data)
        self.deliver(self._outgoing.read())

    def end(self) -> None:
        """Send Close Notify."""
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.unwrap()
        self.deliver(self._outgoing.read())

    def received(self) -> bytes:
        """Return what came since the last time."""
        self._incoming.write(self.transport.take())
        received = b""
        try:
            while data := self._tls.read(RECORD_SIZE):
                received += data
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        return received

    def opcodes(self) -> list[int]:
        """Return the opcodes of the frames that came since the last time."""
        data, at, found = self.received(), 0, []
        while (parsed := parse_frame(data, at)) is not None:
            found.append(parsed[0].opcode)
            at = parsed[1]
        return found


def test_everything_before_the_end_of_the_connection_is_answered(pair: Pair) -> None:
    """Also what is not decrypted yet, because the connection works through what came before."""
    peer = Peer(pair)
    count = 60
    peer.send(REQUEST * count + frame(CLOSE))
    assert peer.secure.eof_received()
    while peer.loop.turn():
        pass
    assert peer.opcodes() == [BINARY] * count + [CLOSE]
    assert peer.transport.ended


def test_what_comes_behind_the_end_of_tls_is_not_kept(pair: Pair) -> None:
    """While a peer is slow to take its replies, it may send whatever it likes."""
    peer = Peer(pair)
    peer.secure.pause_writing()
    peer.secure.write(bytes(1000))
    peer.secure.resume_reading()
    peer.end()
    for _ in range(100):
        peer.deliver(bytes(RECORD_SIZE))
    assert peer.secure._incoming.pending < RECORD_SIZE


def test_a_full_transport_stops_reading(pair: Pair) -> None:
    """Before anything is unsent: what fills it may be TLS alone, as for a flood of new keys."""
    peer = Peer(pair)
    peer.secure.pause_writing()
    assert not peer.transport.reads
    peer.secure.resume_writing()
    assert peer.transport.reads
