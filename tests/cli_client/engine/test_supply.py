"""The supply: which requests with keys go out, and which are refused."""

from cli_client.engine.clocks import StopWatch
from cli_client.engine.resending import Resending
from cli_client.engine.source import Series
from cli_client.engine.supply import MOST_REFUSED, Supply
from cli_client.ledger.keyed_lane import KeyedLane
from cli_client.ledger.lanes import Lanes
from cli_client.ledger.ledger import Ledger, Request
from cli_client.ledger.service import keyed_expectation
from cli_client.settings import Settings
from cli_client.share import Share


class Sending:
    """A connection on which requests go out, and the supply that gives them."""

    def __init__(self, *payloads: bytes) -> None:
        self.ledger = Ledger(
            len(payloads),
            keyed_expectation(Settings(id="/id")),
            paced=False,
            on_verified=lambda replies: None,
        )
        self.lane = KeyedLane(Lanes(self.ledger, memory=8, held=8), 1)
        self.resending = Resending(retries=3)
        watch = StopWatch(lambda: 1.0)
        self.supply = Supply(
            Series(iter(payloads), len(payloads), Share()),
            self.ledger,
            None,
            None,
            watch,
            self.resending,
            may_be_equal=False,
        )

    def send(self, amount: int, again: int = 0) -> list[int]:
        """Send this many requests, and return their numbers."""
        taken = self.supply.take(self.lane, 1, amount, again, 9.0, 9.0)
        if taken:
            self.lane.send(taken)
        return [request.number for request in taken]


def test_a_request_without_a_key_is_refused_and_those_after_it_go_out() -> None:
    sending = Sending(b'{"id":1}', b"no JSON", b'{"id":null}', b'{"id":2}')
    assert sending.send(4) == [0, 3]
    assert (sending.supply.taken, sending.supply.refused) == (2, 2)
    assert sending.ledger.errors.count == 2
    assert sending.supply.is_over


def test_a_request_with_a_key_in_flight_is_refused() -> None:
    sending = Sending(*[b'{"id":1}'] * 4)
    assert sending.send(2) == [0]
    assert sending.send(1) == []
    sending.lane.receive([b'{"id":1}'], 1.0)
    assert sending.supply.refused == 3
    assert sending.supply.is_over


def test_what_is_refused_makes_room_for_the_next() -> None:
    sending = Sending(b"a", b"b", b"c", b'{"id":1}')
    assert sending.send(1) == [3]


def test_a_source_without_any_key_comes_to_an_end() -> None:
    sending = Sending(*[b"no JSON"] * 5000)
    assert sending.send(64) == []
    assert MOST_REFUSED <= sending.supply.refused < MOST_REFUSED + 64
    assert sending.supply.is_over


def test_a_key_goes_out_once_at_a_time_however_it_comes() -> None:
    sending = Sending(b'{"id":1}', b'{"id":2}')
    lost = [Request(number, b'{"id":1}', 0.0, 0.0, 1, 1) for number in (7, 8)]
    assert sending.resending.add(lost, 1006, now=1.0) == []
    # One of those that were lost; the other has the same key, as has the first new one.
    assert sending.send(4, again=2) == [7, 1]
    assert sending.supply.refused == 1
    sending.lane.receive([b'{"id":1}'], 1.0)
    assert sending.send(4, again=2) == [8]
