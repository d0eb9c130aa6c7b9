"""What arrives in one turn of the event loop, over several connections: named, then refilled."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from cli_client.engine.arrivals import Arrivals
from cli_client.engine.clocks import StopWatch
from cli_client.engine.resending import Resending
from cli_client.engine.source import Series
from cli_client.engine.supply import Supply
from cli_client.ledger.expectation import expectation
from cli_client.ledger.lane import Lane
from cli_client.ledger.lanes import Lanes
from cli_client.ledger.ledger import Ledger, Request
from cli_client.share import Share

TOTAL = 1000


class FakeConnection:
    """A connection without a network: what is sent is kept."""

    def __init__(self, turn: "OneTurn", number: int, window: int) -> None:
        self.lane = Lane(turn.lanes, number)
        self._supply = turn.supply
        self._window = window
        self.sent: list[bytes] = []
        self.fill()

    @property
    def room(self) -> int:
        return self._window - self.lane.in_flight

    def fill(self) -> None:
        self.send(self._supply.take(self.lane, 1, self.room, 0, 0.0, 0.0), 0.0)

    def receive(self, messages: list[bytes], now: float) -> None:
        self.lane.receive(messages, now)

    def note_progress(self, now: float) -> None:
        pass

    def stop(self) -> None:
        pass

    def send(self, requests: list[Request], now: float) -> None:
        if requests:
            self.lane.send(requests)
            self.sent += [request.payload for request in requests]


class OneTurn:
    """Connections with requests in flight, and one turn of the event loop."""

    def __init__(self, connections: int = 2, window: int = 1, tells_each: bool = False) -> None:
        self.verified: list[list[bytes]] = []
        self.told: list[tuple[Any, ...]] = []
        self.changes: list[OSError | None] = []
        self.now = 0.0
        self.ledger = Ledger(
            TOTAL,
            expectation("number", False),
            paced=False,
            on_verified=self.verified.append,
            on_settled=(lambda *what: self.told.append(what)) if tells_each else None,
        )
        self.lanes = Lanes(self.ledger, memory=10, held=10)
        payloads = (b"Request %d" % number for number in range(TOTAL))
        clock = lambda: self.now  # noqa: E731
        self.supply = Supply(
            Series(payloads, TOTAL, Share()),
            self.ledger,
            None,
            None,
            StopWatch(clock),
            Resending(3),
            may_be_equal=False,
        )
        self.arrivals = Arrivals(
            self.ledger, self.supply, self.changes.append, clock, at_once=connections == 1
        )
        self.connections = [
            FakeConnection(self, number, window) for number in range(1, connections + 1)
        ]

    def add(self, place: int, *messages: bytes) -> None:
        self.arrivals.add(cast(Any, self.connections[place]), [*messages], self.now)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_replies_of_one_turn_are_verified_together_and_refilled_in_order() -> None:
    async def test() -> None:
        turn = OneTurn(connections=3)
        turn.now = 2.0
        for place in range(3):
            turn.add(place, b"Request %d: 7" % place)
            turn.now += 0.5  # what the sender takes for one must not count for the next
        assert turn.verified == []
        await asyncio.sleep(0)
        assert turn.verified == [[b"Request 0: 7", b"Request 1: 7", b"Request 2: 7"]]
        assert turn.ledger.verified == 3
        assert turn.ledger.numbers == {7: 3}
        summary = turn.ledger.latencies.summary()
        assert summary is not None
        # The requests went out at 0; the histogram keeps three digits.
        assert 1990 < summary["min"] <= summary["max"] < 2010
        assert [connection.sent[1] for connection in turn.connections] == [
            b"Request 3",
            b"Request 4",
            b"Request 5",
        ]

    run(test)


def test_two_reads_of_one_connection_keep_their_order() -> None:
    async def test() -> None:
        turn = OneTurn(connections=2, window=2)
        turn.add(0, b"Request 0: 1")
        turn.add(1, b"Request 2: 3")
        turn.add(0, b"Request 1: 2")
        await asyncio.sleep(0)
        assert turn.ledger.verified == 3
        assert turn.ledger.errors.count == 0

    run(test)


def test_one_wrong_reply_is_named_on_its_own_connection() -> None:
    async def test() -> None:
        turn = OneTurn(connections=3)
        turn.add(0, b"Request 0: 1")
        turn.add(1, b"Request 1: 101")
        turn.add(2, b"Request 2: 1")
        await asyncio.sleep(0)
        assert (turn.ledger.verified, turn.ledger.wrong) == (2, 1)

    run(test)


def test_replies_that_are_swapped_between_connections_are_not_right() -> None:
    async def test() -> None:
        turn = OneTurn(connections=2)
        turn.add(0, b"Request 1: 1")
        turn.add(1, b"Request 0: 1")
        await asyncio.sleep(0)
        assert turn.ledger.verified == 0
        assert turn.ledger.messages["unsolicited"] == 2

    run(test)


def test_who_is_told_of_each_request_is_told_its_connection() -> None:
    async def test() -> None:
        turn = OneTurn(connections=2, tells_each=True)
        turn.add(0, b"Request 0: 1")
        turn.add(1, b"Request 1: 1")
        await asyncio.sleep(0)
        assert [(fate, number) for fate, number, *_ in turn.told] == [
            ("verified", 1),
            ("verified", 2),
        ]

    run(test)


def test_one_connection_does_not_wait_for_the_end_of_the_turn() -> None:
    async def test() -> None:
        turn = OneTurn(connections=1)
        turn.add(0, b"Request 0: 1")
        assert turn.ledger.verified == 1
        assert turn.connections[0].sent == [b"Request 0", b"Request 1"]

    run(test)


def test_responses_that_cannot_be_handed_over_end_the_run() -> None:
    async def test() -> None:
        turn = OneTurn(connections=2)

        def fail(replies: list[bytes]) -> None:
            raise BrokenPipeError

        turn.ledger._on_verified = fail
        turn.add(0, b"Request 0: 1")
        turn.add(1, b"Request 1: 1")
        await asyncio.sleep(0)
        (error,) = turn.changes
        assert isinstance(error, BrokenPipeError)

    run(test)
