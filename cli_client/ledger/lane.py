"""A lane: the requests of one connection that wait for their replies, and which reply is whose.

As long as the replies are right and in order, as nearly all are, a queue is enough. From the first
message that is not the next right reply on, the requests are found by key, so that one lost,
repeated or misplaced reply counts as that and does not make all that follow it wrong. A message
that answers nothing is held until what follows shows whether it stood in the place of a reply or
beside it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from cli_client.ledger.expectation import Key, WrongReplyError
from cli_client.ledger.keyed import KeyedRequests, Memory
from cli_client.ledger.lanes import Lanes
from cli_client.ledger.ledger import Request

__all__ = ["Lane"]

HELD_BYTES = 2**22
"""Bytes of messages that are held, at the most, besides one: they are kept to be shown."""


class Lane:
    """The requests of one connection that wait for their replies.

    What becomes of a message depends on what waits here:

    | the message | what waits | what happens |
    | --- | --- | --- |
    | has the key of a request | it is in flight | verified, or wrong if its content is; older
      ones are overtaken, but each message held takes the place of one: wrong; the other messages
      held are unsolicited |
    | | it was overtaken | verified, and out of order |
    | | it was given up | late |
    | | it was answered | duplicate |
    | | it is in flight on another lane | unsolicited |
    | begins with the payload of a request | it is in flight | wrong |
    | anything else | nothing | unsolicited |
    | | something | it is held |

    A request that waits too long is missing. It is wrong if one single message is held then that
    may stand in its place: one that came after it was sent, and that no later reply can explain.
    When the connection dies, what is in flight goes back to be sent again.

    If replies differ by nothing but their position, each belongs to the oldest request.

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
        self._check = self._expectation.check
        self._has_verified = False
        self._answered = Memory(lanes.memory)
        self._given_up = Memory(lanes.memory)
        # The requests in flight, as long as the replies come in order; None from then on.
        self._queue: deque[Request] | None = deque()
        self._in_flight = KeyedRequests()
        self._overtaken = KeyedRequests()
        self._serial = 0
        # Messages that answer nothing, while something waits.
        self._held: deque[_Held] = deque()
        self._held_bytes = 0
        if lanes.by_key:
            self.find_by_key()

    @property
    def in_flight(self) -> int:
        """How many requests have a reply to come, and so take up room in the window."""
        if self._queue is not None:
            return len(self._queue)
        return len(self._in_flight)

    @property
    def is_empty(self) -> bool:
        """Whether no request waits for its reply."""
        if self._queue is not None:
            return not self._queue
        return not (self._in_flight or self._overtaken)

    @property
    def oldest_sent_at(self) -> float:
        """When the oldest of the requests in flight was sent; there must be one."""
        oldest = self._in_flight.oldest if self._queue is None else self._queue[0]
        return oldest.sent_at

    def waiting_keys(self) -> Iterator[Key]:
        """Return the keys of the requests in flight, found by key."""
        yield from self._in_flight.keys()
        yield from self._overtaken.keys()

    def send(self, requests: Sequence[Request]) -> None:
        """Take down requests that go out."""
        self._lanes.add(self)
        if requests[0].attempt > 1:  # those that go out once more come first
            self.resent += sum(request.attempt > 1 for request in requests)
        if self._lanes.by_key:  # others may ask for what is in flight here
            self.find_by_key()
        if self._queue is not None:
            self._queue.extend(requests)
        else:
            self._add(requests)

    def receive(self, messages: list[bytes], now: float) -> bool:
        """Name the messages of one read, which came at this time, and hand the right ones over.

        Returns:
            Whether they settled any request.
        """
        return self._receive_in_order(messages, now) or self._receive_by_key(messages, now)

    def next_in_order(self, count: int) -> list[Request]:
        """Return the requests that the next messages answer, no more than this many.

        None once they are found by key.
        """
        queue = self._queue
        if queue is None:
            return []
        return [*queue] if len(queue) <= count else [*islice(queue, count)]

    def take_in_order(self, requests: list[Request]) -> None:
        """Take these requests, the next in order, for answered: their replies are right."""
        queue = self._queue
        assert queue is not None
        if len(requests) == len(queue):
            queue.clear()
        else:
            for _ in requests:
                queue.popleft()
        self._answered.extend(map(_payload_of, requests))
        if self.resent:
            self.resent -= sum(request.attempt > 1 for request in requests)
        self._has_verified = True

    def find_by_key(self) -> None:
        """Find the requests by key from now on."""
        if self._queue is not None:
            queue, self._queue = self._queue, None
            self._add(queue)

    def time_out(self, now: float, limit: float, why: str) -> bool:
        """Give up the requests that were sent this many seconds ago or earlier: no reply came.

        Returns:
            Whether one of them has been answered, if wrongly.
        """
        self.find_by_key()
        waiting, expired = self._in_flight, []
        explains = bool(waiting) and self._explains_held(waiting.oldest_serial)
        while waiting and now - waiting.oldest.sent_at >= limit:
            expired.append(waiting.take_oldest())
        return self._expire(expired, now, why, explains=explains)

    def time_out_overtaken(self, now: float, limit: float, *, at_end: bool) -> None:
        """Give up the requests that were sent this many seconds ago and overtaken since.

        What stood in the place of one came before the reply that overtook it. A message that comes
        later is its wrong reply only if nothing is in flight and nothing will be, so that no other
        reply can explain the message.
        """
        waiting, expired = self._overtaken, []
        explains = at_end and not self._in_flight and len(self._held) == 1
        while waiting and now - waiting.oldest.sent_at > limit:
            expired.append(waiting.take_oldest())
        why = f"none in {limit:g} s, though a later one got its own"
        self._expire(expired, now, why, explains=explains)

    def give_up(self, now: float, why: str | None) -> None:
        """Wait for nothing any more, as the run is over; why is None if that is not a fault."""
        self.find_by_key()
        self._dismiss_held()
        self._miss([*self._overtaken.clear(), *self._in_flight.clear()], now, why)
        self._lanes.discard(self)

    def handle_lost(self, now: float, why: str) -> list[Request]:
        """Return what was in flight when the connection died, and wait for nothing any more.

        What was overtaken by a later one is not among it: its reply is known to be lost.
        """
        self.find_by_key()
        self._dismiss_held()
        lost = self._in_flight.clear()
        for key, request in lost:
            self._release(key, request)
        self.give_up(now, why)
        return [request for _, request in lost]

    # In order.

    def _receive_in_order(self, messages: list[bytes], now: float) -> bool:
        """Take replies that are all right and in order.

        Returns:
            Whether they are. If not, nothing has been done.
        """
        requests = self.next_in_order(len(messages))
        payloads = [request.payload for request in requests]
        numbers = self._expectation.check_in_order(payloads, messages)
        if len(numbers) < len(messages):
            return False
        self.take_in_order(requests)
        self._ledger.verify(self.number, requests, messages, numbers, now)
        return True

    # By key.

    def _add(self, requests: Iterable[Request]) -> None:
        for request in requests:
            key = self._expectation.request_key(request.payload)
            self._in_flight.add(self._serial, key, request)
            self._serial += 1
            if self._lanes.by_key:
                self._lanes.note_key(key, self.number)

    def _receive_by_key(self, messages: list[bytes], now: float) -> bool:
        self.find_by_key()
        answered = self._ledger.answered
        right: list[_Right] = []
        for message in messages:
            key = self._expectation.reply_key(message)
            if key is None:
                self._take_unmatched(message, now)
            elif (serial := self._in_flight.find(key)) is not None:
                self._take_reply(self._in_flight, serial, message, now, right)
            elif (serial := self._overtaken.find(key)) is not None:
                self._take_reply(self._overtaken, serial, message, now, right)
            else:
                self._take_unexpected(key, message, now)
        if self.is_empty and not self._held and not self._lanes.by_key:
            self._queue = deque()
        if right:
            self._ledger.verify(
                self.number,
                [request for request, _, _ in right],
                [message for _, message, _ in right],
                [number for _, _, number in right],
                now,
            )
        return self._ledger.answered > answered

    def _take_reply(
        self,
        where: KeyedRequests,
        serial: int,
        message: bytes,
        now: float,
        right: "list[_Right]",
    ) -> None:
        """Take the reply to a request that waits; right ones are collected."""
        ledger = self._ledger
        request = where.get(serial)
        try:
            number = self._check(request.payload, message)
        except WrongReplyError:
            self._settle(where, serial)
            ledger.mark_wrong(self.number, request, message, now)
            return
        if where is self._in_flight:
            self._overtake(serial, now)
        else:
            what = "its reply came after that to a later one"
            ledger.note_fault("out_of_order", request.payload, what)
        self._settle(where, serial)
        self._has_verified = True
        right.append((request, message, number))

    def _take_unexpected(self, key: Key, message: bytes, now: float) -> None:
        """Name a message with a key that nothing waits for here."""
        about = key if isinstance(key, bytes) else message
        if self._expectation.by_position:
            self._dismiss(message)
        elif key in self._given_up:
            what = "its reply came late, after it had been given up"
            self._ledger.note_fault("late", about, what)
        elif key in self._answered:
            self._ledger.note_fault("duplicate", about, "a duplicate reply")
        elif self._expectation.is_push(message):
            self._ledger.note_message("pushes")
        elif (other := self._lanes.holder(key)) is not None:
            what = f"its reply strayed to connection {self.number}, it was sent on {other}"
            self._ledger.note_fault("unsolicited", about, what)
        else:
            self._take_unmatched(message, now)

    def _take_unmatched(self, message: bytes, now: float) -> None:
        """Take a message that has not the key of any request."""
        if self._expectation.is_push(message):
            self._ledger.note_message("pushes")
        elif not (self._expectation.by_prefix and self._take_prefixed(message, now)):
            self._hold(message, now)

    def _take_prefixed(self, message: bytes, now: float) -> bool:
        """Take a message for the wrong reply to the request that it begins with, if any."""
        found = [
            (len(where.get(serial).payload), where is self._in_flight, serial)
            for where in (self._in_flight, self._overtaken)
            if (serial := where.find_prefix(message)) is not None
        ]
        if not found:
            return False
        _, in_flight, serial = max(found)
        request = self._settle(self._in_flight if in_flight else self._overtaken, serial)
        self._ledger.mark_wrong(self.number, request, message, now)
        return True

    def _settle(self, where: KeyedRequests, serial: int) -> Request:
        """Remove a request that is answered, right or wrong."""
        key, request = where.take(serial)
        self._release(key, request)
        self._answered.extend((key,))
        return request

    def _release(self, key: Key, request: Request) -> None:
        """Forget a request that has been removed."""
        if request.attempt > 1:
            self.resent -= 1
        if self._lanes.by_key and key not in self._in_flight and key not in self._overtaken:
            self._lanes.drop_key(key, self.number)

    def _overtake(self, serial: int, now: float) -> None:
        """Set the older requests aside, since a later one has been answered."""
        for older, key, request in self._in_flight.take_older(serial):
            while self._held and self._held[0].sent <= older:  # it came before this one was sent
                self._dismiss_oldest()
            if self._held:
                self._take_held(key, request)
            else:
                self._overtaken.add(older, key, request)
        self._dismiss_held()
        memory = self._lanes.memory
        while len(self._overtaken) > memory:
            why = f"none, though {memory:,} later ones got theirs"
            self._miss([self._overtaken.take_oldest()], now, why)

    # Messages held, and requests given up.

    def _hold(self, message: bytes, now: float) -> None:
        """Hold a message that answers nothing, until what follows explains it."""
        if self.is_empty:
            self._dismiss(message)
            return
        self._held.append(_Held(message, now, self._serial))
        self._held_bytes += len(message)
        while len(self._held) > self._lanes.held or (
            self._held_bytes > HELD_BYTES and len(self._held) > 1
        ):
            self._dismiss_oldest()

    def _take_held(self, key: Key, request: Request) -> None:
        """Take the oldest message held for the wrong reply to a request that was removed."""
        self._release(key, request)
        self._answered.extend((key,))
        held = self._held.popleft()
        self._held_bytes -= len(held.message)
        self._ledger.mark_wrong(self.number, request, held.message, held.came_at)

    def _dismiss_held(self) -> None:
        while self._held:
            self._dismiss_oldest()

    def _dismiss_oldest(self) -> None:
        message = self._held.popleft().message
        self._held_bytes -= len(message)
        self._dismiss(message)

    def _dismiss(self, message: bytes) -> None:
        """Count a message as unsolicited."""
        what = "a message that nobody asked for"
        if not self._has_verified:
            what = "a greeting: the server speaks first on each connection (see --greeting)"
        self._ledger.note_fault("unsolicited", message, what)

    def _explains_held(self, serial: int) -> bool:
        """Return whether one message is held, which came after this request was sent."""
        return len(self._held) == 1 and serial < self._held[0].sent

    def _expire(
        self, requests: list[tuple[Key, Request]], now: float, why: str, *, explains: bool
    ) -> bool:
        """Count requests as missing that waited too long, after they were removed.

        Args:
            requests: The requests, with their keys.
            now: The time.
            why: Why they are missing.
            explains: Whether the message held is the wrong reply to the first of them.

        Returns:
            Whether one of them has been answered, if wrongly.
        """
        answered = explains and bool(requests)
        if answered:
            self._take_held(*requests.pop(0))
        if self.is_empty:
            self._dismiss_held()
        self._miss(requests, now, why)
        return answered

    def _miss(self, requests: list[tuple[Key, Request]], now: float, why: str | None) -> None:
        for key, request in requests:
            self._release(key, request)
        self._given_up.extend(key for key, _ in requests)
        self._ledger.miss(self.number, [request for _, request in requests], now, why)


class _Held(NamedTuple):
    """A message that answers nothing, as far as is known."""

    message: bytes
    came_at: float
    sent: int
    """The serial number of the first request that was sent after it came."""


_payload_of = attrgetter("payload")

_Right = tuple[Request, bytes, int]
"""A request, its right reply, and the number in it."""
