"""A keyed lane: the requests of one connection whose replies are found by their key alone.

No message is ever in doubt here, since its key says whose it is. So this is a dictionary, where
the lane of replies without a key (``lane.py``) has to hold messages until others explain them.
"""

from collections.abc import Iterable, Iterator, Sequence

from cli_client.ledger.expectation import Key, WrongReplyError
from cli_client.ledger.keyed import Memory
from cli_client.ledger.lanes import Lanes
from cli_client.ledger.ledger import Request

__all__ = ["KeyedLane"]


class KeyedLane:
    """The requests of one connection that wait for their replies.

    What becomes of a message depends on its key:

    | the key is that of a request | what happens |
    | --- | --- |
    | in flight here | verified; wrong if it breaks a rule; a part, if the answer goes on |
    | answered here | duplicate |
    | given up here | late |
    | in flight on another lane | unsolicited |
    | not that of a request, or missing | a push if it fits a rule for these, else unsolicited |

    Args:
        lanes: The lanes of the run.
        number: The number of the connection, from 1.
    """

    def __init__(self, lanes: Lanes, number: int) -> None:
        self.number = number
        self.resent = 0
        """How many of the requests in flight have been sent before, on a connection that died."""
        self._lanes = lanes
        self._ledger = lanes.ledger
        self._expectation = lanes.ledger.expectation
        self._has_verified = False
        # In the order in which they were sent, each with its place in that order.
        self._in_flight: dict[Key, tuple[int, Request]] = {}
        self._sent = 0
        # The place of the latest request that has been answered.
        self._latest = -1
        self._answered = Memory(lanes.memory)
        self._given_up = Memory(lanes.memory)

    @property
    def in_flight(self) -> int:
        """How many requests have a reply to come, and so take up room in the window."""
        return len(self._in_flight)

    @property
    def is_empty(self) -> bool:
        """Whether no request waits for its reply."""
        return not self._in_flight

    def __contains__(self, key: Key) -> bool:
        """Tell whether a request with this key is in flight."""
        return key in self._in_flight

    @property
    def oldest_sent_at(self) -> float:
        """When the oldest of the requests in flight was sent; there must be one."""
        return next(iter(self._in_flight.values()))[1].sent_at

    def waiting_keys(self) -> Iterator[Key]:
        """Return the keys of the requests in flight."""
        yield from self._in_flight

    def next_in_order(self, count: int) -> list[Request]:
        """Return none: their keys tell, not their order."""
        return []

    def take_in_order(self, requests: list[Request]) -> None:
        """Take none."""

    def find_by_key(self) -> None:
        """Find the requests by key from now on, as this always does."""

    def send(self, requests: Sequence[Request]) -> None:
        """Take down requests that go out. None may have a key that is in flight here."""
        self._lanes.add(self)
        in_flight = self._in_flight
        for place, request in enumerate(requests, self._sent):
            in_flight[request.key] = place, request
        self._sent += len(requests)
        if requests[0].attempt > 1:  # those that go out once more come first
            self.resent += sum(request.attempt > 1 for request in requests)
        if self._lanes.by_key:
            for request in requests:
                self._lanes.note_key(request.key, self.number)

    def receive(self, messages: list[bytes], now: float) -> bool:
        """Name the messages of one read, which came at this time, and hand the right ones over.

        Returns:
            Whether they settled any request.
        """
        answered = self._ledger.answered
        in_flight, expectation = self._in_flight, self._expectation
        reply_key, check, settles = expectation.reply_key, expectation.check, expectation.settles
        right: list[Request] = []
        replies: list[bytes] = []
        known = 0  # how many of them are remembered as answered: all at once costs less
        for message in messages:
            key = reply_key(message)
            # No request has None for its key.
            waiting = in_flight.get(key)
            if waiting is None:
                self._answered.extend([request.key for request in right[known:]])
                known = len(right)
                self._take_unexpected(key, message)
                continue
            place, request = waiting
            try:
                check(request.payload, message)
            except WrongReplyError:
                self._answered.extend(self._remove([request]))
                self._ledger.mark_wrong(self.number, request, message, now)
                continue
            if not settles(message):
                self._ledger.note_message("parts")
                continue
            if place < self._latest:
                self._note_out_of_order(request)
            else:
                self._latest = place
            del in_flight[key]
            right.append(request)
            replies.append(message)
        if right:
            self._has_verified = True
            self._release(right)
            self._answered.extend([request.key for request in right[known:]])
            self._ledger.verify(self.number, right, replies, [0] * len(right), now)
        return self._ledger.answered > answered

    def time_out(self, now: float, limit: float, why: str) -> bool:
        """Give up the requests that were sent this many seconds ago or earlier: no reply came.

        Returns:
            Whether one of them has been answered, which here none is.
        """
        waited = (
            (place, request)
            for place, request in self._in_flight.values()
            if now - request.sent_at >= limit
        )
        self._miss(list(waited), now, why)
        return False

    def time_out_overtaken(self, now: float, limit: float, *, at_end: bool) -> None:
        """Give up the requests that were sent this many seconds ago and overtaken since."""
        expired = []
        for place, request in self._in_flight.values():
            if now - request.sent_at <= limit or place > self._latest:
                break
            expired.append((place, request))
        self._miss(expired, now, f"none in {limit:g} s, though a later one got its own")

    def give_up(self, now: float, why: str | None) -> None:
        """Wait for nothing any more, as the run is over; why is None if that is not a fault."""
        self._miss(list(self._in_flight.values()), now, why)
        self._lanes.discard(self)

    def handle_lost(self, now: float, why: str) -> list[Request]:
        """Return what was in flight when the connection died, and wait for nothing any more."""
        lost = [request for _, request in self._in_flight.values()]
        self._remove(lost)
        self.give_up(now, why)
        return lost

    def _take_unexpected(self, key: Key | None, message: bytes) -> None:
        """Name a message that has not the key of a request in flight here."""
        note_fault = self._ledger.note_fault
        if key is not None and key in self._answered:
            note_fault("duplicate", message, "a duplicate reply")
        elif key is not None and key in self._given_up:
            note_fault("late", message, "it came late, after its request had been given up")
        elif key is not None and (other := self._lanes.holder(key)) is not None:
            what = f"it strayed from connection {other} to connection {self.number}"
            note_fault("unsolicited", message, what)
        elif self._expectation.is_push(message):
            self._ledger.note_message("pushes")
        elif self._has_verified or key is not None:
            note_fault("unsolicited", message, "a message that nobody asked for")
        else:
            what = "a greeting: the server speaks first on each connection (see --greeting)"
            note_fault("unsolicited", message, what)

    def _note_out_of_order(self, request: Request) -> None:
        if self._expectation.ordered:
            what = "its reply came after that to a later one"
            self._ledger.note_fault("out_of_order", request.payload, what)
        else:
            self._ledger.note_message("out_of_order")

    def _miss(self, expired: Iterable[tuple[int, Request]], now: float, why: str | None) -> None:
        requests = [request for _, request in expired]
        self._given_up.extend(self._remove(requests))
        self._ledger.miss(self.number, requests, now, why)

    def _remove(self, requests: list[Request]) -> list[Key]:
        """Wait for the replies to these requests no more, and return their keys."""
        keys = [request.key for request in requests]
        for key in keys:
            del self._in_flight[key]
        self._release(requests)
        return keys

    def _release(self, requests: list[Request]) -> None:
        """Forget requests that have been removed."""
        if self.resent:
            self.resent -= sum(request.attempt > 1 for request in requests)
        if self._lanes.by_key:
            for request in requests:
                self._lanes.drop_key(request.key, self.number)
