"""Arrivals: the messages that one turn of the event loop brings, over all connections.

A turn that wakes many connections brings each of them few messages. What costs as much for one
message as for many is done once for all of them: to check, to count, to take new requests.
"""

import asyncio
from collections.abc import Callable
from itertools import chain

from cli_client.engine.clocks import Clock
from cli_client.engine.connection import Connection
from cli_client.engine.supply import Supply
from cli_client.ledger.ledger import Ledger, Request

__all__ = ["Arrivals"]

MOST = 4096
"""Messages that are collected, at the most, before they are named: so a flood of them does not keep
the run from being ended for longer than it takes to name what came in one read."""


class Arrivals:
    """Has messages named, and fills the connections on which they came.

    Args:
        ledger: Where messages are named.
        supply: Gives the requests.
        on_settled: Called when requests may have met their fate, with the error if the replies
            cannot be handed over.
        clock: Tells the time.
        at_once: Whether to do so at each read, since there is one connection only.
    """

    def __init__(
        self,
        ledger: Ledger,
        supply: Supply,
        on_settled: Callable[[OSError | None], None],
        clock: Clock,
        *,
        at_once: bool,
    ) -> None:
        self._ledger = ledger
        self._supply = supply
        self._on_settled = on_settled
        self._clock = clock
        self._at_once = at_once
        self._arrived: dict[Connection, list[bytes]] = {}
        self._count = 0
        self._now = 0.0

    def add(self, connection: Connection, messages: list[bytes], now: float) -> None:
        """Add what one read brought at this time.

        The time of the first read counts for the whole turn: the event loop found all of it at
        once, and what the sender takes for the first must not count as the latency of the last.
        """
        if not self._arrived:
            self._now = now
            if not self._at_once:
                asyncio.get_running_loop().call_soon(self.finish)
        earlier = self._arrived.setdefault(connection, messages)
        if earlier is not messages:
            earlier += messages
        self._count += len(messages)
        if self._at_once or self._count > MOST:
            self.finish()

    def finish(self) -> None:
        """Act on what arrived: at the end of the turn, or before anybody looks at the requests."""
        if not self._arrived:
            return
        arrived, self._arrived = self._arrived, {}
        self._count = 0
        if not (len(arrived) > 1 and self._receive_together(arrived)):
            for connection, messages in arrived.items():
                try:
                    connection.receive(messages, self._now)
                except OSError as error:  # whoever takes the responses cannot
                    connection.stop()
                    self._on_settled(error)
        sent = self._fill([*arrived])
        if not sent and any(connection.lane.is_empty for connection in arrived):
            # Else the run waits for these connections at least.
            self._on_settled(None)

    def _receive_together(self, arrived: dict[Connection, list[bytes]]) -> bool:
        """Take replies that are all right and in order, each on its connection.

        Returns:
            Whether they are. If not, nothing has been done.
        """
        if self._ledger.tells_each:
            return False
        waiting: list[list[Request]] = []
        messages: list[bytes] = []
        for connection, replies in arrived.items():
            next_ones = connection.lane.next_in_order(len(replies))
            if len(next_ones) < len(replies):
                return False
            waiting.append(next_ones)
            messages += replies
        requests = [*chain.from_iterable(waiting)]
        payloads = [request.payload for request in requests]
        numbers = self._ledger.expectation.check_in_order(payloads, messages)
        if len(numbers) < len(messages):
            return False
        for connection, answered in zip(arrived, waiting, strict=True):
            connection.lane.take_in_order(answered)
            connection.note_progress(self._now)
        try:
            self._ledger.verify(0, requests, messages, numbers, self._now)
        except OSError as error:
            for connection in arrived:
                connection.stop()
            self._on_settled(error)
        return True

    def _fill(self, connections: list[Connection]) -> bool:
        """Send new requests in place of those that were answered.

        Returns:
            Whether any is known to have gone out, so that the run waits for its reply.
        """
        if len(connections) == 1 or not self._supply.is_shared:
            for connection in connections:
                connection.fill()
            return False
        now = self._clock()
        rooms = [connection.room for connection in connections]
        # None of them depends on a connection, so that any may stand for all.
        lane = connections[0].lane
        requests = self._supply.take(lane, lane.number, sum(rooms), 0, 0.0, now)
        start = 0
        for connection, room in zip(connections, rooms, strict=True):
            connection.send(requests[start : start + room], now)
            start += room
        return bool(requests)
