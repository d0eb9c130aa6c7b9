"""A connection by itself: its states, its turns, its waits. There is no network and no clock."""

import pytest

from server.connection import WRITE_LIMIT, Connection, State
from server.counters import Counters
from server.delivery import LEAST_RATE
from server.hub import Hub
from server.settings import Settings
from tests.server.fakes import FakeLoop, FakeTransport
from tests.server.raw import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    close_code,
    frame,
    handshake,
    parse_frame,
)

TIMES = Settings(http=False, reply="echo")


class Peer:
    """A connection and the other end of it."""

    def __init__(self, settings: Settings = TIMES) -> None:
        self.loop = FakeLoop()
        self.transport = FakeTransport()
        self.counters = Counters()
        self.made: list[Connection] = []
        self.lost: list[Connection] = []
        self.connection = Connection(
            Hub(settings, self.counters, local=True),
            self.loop,
            on_made=self.made.append,
            on_lost=self.lost.append,
        )
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def open(self) -> "Peer":
        self.send(handshake())
        assert self.transport.take().startswith(b"HTTP/1.1 101 ")
        return self

    def frames(self) -> list[Frame]:
        """Return the frames that came since the last time."""
        data, at, found = self.transport.take(), 0, []
        while (parsed := parse_frame(data, at)) is not None:
            found.append(parsed[0])
            at = parsed[1]
        assert at == len(data)
        return found


# States.


def test_a_connection_waits_for_its_handshake() -> None:
    peer = Peer()
    assert peer.connection.state is State.HANDSHAKE
    assert peer.made == [peer.connection]
    assert not peer.connection.is_websocket


def test_a_handshake_opens_it() -> None:
    peer = Peer().open()
    assert peer.connection.state is State.OPEN
    assert peer.counters.total("open") == 1
    peer.send(frame(TEXT, "Request 1") + frame(BINARY, "2"))
    assert peer.frames() == [Frame(TEXT, b"Request 1"), Frame(BINARY, b"2")]
    assert peer.counters.total("requests") == 2


def test_frames_that_come_with_the_handshake_are_answered() -> None:
    peer = Peer()
    peer.send(handshake() + frame(TEXT, "early"))
    assert peer.transport.take().endswith(b"early")


def test_a_refusal_ends_it_and_what_comes_then_is_discarded() -> None:
    peer = Peer()
    peer.send(handshake("evil.example"))
    assert peer.connection.state is State.ANSWERED
    assert peer.transport.ended
    assert peer.transport.take().startswith(b"HTTP/1.1 403 ")
    peer.send(frame(TEXT, "Request 1"))
    assert peer.transport.take() == b""
    assert peer.counters.total(("refused", "host")) == 1
    assert peer.counters.total("sent") == 0


@pytest.mark.parametrize(
    ("data", "code"), [(frame(CLOSE, b"\x03\xe8"), 1000), (frame(TEXT, b"\xff"), 1007)]
)
def test_a_close_frame_or_a_fault_begins_the_end(data: bytes, code: int) -> None:
    peer = Peer().open()
    peer.send(data)
    assert peer.connection.state is State.CLOSING
    assert close_code(peer.frames()[-1]) == code
    assert peer.transport.ended
    peer.connection.connection_lost(None)
    assert peer.connection.state is State.LOST
    assert peer.lost == [peer.connection]
    assert peer.counters.total(("closed", code)) == 1
    assert peer.counters.total("open") == 0


def test_a_connection_that_is_lost_counts_as_1006() -> None:
    peer = Peer().open()
    peer.connection.connection_lost(ConnectionResetError())
    assert peer.counters.total(("closed", 1006)) == 1


def test_going_away_waits_for_the_answer_of_the_peer() -> None:
    peer = Peer().open()
    peer.connection.go_away()
    assert close_code(peer.frames()[0]) == 1001
    assert peer.connection.state is State.CLOSING
    assert not peer.transport.ended
    peer.send(frame(CLOSE, b"\x03\xe9"))
    assert peer.transport.ended


def test_a_handshake_that_does_not_come_is_refused() -> None:
    peer = Peer()
    peer.loop.pass_time(TIMES.open_timeout)
    assert peer.transport.take().startswith(b"HTTP/1.1 408 ")


# Turns.


def test_a_read_full_of_pings_takes_more_than_one_turn() -> None:
    """All other connections come between two turns, and nothing is read meanwhile."""
    peer = Peer().open()
    peer.send(frame(PING, "p") * 20_000)
    answered = len(peer.frames())
    assert 0 < answered < 20_000
    assert not peer.transport.reads
    turns = 0
    while peer.loop.turn():
        turns += 1
        answered += len(peer.frames())
    assert turns > 5
    assert answered == 20_000
    assert peer.transport.reads


# Signs of life.


def test_a_silent_peer_is_pinged_and_then_cut_off() -> None:
    peer = Peer().open()
    peer.loop.pass_time(TIMES.ping_interval)
    assert peer.frames() == [Frame(PING, b"")]
    peer.loop.pass_time(TIMES.pong_timeout + 1)
    assert close_code(peer.frames()[0]) == 1011
    assert peer.transport.ended


@pytest.mark.parametrize("sign", [frame(PONG), frame(TEXT, "Request 1"), frame(TEXT)[:1]])
def test_any_byte_is_a_sign_of_life(sign: bytes) -> None:
    """If it comes within the pong timeout."""
    peer = Peer().open()
    for part in (sign, frame(TEXT)[1:] if len(sign) == 1 else sign):
        while Frame(PING, b"") not in peer.frames():
            peer.loop.pass_time(1)
        peer.loop.pass_time(TIMES.pong_timeout - 2)
        peer.send(part)
        peer.loop.pass_time(2)
        assert not peer.transport.ended


def send_slowly(peer: Peer, seconds: int, rate: float) -> None:
    """Let the peer take this many bytes per second for a time."""
    for _ in range(seconds):
        peer.loop.pass_time(1)
        if peer.transport.aborted:
            return
        peer.transport.unsent = max(0, peer.transport.unsent - int(rate))


def owe(peer: Peer, size: int) -> None:
    """Let there be this many bytes that the peer has not taken."""
    peer.send(frame(BINARY, bytes(size)))
    while peer.loop.turn():
        pass
    peer.transport.take()
    peer.transport.unsent = size


@pytest.mark.parametrize(("rate", "lives"), [(2 * LEAST_RATE, True), (LEAST_RATE / 2, False)])
def test_a_ping_that_waits_behind_a_large_reply(rate: float, lives: bool) -> None:
    """A peer that takes a KiB per second is alive, long after the pong should have come."""
    peer = Peer().open()
    owe(peer, 2**20)
    send_slowly(peer, 300, rate)
    assert peer.transport.ended is not lives


@pytest.mark.parametrize(("rate", "lives"), [(2 * LEAST_RATE, True), (LEAST_RATE / 2, False)])
def test_a_peer_that_is_not_read_from(rate: float, lives: bool) -> None:
    """The same while its replies fill the buffer."""
    peer = Peer().open()
    owe(peer, 2**20)
    peer.connection.pause_writing()
    send_slowly(peer, 300, rate)
    assert peer.transport.aborted is not lives


@pytest.mark.parametrize(("rate", "lives"), [(2 * LEAST_RATE, True), (LEAST_RATE / 2, False)])
def test_a_peer_that_closes_with_replies_on_the_way(rate: float, lives: bool) -> None:
    """And while they are all that is left to send."""
    peer = Peer().open()
    owe(peer, 2**20)
    peer.send(frame(CLOSE, b"\x03\xe8"))
    send_slowly(peer, 300, rate)
    assert peer.transport.aborted is not lives


def test_a_peer_that_closed_and_has_everything_has_the_close_timeout_to_go() -> None:
    peer = Peer().open()
    peer.send(frame(CLOSE, b"\x03\xe8"))
    peer.loop.pass_time(TIMES.close_timeout - 1)
    assert not peer.transport.aborted
    peer.loop.pass_time(1)
    assert peer.transport.aborted


def test_a_peer_that_has_a_large_reply_unread_in_its_kernel_gets_the_time_to_read_it() -> None:
    """At a KiB per second: then no pong means that it is gone."""
    size = 100 * LEAST_RATE
    peer = Peer().open()
    peer.send(frame(BINARY, bytes(size)))
    while peer.loop.turn():
        pass
    peer.transport.take()
    # Pinged at the second look: what came before the first one counts as a sign of life.
    pinged = 2 * TIMES.ping_interval
    peer.loop.pass_time(pinged + TIMES.pong_timeout + 99)
    assert not peer.transport.ended
    peer.loop.pass_time(3)
    assert peer.transport.ended


def test_a_large_reply_is_sent_to_its_last_byte_before_more_is_read() -> None:
    """The transport holds all of it until then: with the next one there would be two."""
    peer = Peer().open()
    assert peer.transport.limit == WRITE_LIMIT
    limits = []

    def write(data: bytes) -> None:
        limits.append(peer.transport.limit)
        peer.connection.pause_writing()

    peer.transport.write = write  # type: ignore[assignment, method-assign]
    peer.send(frame(BINARY, bytes(WRITE_LIMIT)))
    while peer.loop.turn():
        pass
    assert limits == [0]
    assert not peer.transport.reads
    peer.connection.resume_writing()
    assert peer.transport.limit == WRITE_LIMIT
    assert peer.transport.reads
