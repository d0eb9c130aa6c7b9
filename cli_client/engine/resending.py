"""What connections lost when they died, to be sent again on others.

Any request in flight may have caused the death, or none. So that one that kills each connection
takes no others with it, they go out apart: on each connection one at a time at first, and one more
for each that was answered there. So that a server that closes one connection after the other does
not get them each time on the next to be closed, they wait a while for a connection that opened
after they were lost.
"""

from collections import Counter, deque
from collections.abc import Sequence

from msgspec.structs import replace
from websockets.frames import CloseCode

from cli_client.ledger.expectation import Key
from cli_client.ledger.keyed_lane import KeyedLane
from cli_client.ledger.lanes import AnyLane
from cli_client.ledger.ledger import Request

__all__ = ["Resending"]

PATIENCE = 0.5
"""Seconds for which a lost request waits for a fresh connection: the first attempts at one come
within a tenth of that."""

LEAVING = {
    CloseCode.NORMAL_CLOSURE,
    CloseCode.GOING_AWAY,
    CloseCode.SERVICE_RESTART,
    CloseCode.TRY_AGAIN_LATER,
}
"""Close codes of a server that leaves by its own choice, not because of what it was sent."""


class Resending:
    """Keeps the requests that are to be sent again.

    Args:
        retries: How many deaths a request may have caused before it is given up.
    """

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._waiting: deque[tuple[float, Request]] = deque()
        self._deaths: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, lost: Sequence[Request], code: int, now: float) -> list[Request]:
        """Take what a connection lost, and return what must not be sent again.

        Args:
            lost: What was in flight.
            code: The close code of the connection (1006 if there was no Close frame).
            now: The time.
        """
        suspects = sum(request.attempt > 1 for request in lost)
        given_up = []
        for request in lost:
            # Of several that were lost before, each goes out alone next time, and is judged then.
            suspected = request.attempt == 1 or suspects == 1
            if len(lost) == 1 or (suspected and code not in LEAVING):
                self._deaths[request.number] += 1
            if self._deaths[request.number] > self._retries:
                given_up.append(request)
            else:
                self._waiting.append((now, replace(request, attempt=request.attempt + 1)))
        return given_up

    def take(self, lane: AnyLane, amount: int, opened_at: float, now: float) -> list[Request]:
        """Return what may go out on a connection that opened at this time.

        Args:
            lane: What is in flight there.
            amount: How many at the most.
            opened_at: When the connection opened.
            now: The time, which becomes that of their sending.
        """
        waiting = self._waiting
        taken: list[Request] = []
        keys: set[Key] = set()
        while len(taken) < amount and waiting:
            lost_at, request = waiting[0]
            if opened_at <= lost_at and now - lost_at < PATIENCE:
                break
            if isinstance(lane, KeyedLane) and (request.key in lane or request.key in keys):
                break  # another connection can send it, or this one once that is answered
            waiting.popleft()
            keys.add(request.key)
            taken.append(replace(request, sent_at=now))
        return taken

    def clear(self) -> list[Request]:
        """Return all that waits, and send it no more."""
        requests = [request for _, request in self._waiting]
        self._waiting.clear()
        return requests
