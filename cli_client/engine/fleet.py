"""The fleet: all connections of a run, each kept up for as long as the run lasts.

A connection that dies is opened again, after waits that grow, and what was in flight on it goes
back to be sent again. A server that refuses what it is sent is not asked again.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random

from websockets.frames import CloseCode

from cli_client.engine.clocks import Clock
from cli_client.engine.connection import Connection
from cli_client.engine.opening import Opener, OpeningError
from cli_client.engine.protocol import RequestProtocol
from cli_client.engine.supply import Supply
from cli_client.ledger.keyed_lane import KeyedLane
from cli_client.ledger.lane import Lane
from cli_client.ledger.lanes import Lanes
from cli_client.ledger.ledger import Ledger, Request
from cli_client.ledger.result import CloseKey
from cli_client.settings import Settings

__all__ = ["Fleet"]

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
"""Seconds to wait before a connection is opened again; each wait is twice the one before."""

OPENING_AT_ONCE = 200
"""Handshakes under way at a time, fewer than the usual backlog of a listening socket."""

STARTING_AT_ONCE = 100
"""Connections that begin to send in one turn of the event loop. All at once, 15,000 of them would
hold it up for seconds."""

REMEMBERED = 1024
"""How many answered requests a connection knows still, so that a reply too many is named."""

REMEMBERED_IN_ALL = 65_536
"""How many those are over all connections, unless a window is larger."""

FINAL_CODES = {
    CloseCode.PROTOCOL_ERROR,
    CloseCode.UNSUPPORTED_DATA,
    CloseCode.INVALID_DATA,
    CloseCode.POLICY_VIOLATION,
    CloseCode.MESSAGE_TOO_BIG,
    CloseCode.MANDATORY_EXTENSION,
}
"""Close codes by which a server refuses what it was sent, and would again."""


class Fleet:
    """The connections of a run, or of one process's share of it.

    Args:
        settings: The settings of the run.
        size: How many connections.
        opener: Opens them.
        supply: Gives the requests, and takes back what is to be sent again.
        ledger: Where requests and replies are entered.
        settled: Called when requests may have met their fate, with the error if the replies cannot
            be handed over.
        clock: Tells the time.
        random: Draws the pauses.
    """

    def __init__(
        self,
        settings: Settings,
        size: int,
        opener: Opener,
        supply: Supply,
        ledger: Ledger,
        settled: Callable[[OSError | None], None],
        clock: Clock,
        random: Random,
    ) -> None:
        self.opened = 0
        self.received = 0
        """Messages on connections that have ended, as their protocols count them."""
        self.attempts: Counter[str] = Counter()
        """How many connections were opened again, and what was in flight on those that died."""
        self.closes: Counter[CloseKey] = Counter()
        self.last_words = ""
        """Why a connection ended, or could not be opened; the last that was heard."""
        self._settings = settings
        self._size = size
        self._opener = opener
        self._supply = supply
        self._ledger = ledger
        self._settled = settled
        self._clock = clock
        self._random = random
        memory = REMEMBERED_IN_ALL // size
        if not ledger.expectation.by_key:
            memory = min(REMEMBERED, memory)
        memory = max(settings.window, memory)
        self.lanes = Lanes(ledger, memory, held=settings.window)
        self._numbers = count(1)
        self._turn = 0
        # By place: a connection that is opened again stands where the old one was.
        self._connections: dict[int, Connection] = {}

    async def open(self) -> None:
        """Open all connections: the first alone, so that its failure is told once and at once.

        Raises:
            OpeningError: If the first cannot be opened.
        """
        self._connections[0] = await self._open()
        opening = asyncio.Semaphore(OPENING_AT_ONCE)

        async def open_one(place: int) -> None:
            async with opening:
                failures = 0
                while True:
                    try:
                        self._connections[place] = await self._open()
                        return
                    except OpeningError as error:
                        failures += 1
                        if error.lasting or failures > self._settings.retries:
                            what = f"a connection could not be opened: {error}"
                            self._ledger.errors.note("opening", what)
                            return
                    await self._pause(failures)

        await asyncio.gather(*map(open_one, range(1, self._size)))

    async def keep(self) -> None:
        """Send and receive, and keep the connections up until none is left to be kept."""
        keepers: list[asyncio.Task[None]] = []
        try:
            for place, connection in [*self._connections.items()]:
                keepers.append(asyncio.create_task(self._keep(place, connection)))
                if len(keepers) % STARTING_AT_ONCE == 0:
                    await asyncio.sleep(0)
            await asyncio.gather(*keepers)
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    def fill(self) -> None:
        """Send, over all connections, what has come to be sent."""
        for connection in [*self._connections.values()]:
            connection.fill()

    def spread(self, amount: int) -> None:
        """Send so many requests, over each of the connections in turn."""
        connections = [*self._connections.values()]
        share = -(-amount // max(1, len(connections)))
        for _ in connections:
            if not self._supply.owed:
                break
            self._turn += 1
            connections[self._turn % len(connections)].fill(share)

    def look(self) -> None:
        """Look for connections that are silent, and requests that have waited too long."""
        now = self._clock()
        for connection in [*self._connections.values()]:
            connection.look(now, self._settings.timeout)

    def stop(self) -> None:
        """Send no more requests."""
        for connection in self._connections.values():
            connection.stop()

    async def close(self) -> None:
        """Close all connections in order, and enter what comes until then."""
        connections = [*self._connections.values()]
        limit = self._settings.close_timeout
        await asyncio.gather(*(connection.close(limit) for connection in connections))
        for connection in connections:
            self._note_closing(connection)

    def abort(self) -> None:
        """End all connections at once."""
        for connection in self._connections.values():
            connection.abort()

    async def _open(self) -> Connection:
        def make(protocol: RequestProtocol, headers: tuple[tuple[str, str], ...]) -> Connection:
            number = next(self._numbers)
            lane = (
                KeyedLane(self.lanes, number)
                if self._ledger.expectation.by_key
                else Lane(self.lanes, number)
            )
            return Connection(
                protocol,
                headers,
                window=self._settings.window,
                lane=lane,
                take=partial(self._supply.take, lane),
                settled=self._settled,
                clock=self._clock,
            )

        connection = await self._opener.open(make)
        self.opened += 1
        return connection

    async def _keep(self, place: int, connection: Connection) -> None:
        """Keep one of the connections up."""
        settings = self._settings
        if settings.ramp and not settings.rate:
            await asyncio.sleep(settings.ramp * place / self._size)
        failures = 0
        while True:
            connection.start()
            self._settled(None)
            await connection.ended
            await connection.close(settings.close_timeout)
            failures = 1 if connection.has_answered else failures + 1
            del self._connections[place]
            if not self._bury(connection):
                return
            while True:
                if failures > settings.retries:
                    return
                await self._pause(failures)
                try:
                    connection = await self._open()
                except OpeningError as error:
                    failures += 1
                    self.last_words = str(error)
                    if error.lasting:
                        return
                else:
                    break
            self.attempts["reconnects"] += 1
            self._connections[place] = connection

    def _bury(self, connection: Connection) -> bool:
        """Decide what becomes of the requests of a connection that died.

        Returns:
            Whether the connection is to be opened again.
        """
        settings = self._settings
        now = self._clock()
        closing = connection.closing()
        self._note_closing(connection)
        self.last_words = closing.in_words
        refused = closing.by == "server" and closing.code in FINAL_CODES
        if connection.broke_protocol or refused:
            self._ledger.errors.note("closing", closing.in_words)
        lost = connection.lane.handle_lost(now, closing.in_words)
        self.attempts["in_flight_when_lost"] += len(lost)
        keep: list[Request] = []
        give_up: list[Request] = []
        for request in lost:
            again = settings.resend and request.attempt <= settings.retries and not refused
            (keep if again else give_up).append(request)
        self._ledger.miss(connection.lane.number, give_up, now, closing.in_words)
        self._supply.send_again(keep)
        self.fill()
        self._settled(None)
        return not refused and settings.retries > 0

    def _note_closing(self, connection: Connection) -> None:
        self.received += connection.received
        by, code, reason, words = connection.closing()
        self.closes[CloseKey(by, int(code), reason, words, by == "client")] += 1

    async def _pause(self, failures: int) -> None:
        """Wait before trying again, ever longer, each at a moment of its own."""
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1))
        await asyncio.sleep(longest * self._random.uniform(0.5, 1.0))
