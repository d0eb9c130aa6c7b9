"""The lanes of a run together: on which of them a request is in flight."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from cli_client.ledger.expectation import Key
from cli_client.ledger.ledger import Ledger, Request

__all__ = ["AnyLane", "Lanes"]


class AnyLane(Protocol):
    """The requests of one connection that wait for their replies.

    Whether their replies must keep their order (``lane.py``) or have a key (``keyed_lane.py``).
    """

    number: int
    """The number of the connection, from 1."""
    resent: int
    """How many of the requests in flight have been sent before, on a connection that died."""

    @property
    def in_flight(self) -> int:
        """How many requests have a reply to come, and so take up room in the window."""

    @property
    def is_empty(self) -> bool:
        """Whether no request waits for its reply."""

    def waiting_keys(self) -> Iterator[Key]:
        """Return the keys of the requests in flight, found by key."""

    def find_by_key(self) -> None:
        """Find the requests by key from now on."""

    def send(self, requests: Sequence[Request]) -> None:
        """Take down requests that go out."""

    def receive(self, messages: list[bytes], now: float) -> bool:
        """Name the messages of one read, which came at this time, and hand the right ones over.

        Returns:
            Whether they settled any request.
        """

    @property
    def oldest_sent_at(self) -> float:
        """When the oldest of the requests in flight was sent; there must be one."""

    def next_in_order(self, count: int) -> list[Request]:
        """Return the requests that the next messages answer, no more than this many.

        None if that is not known before the messages are.
        """

    def take_in_order(self, requests: list[Request]) -> None:
        """Take these requests, the next in order, for answered: their replies are right."""

    def time_out(self, now: float, limit: float, why: str) -> bool:
        """Give up the requests that were sent this many seconds ago or earlier: no reply came.

        Returns:
            Whether one of them has been answered, if wrongly.
        """

    def time_out_overtaken(self, now: float, limit: float, *, at_end: bool) -> None:
        """Give up the requests that were sent this many seconds ago and overtaken since.

        Args:
            now: The time.
            limit: The number of seconds.
            at_end: Whether nothing will be sent any more.
        """

    def give_up(self, now: float, why: str | None) -> None:
        """Wait for nothing any more, as the run is over; why is None if that is not a fault."""

    def handle_lost(self, now: float, why: str) -> list[Request]:
        """Return what was in flight when the connection died, and wait for nothing any more."""


class Lanes:
    """The lanes of a run on which requests may be in flight.

    Args:
        ledger: Where requests and messages are counted.
        memory: How many answered requests, and how many given up, each lane remembers, to name the
            reply that still comes. Also how many requests may wait though a later one has been
            answered, before the oldest is given up.
        held: How many messages that answer nothing each lane may hold.
    """

    def __init__(self, ledger: Ledger, memory: int, held: int) -> None:
        self.ledger = ledger
        self.memory = memory
        self.held = held
        self.by_key = False
        """Whether it is taken down which requests are in flight where, as it is once asked for."""
        self._lanes: dict[int, AnyLane] = {}
        self._holders: dict[Key, set[int]] = {}

    def __iter__(self) -> Iterator["AnyLane"]:
        return iter([*self._lanes.values()])

    def add(self, lane: "AnyLane") -> None:
        """Add a lane on which requests go out."""
        self._lanes[lane.number] = lane

    def discard(self, lane: "AnyLane") -> None:
        """Forget a lane on which nothing is in flight any more, and nothing will be."""
        self._lanes.pop(lane.number, None)

    def note_key(self, key: Key, number: int) -> None:
        """Take down that requests with this key are in flight on a lane."""
        self._holders.setdefault(key, set()).add(number)

    def drop_key(self, key: Key, number: int) -> None:
        """Take down that they are not any more."""
        holders = self._holders.get(key)
        if holders is not None:
            holders.discard(number)
            if not holders:
                del self._holders[key]

    def holder(self, key: Key) -> int | None:
        """Return the number of a lane on which a request with this key is in flight."""
        if not self.by_key:
            self.by_key = True
            for lane in self:
                lane.find_by_key()
                for held in lane.waiting_keys():
                    self.note_key(held, lane.number)
        return min(self._holders.get(key, ()), default=None)
