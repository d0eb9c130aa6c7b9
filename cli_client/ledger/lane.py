"""A lane: the requests of one connection that wait for their replies, and which reply is whose.

Replies are owed in the order of the requests, on the connection of the request, so the reply that
comes next belongs to the oldest request in flight. One that does not is looked for among the
others, so that one lost, repeated or misplaced reply counts as that and does not make all that
follow it wrong. One that fits nothing is held until the next reply shows whether it stood in the
place of a reply or beside it.
"""

from collections import deque
from collections.abc import Sequence
from itertools import chain

from cli_client.ledger.errors import name
from cli_client.ledger.expectation import WrongReplyError
from cli_client.ledger.ledger import Ledger, Request

__all__ = ["Lane"]


class Lane:
    """The requests of one connection, in the order in which they went out.

    Args:
        ledger: Where they are counted.
        number: The number of the connection, from 1.
        lanes: The lanes of the run on which requests may be in flight; this one puts itself there.
        memory: How many requests that no reply is due to any more are kept, to name the reply that
            comes still. Also how many may wait though a later one has been answered, before the
            oldest is given up.
    """

    def __init__(self, ledger: Ledger, number: int, lanes: "set[Lane]", memory: int) -> None:
        self.number = number
        self.in_flight: deque[Request] = deque()
        self.overdue: deque[Request] = deque()
        """Requests that a later one has been answered before."""
        self._ledger = ledger
        self._lanes = lanes
        self._memory = memory
        # Payloads, as a request takes five times the room.
        self._answered: deque[bytes] = deque(maxlen=memory)
        self._given_up: deque[bytes] = deque(maxlen=memory)
        # A reply that fits nothing, while some request is in flight.
        self._doubtful: bytes | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no request waits for its reply."""
        return not (self.in_flight or self.overdue)

    def send(self, requests: Sequence[Request]) -> None:
        """Take down requests that go out."""
        self._lanes.add(self)
        self.in_flight.extend(requests)

    def receive(self, replies: list[bytes], now: float) -> None:
        """Check replies that came at this time, and hand the right ones over."""
        if self._doubtful is not None or not self._receive_in_order(replies, now):
            self._receive_one_by_one(replies, now)

    def _receive_in_order(self, replies: list[bytes], now: float) -> bool:
        """Take replies that are all right and in order, as nearly all are.

        Returns:
            Whether they are. If not, nothing has been done.
        """
        in_flight = self.in_flight
        if len(replies) > len(in_flight) or set(map(type, replies)) != {bytes}:
            return False
        requests = [in_flight.popleft() for _ in replies]
        payloads = [request.payload for request in requests]
        try:
            numbers = list(map(self._ledger.expectation.check, payloads, replies))
        except WrongReplyError:
            in_flight.extendleft(reversed(requests))
            return False
        self._answered.extend(payloads)
        self._ledger.verify(self.number, requests, replies, numbers, now)
        return True

    def _receive_one_by_one(self, replies: list[bytes], now: float) -> None:
        requests: list[Request] = []
        right: list[bytes] = []
        numbers: list[int] = []
        for reply in replies:
            request = self._match(reply, now)
            if request is not None:
                self._answered.append(request.payload)
                requests.append(request)
                right.append(reply)
                numbers.append(self._ledger.expectation.check(request.payload, reply))
        if requests:
            self._ledger.verify(self.number, requests, right, numbers, now)

    def _match(self, reply: bytes, now: float) -> Request | None:
        """Return the request that a reply answers; if there is none, note what the reply is."""
        if type(reply) is not bytes:
            self._doubt(reply, now)
            return None
        if self.in_flight and self._is_right(self.in_flight[0], reply):
            if self._doubtful is not None:
                self._dismiss()
            return self.in_flight.popleft()
        wanted = self._ledger.expectation.request_of(reply)
        if wanted is None:
            self._doubt(reply, now)
            return None
        for place, request in enumerate(self.in_flight):
            if request.payload == wanted:
                self._overtake(place, now)
                return self.in_flight.popleft()
        for place, request in enumerate(self.overdue):
            if request.payload == wanted:
                del self.overdue[place]
                self._ledger.out_of_order += 1
                self._note("out_of_order", wanted, "its reply came behind that to a later one")
                return request
        if not self._is_too_many(wanted):
            self._doubt(reply, now)
        return None

    def _is_right(self, request: Request, reply: bytes) -> bool:
        try:
            self._ledger.expectation.check(request.payload, reply)
        except WrongReplyError:
            return False
        return True

    def _is_too_many(self, wanted: bytes) -> bool:
        """Note a reply that would be right to a request that is owed none here, if it would."""
        ledger = self._ledger
        if wanted in self._given_up:
            ledger.late += 1
            self._note("late", wanted, "its reply came late, after it had been given up")
            return True
        if wanted in self._answered:
            ledger.duplicate += 1
            self._note("duplicate", wanted, "a reply too many")
            return True
        for lane in self._lanes - {self}:
            if any(request.payload == wanted for request in chain(lane.overdue, lane.in_flight)):
                ledger.unsolicited += 1
                where = f"connection {self.number}, it was sent on {lane.number}"
                self._note("unsolicited", wanted, f"its reply strayed to {where}")
                return True
        return False

    def settle_doubt(self, now: float) -> None:
        """Take a reply that fits nothing for the one to the oldest request, as nothing follows."""
        if self._doubtful is not None:
            reply, self._doubtful = self._doubtful, None
            request = self.in_flight.popleft()
            self._answered.append(request.payload)
            self._ledger.condemn(self.number, request, reply, now)

    def give_up(self, now: float, why: str | None) -> None:
        """Wait for nothing any more."""
        self.settle_doubt(now)
        waiting = [*self.overdue, *self.in_flight]
        self.overdue.clear()
        self.in_flight.clear()
        self._miss(waiting, now, why)

    def give_up_overdue(self, now: float, limit: float) -> None:
        """Wait no more for what was sent so many seconds ago and overtaken since."""
        overdue = self.overdue
        while overdue and now - overdue[0].sent_at > limit:
            why = f"none in {limit:g} s, though a later one got its own"
            self._miss([overdue.popleft()], now, why)

    def lose(self, now: float, why: str) -> list[Request]:
        """Return what was in flight when the connection died, and wait for nothing any more.

        What had been overtaken is not among it: its reply is known to be lost.
        """
        self.settle_doubt(now)
        lost = list(self.in_flight)
        self.in_flight.clear()
        self.give_up(now, why)
        self._lanes.discard(self)
        return lost

    def _overtake(self, place: int, now: float) -> None:
        """Move the oldest requests aside: a later one has been answered."""
        if self._doubtful is not None:
            self.settle_doubt(now)
            place -= 1
        for _ in range(place):
            self.overdue.append(self.in_flight.popleft())
        while len(self.overdue) > self._memory:
            why = f"none, though {self._memory:,} later ones got theirs"
            self._miss([self.overdue.popleft()], now, why)

    def _doubt(self, reply: bytes, now: float) -> None:
        """Hold a reply that fits nothing, if another may follow that tells more."""
        self.settle_doubt(now)
        self._doubtful = reply
        if not self.in_flight:
            self._dismiss()
        elif len(self.in_flight) == 1:
            # Nothing else would be sent before this one is settled.
            self.settle_doubt(now)

    def _dismiss(self) -> None:
        """Take a reply that fits nothing for one that nobody asked for."""
        reply, self._doubtful = self._doubtful, None
        self._ledger.unsolicited += 1
        what = f"a reply that nobody asked for: {name(reply or b'')}"
        self._ledger.errors.note("unsolicited", what)

    def _miss(self, requests: Sequence[Request], now: float, why: str | None) -> None:
        self._given_up.extend(request.payload for request in requests)
        self._ledger.miss(self.number, requests, now, why)

    def _note(self, kind: str, request: bytes, what: str) -> None:
        self._ledger.errors.note(kind, f": {what}", name(request))
