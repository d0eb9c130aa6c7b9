"""The ledger of a run: every request ends with exactly one fate, and the fates add up.

A request is *verified* when its own right reply came, *wrong* when something else came in its
place, *missing* when it was sent and nothing came, and else *never sent*. Replies are owed in the
order of the requests, so the reply that comes next belongs to the oldest request in flight. One
that does not is looked for among its neighbours, so that one lost, repeated or misplaced reply
counts as that and does not make all that follow it wrong.
"""

from collections import deque
from collections.abc import Callable, Iterable

from cli_client.latency import Latencies
from wire.exchange import WrongReplyError, check_reply

__all__ = ["BinaryReply", "Ledger"]

REMEMBERED = 1024
"""How many answered requests are kept to tell a repeated reply from one that nobody asked for."""

SHOWN_ERRORS = 10
"""How many errors are reported in full; the rest is counted."""


class BinaryReply(bytes):
    """The payload of a binary message, where text was asked for."""


class Ledger:
    """Takes down requests as they are sent and replies as they come.

    Args:
        total: How many requests there shall be.
        verified: Called with the right replies of one read, in order.
    """

    def __init__(self, total: int, verified: Callable[[list[bytes]], None]) -> None:
        self.total = total
        self.sent = 0
        self.verified = 0
        self.wrong = 0
        self.duplicate = 0
        self.out_of_order = 0
        self.unsolicited = 0
        self.latencies = Latencies()
        self.errors: list[str] = []
        self.error_count = 0
        self._hand_over = verified
        self._in_flight: deque[tuple[bytes, float]] = deque()
        # Requests in flight that a later one has been answered before.
        self._overdue: list[tuple[bytes, float]] = []
        self._answered: deque[bytes] = deque(maxlen=REMEMBERED)

    @property
    def in_flight(self) -> int:
        """How many requests wait for their reply."""
        return len(self._overdue) + len(self._in_flight)

    @property
    def settled(self) -> int:
        """How many requests have met their fate."""
        return self.verified + self.wrong

    @property
    def oldest(self) -> str:
        """The request that has waited longest, as text; empty if none waits."""
        waiting = self._overdue or self._in_flight
        return waiting[0][0].decode() if waiting else ""

    @property
    def passed(self) -> bool:
        """Whether every request got its right reply, and nothing else came."""
        return self.verified == self.total and not self.error_count

    def send(self, requests: Iterable[bytes], now: float) -> None:
        """Take down requests that go out at this time (seconds, of a steady clock)."""
        before = len(self._in_flight)
        self._in_flight.extend((request, now) for request in requests)
        self.sent += len(self._in_flight) - before

    def receive(self, replies: Iterable[bytes], now: float) -> None:
        """Check replies that came at this time, and hand the right ones over."""
        in_flight, answered, record = self._in_flight, self._answered, self.latencies.record
        right: list[bytes] = []
        for reply in replies:
            if in_flight and type(reply) is bytes:
                request, sent_at = in_flight[0]
                try:
                    check_reply(request, reply)
                except WrongReplyError as error:
                    self._explain(reply, str(error), now, right)
                else:
                    in_flight.popleft()
                    answered.append(request)
                    record(now - sent_at)
                    right.append(reply)
            else:
                self._explain(reply, "expected text, got a binary message", now, right)
        self.verified += len(right)
        self._hand_over(right)

    def complain(self, error: str) -> None:
        """Note what went wrong with the run itself, such as a connection that closed."""
        self.error_count += 1
        if len(self.errors) < SHOWN_ERRORS:
            self.errors.append(error)

    def fates(self) -> dict[str, int]:
        """Return the counts of the ledger. The first is the sum of the four that follow."""
        missing = self.in_flight
        fates = {
            "requests": self.total,
            "verified": self.verified,
            "wrong": self.wrong,
            "missing": missing,
            "never_sent": self.total - self.sent,
            "duplicate": self.duplicate,
            "out_of_order": self.out_of_order,
            "unsolicited": self.unsolicited,
        }
        if self.settled + missing != self.sent:
            raise AssertionError(f"the ledger does not balance: {fates}")
        return fates

    def _explain(self, reply: bytes, why: str, now: float, right: list[bytes]) -> None:
        """Find out what a reply is that does not answer the oldest request in flight."""
        if type(reply) is bytes:
            for place, (request, sent_at) in enumerate(self._in_flight):
                if _answers(request, reply):
                    self._overdue += [self._in_flight.popleft() for _ in range(place)]
                    self._in_flight.popleft()
                    self._settle(request, reply, now - sent_at, right)
                    return
            for place, (request, sent_at) in enumerate(self._overdue):
                if _answers(request, reply):
                    self.out_of_order += 1
                    self.complain(f"{_name(request)}: its reply came behind that to a later one")
                    del self._overdue[place]
                    self._settle(request, reply, now - sent_at, right)
                    return
            for request in reversed(self._answered):
                if _answers(request, reply):
                    self.duplicate += 1
                    self.complain(f"{_name(request)}: a reply too many")
                    return
        if self._in_flight:
            request, _ = self._in_flight.popleft()
            self.wrong += 1
            self.complain(f"{_name(request)}: {why}")
        else:
            self.unsolicited += 1
            self.complain(f"a reply that nobody asked for: {_name(reply)}")

    def _settle(self, request: bytes, reply: bytes, latency: float, right: list[bytes]) -> None:
        self._answered.append(request)
        self.latencies.record(latency)
        right.append(reply)


def _answers(request: bytes, reply: bytes) -> bool:
    try:
        check_reply(request, reply)
    except WrongReplyError:
        return False
    return True


def _name(payload: bytes) -> str:
    text = payload.decode(errors="backslashreplace")
    return text if len(text) <= 60 else f"{text[:59]}…"
