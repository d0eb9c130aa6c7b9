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

from cli_client.engine.arrivals import Arrivals
from cli_client.engine.clocks import LoopWatch
from cli_client.engine.connection import Brake, Connection
from cli_client.engine.introduction import Introductions
from cli_client.engine.opening import Opener, OpeningError
from cli_client.engine.outage import Outage
from cli_client.engine.protocol import RequestProtocol
from cli_client.engine.resending import Resending
from cli_client.engine.supply import Supply
from cli_client.engine.template import TableError
from cli_client.ledger.keyed_lane import KeyedLane
from cli_client.ledger.lane import Lane
from cli_client.ledger.lanes import Lanes
from cli_client.ledger.ledger import Ledger
from cli_client.ledger.result import CloseKey, HandshakeKey
from cli_client.settings import Settings
from cli_client.share import Share

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
"""How many answered requests a connection still knows, so that a duplicate reply is named."""

REMEMBERED_IN_ALL = 65_536
"""How many those are over all connections, unless a window is larger."""

MOST_REASONS = 100
"""How many different ends and failures are listed: servers choose their reasons."""

LATE = 0.3
"""Seconds between two checks of the connections, three times what is usual, from which on what came
meanwhile has to be read first."""

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
        share: Which of the connections of the run these are.
        opener: Opens them.
        introductions: What is said on each before the first request.
        supply: Gives the requests.
        resending: Takes back what is to be sent again.
        ledger: Where requests and replies are entered.
        on_settled: Called when requests may have met their fate, with the error if the replies
            cannot be handed over.
        watch: Tells the time, and notices stalls.
        brake: Whether to take nothing in any more.
        random: Draws the pauses.
    """

    def __init__(
        self,
        settings: Settings,
        size: int,
        share: Share,
        opener: Opener,
        introductions: Introductions,
        supply: Supply,
        resending: Resending,
        ledger: Ledger,
        on_settled: Callable[[OSError | None], None],
        watch: LoopWatch,
        brake: Brake,
        random: Random,
    ) -> None:
        self.received = 0
        """Messages on connections that have ended, as their protocols count them."""
        self.attempts: Counter[str] = Counter()
        """reconnects, in_flight_when_lost, connections_given_up, unanswered_closes, breaches."""
        self.handshakes: Counter[HandshakeKey] = Counter()
        self.closes: Counter[CloseKey] = Counter()
        self.outage = Outage()
        self.last_words = ""
        """Why a connection ended, or could not be opened; the last that was heard."""
        self.uncompressed = 0
        """How many connections opened without the compression that was asked for."""
        self.subprotocols: set[str] = set()
        """The subprotocols that the server chose."""
        self.without_subprotocol = 0
        """How many connections opened without any of the subprotocols that were asked for."""
        self._settings = settings
        self._size = size
        self._share = share
        self._opener = opener
        self._introductions = introductions
        self._supply = supply
        self._resending = resending
        self._ledger = ledger
        self._on_settled = on_settled
        self._watch = watch
        self._brake = brake
        self._random = random
        memory = REMEMBERED_IN_ALL // size
        if not ledger.expectation.by_key:
            memory = min(REMEMBERED, memory)
        self.lanes = Lanes(ledger, max(settings.window, memory), held=settings.window)
        self._arrivals = Arrivals(ledger, supply, on_settled, watch.now, at_once=size == 1)
        self._numbers = count(1)
        self._turn = 0
        self._checked_at = 0.0
        # By place: a connection that is opened again stands where the old one was.
        self._connections: dict[int, Connection] = {}
        self._closing: dict[Connection, asyncio.Task[None]] = {}
        self._opening = asyncio.Semaphore(OPENING_AT_ONCE)
        self._unopened = size
        self._all_opened = asyncio.Event()
        self._begun = [asyncio.Event() for _ in range(-(-size // STARTING_AT_ONCE))]

    @property
    def opened(self) -> int:
        """How many connections opened."""
        return self.handshakes[HandshakeKey("opened")]

    @property
    def in_flight(self) -> int:
        """How many requests are in flight over all connections."""
        return sum(connection.lane.in_flight for connection in self._connections.values())

    @property
    def has_room(self) -> bool:
        """Whether any connection could send another request now."""
        return any(connection.has_room for connection in self._connections.values())

    @property
    def is_connected(self) -> bool:
        """Whether any connection is open."""
        return bool(self._connections)

    @property
    def moves(self) -> bool:
        """Whether bytes move on a connection on which requests are in flight."""
        timeout = self._settings.timeout
        return any(connection.moves(timeout) for connection in self._connections.values())

    # The course of a run.

    async def open_first(self) -> None:
        """Open one connection alone, so that its failure is reported once and at once.

        Only where a server is silent before the first request is it tried again, and in a run with
        a duration only within the time for one attempt: that run must end in time.

        Raises:
            OpeningError: If it cannot be opened.
        """
        settings, failures = self._settings, 0
        began = self._watch.now()
        while True:
            try:
                self._connections[0] = await self._open(0)
            except OpeningError as error:
                failures += 1
                took = self._watch.now() - began
                late = settings.duration is not None and took >= settings.connect_timeout
                if error.phase != "hello" or error.lasting or late or failures > settings.retries:
                    raise
                await self._pause(failures)
            else:
                return

    async def keep(self) -> None:
        """Keep the connections up, until none is left to be kept."""
        async with asyncio.TaskGroup() as keepers:
            for place in range(self._size):
                keepers.create_task(self._keep(place), name=f"connection {place + 1}")

    async def all_opened(self) -> None:
        """Wait until each connection is open or given up."""
        await self._all_opened.wait()

    async def start(self) -> None:
        """Begin to send, over some of the connections in each turn of the event loop."""
        self._checked_at = self._watch.now()
        for begun in self._begun:
            begun.set()
            await asyncio.sleep(0)

    def fill(self) -> None:
        """Send, over all connections, what has come to be sent."""
        self._arrivals.finish()  # what came before a request is sent cannot answer it
        for connection in [*self._connections.values()]:
            connection.fill()

    def spread(self, amount: int) -> None:
        """Send this number of requests, over each of the connections in turn."""
        self._arrivals.finish()
        connections = [*self._connections.values()]
        share = -(-amount // max(1, len(connections)))
        for _ in connections:
            if not self._supply.owed:
                break
            self._turn += 1
            connections[self._turn % len(connections)].fill(share)

    def check_timeouts(self) -> None:
        """Look for connections that are silent, and requests that have waited too long."""
        now = self._watch.now()
        self._arrivals.finish()
        late = now - self._checked_at > LATE
        self._checked_at = now
        # What came while this process was held up may not have been read yet.
        if not late:
            at_end = self._supply.is_over
            for connection in [*self._connections.values()]:
                connection.check_timeouts(now, self._settings.timeout, at_end=at_end)
        if self._resending:
            self.fill()

    def stop(self) -> None:
        """Send no more requests."""
        for connection in self._connections.values():
            connection.stop()

    async def close(self, *, interrupted: bool) -> None:
        """Close all connections in order, and enter what comes until then."""
        self._arrivals.finish()
        for connection in self._connections.values():
            self._close(connection, interrupted=interrupted)
        await asyncio.gather(*self._closing.values())

    def abort(self) -> None:
        """End all connections at once, since the run is interrupted."""
        for connection in [*self._connections.values(), *self._closing]:
            connection.interrupt()

    # One connection.

    async def _keep(self, place: int) -> None:
        """Keep one of the connections up."""
        settings = self._settings
        connection = self._connections.get(place)
        failures = 0
        was_open = False
        while True:
            if connection is None:
                try:
                    connection = await self._open(place)
                except OpeningError as error:
                    failures += 1
                    self.last_words = str(error)
                    if error.lasting or failures > settings.retries:
                        self._give_up(f"a connection could not be opened: {error}", was_open)
                        return
                    await self._pause(failures)
                    continue
                self.attempts["reconnects"] += was_open
            self._connections[place] = connection
            if not was_open:
                was_open = True
                self._note_first_try()
                await self._begun[place // STARTING_AT_ONCE].wait()
                if settings.ramp and not settings.rate:
                    await asyncio.sleep(settings.ramp * place / self._size)
            self._arrivals.finish()
            connection.start()
            self._on_settled(None)
            await connection.ended
            failures = 1 if connection.has_answered else failures + 1
            refused = self._handle_lost(place, connection)
            connection = None
            if refused or failures > settings.retries:
                self._give_up("", was_open)
                return
            await self._pause(failures)

    async def _open(self, place: int) -> Connection:
        # For the fields of templates: the same after it is opened again.
        connection_number = self._share.index + place * self._share.of + 1
        made: list[Connection] = []

        def make(protocol: RequestProtocol, headers: tuple[tuple[str, str], ...]) -> Connection:
            number = next(self._numbers)
            by_key = self._ledger.expectation.by_key
            lane = KeyedLane(self.lanes, number) if by_key else Lane(self.lanes, number)
            connection = Connection(
                protocol,
                headers,
                window=self._settings.window,
                lane=lane,
                introduction=introduction,
                take=partial(self._supply.take, lane, connection_number),
                on_messages=self._arrivals.add,
                watch=self._watch,
                brake=self._brake,
            )
            made.append(connection)
            return connection

        async with self._opening:
            try:
                introduction = self._introductions.make(connection_number, self._ledger)
            except TableError as error:
                raise OpeningError(str(error), phase="hello", lasting=True) from None
            try:
                connection = await self._opener.open(make)
            except BaseException as error:
                # What came before it failed has been counted by name.
                self.received += sum(connection.received for connection in made)
                if not isinstance(error, OpeningError):  # the run is over
                    self.handshakes[HandshakeKey("unfinished")] += 1
                    raise
                key = HandshakeKey("failed", error.phase, error.reason)
                if key not in self.handshakes and len(self.handshakes) >= MOST_REASONS:
                    key = HandshakeKey("failed", error.phase, "for other reasons")
                self.handshakes[key] += 1
                self.attempts["breaches"] += error.breach
                raise
        self.handshakes[HandshakeKey("opened")] += 1
        self.outage.note_opened(connection.opened_at)
        self.uncompressed += self._settings.compress and not connection.compressed
        if connection.subprotocol is not None:
            self.subprotocols.add(connection.subprotocol)
        elif self._settings.subprotocols:
            self.without_subprotocol += 1
        return connection

    def _handle_lost(self, place: int, connection: Connection) -> bool:
        """Decide what becomes of the requests of a connection that died.

        Returns:
            Whether the server refused what it was sent, and would again.
        """
        settings, number = self._settings, connection.lane.number
        now = self._watch.now()
        self.outage.note_ended(now)
        del self._connections[place]
        key = connection.close_key()
        self.last_words = key.words
        waiting = connection.lane.in_flight
        # If several were in flight, they are tried apart before the server's word is final; and if
        # nothing is left to be sent, it refuses nothing.
        refused = (
            key.by == "server"
            and key.code in FINAL_CODES
            and waiting <= 1
            and not self._supply.is_settled
        )
        if connection.broke_protocol or refused:
            self._ledger.errors.note("closing", key.words)
        lost = connection.lane.handle_lost(now, key.words)
        self.attempts["in_flight_when_lost"] += len(lost)
        if not settings.resend or not settings.retries or refused:
            given_up = lost
        else:
            given_up = self._resending.add(lost, key.code, now)
        self._ledger.miss(number, given_up, now, key.words)
        self._close(connection, interrupted=False)
        self._on_settled(None)
        return refused and not any(request.attempt > 1 for request in lost)

    def _close(self, connection: Connection, *, interrupted: bool) -> None:
        """Close a connection without waiting for it, and take down how it ended."""

        async def close() -> None:
            limit = self._settings.close_timeout
            try:
                await connection.close(limit, interrupted=interrupted)
            finally:
                self._note_closed(connection)

        self._closing[connection] = asyncio.create_task(close(), name="closing")

    def _note_closed(self, connection: Connection) -> None:
        del self._closing[connection]
        self.received += connection.received
        self.attempts["breaches"] += connection.broke_protocol
        self.attempts["unanswered_closes"] += connection.left_close_unanswered
        key = connection.close_key()
        if key not in self.closes and len(self.closes) >= MOST_REASONS:
            key = key._replace(reason="", words="for other reasons")
        self.closes[key] += 1

    def _give_up(self, why: str, was_open: bool) -> None:
        """Take down that a connection is not opened again, unless there is no use for it."""
        if not self._supply.is_settled:
            self.attempts["connections_given_up"] += 1
            if why:
                self._ledger.errors.note("opening", why)
        if not was_open:
            self._note_first_try()

    def _note_first_try(self) -> None:
        self._unopened -= 1
        if not self._unopened:
            self._all_opened.set()

    async def _pause(self, failures: int) -> None:
        """Wait before trying again, ever longer, each at a moment of its own."""
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1))
        await asyncio.sleep(longest * self._random.uniform(0.5, 1.0))
