"""A run: connects, sends every request, waits for every reply, and leaves a result.

Each connection has a keeper, a task that opens it again when it dies and hands what was in flight
over to be sent again. The run is over when every request has met its fate, when the time is up and
all that was sent is answered, when no keeper is left, or when it is interrupted.
"""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable
from itertools import count

from websockets.frames import CloseCode

from cli_client.connection import Connection
from cli_client.expectation import expectation
from cli_client.health import LoopWatch, StopWatch
from cli_client.latency import Latencies
from cli_client.ledger import Lane, Ledger, Request, Settled
from cli_client.opening import Opener, OpeningError
from cli_client.pacing import Pace
from cli_client.protocol import RequestProtocol
from cli_client.result import CloseKey, Result
from cli_client.settings import Settings
from cli_client.source import Share, SourceError, open_source
from cli_client.timeline import Standing, Timeline
from wire.event_loop import new_event_loop

__all__ = ["Run", "RunError"]

WATCH_INTERVAL = 0.1
"""Seconds from one look at the run to the next."""

PACE_INTERVAL = 0.001
"""Seconds from one sending of what is due to the next; event loops know no finer timer."""

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
"""Seconds to wait before a connection is opened again; each wait is twice the one before."""

OPENING_AT_ONCE = 200
"""Handshakes under way at a time, fewer than the usual backlog of a listening socket."""

INTERRUPTED_CLOSE_TIMEOUT = 0.5
"""Seconds that closing may take after Ctrl-C, so that the report comes within one."""

NO_SIGNALS = (NotImplementedError, ValueError, RuntimeError)
"""What an event loop says that can handle none: that of Windows (KeyboardInterrupt comes instead),
and that of a thread, in which a worker of a cluster runs its share."""

FINAL_CODES = {
    CloseCode.PROTOCOL_ERROR,
    CloseCode.UNSUPPORTED_DATA,
    CloseCode.INVALID_DATA,
    CloseCode.POLICY_VIOLATION,
    CloseCode.MESSAGE_TOO_BIG,
    CloseCode.MANDATORY_EXTENSION,
}
"""Close codes by which a server refuses what it was sent, and would again."""


class RunError(Exception):
    """A run that could not begin; the message says why, and what to do."""


class Run:
    """Sends the requests of one run, or one process's share of them.

    Args:
        settings: The settings of the run.
        verified: Called with the right replies of one read, in order. An OSError ends the run.
        watch: Called about ten times a second while the run lasts; returns whether to go on.
        share: Which share of the run this is.
        settled: Called with each request that is settled, if a list of these is wanted.
    """

    def __init__(
        self,
        settings: Settings,
        verified: Callable[[list[bytes]], None],
        watch: Callable[[Standing], bool],
        share: Share = Share(),  # noqa: B008 (it cannot change)
        settled: Settled | None = None,
    ) -> None:
        self._settings = settings
        self._share = share
        self._verified = verified
        self._watch = watch
        self._settled = settled
        self._clock = time.perf_counter
        self._stopwatch = StopWatch()
        self._interrupted = False
        self._time_is_up = False
        self._again: deque[Request] = deque()
        self._paced = 0
        # By place: a keeper that opens its connection again puts it where the old one was.
        self._connections: dict[int, Connection] = {}
        self._numbers = count(1)
        self._attempts: Counter[str] = Counter()
        self._closes: Counter[CloseKey] = Counter()
        self._opened = 0
        self._last_words = ""
        self._pace = Pace(settings.rate / share.of, settings.ramp) if settings.rate else None
        self._schedule_lag = Latencies() if self._pace else None

    def __call__(self) -> Result:
        """Do it, and return what it came to.

        Raises:
            RunError: If there is no connection, or nothing to send.
            OSError: If the answers cannot be handed over.
        """
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(self._run())

    # The course of a run.

    async def _run(self) -> Result:
        self._loop = loop = asyncio.get_running_loop()
        settings = self._settings
        self._over: asyncio.Future[None] = loop.create_future()
        try:
            self._source = open_source(settings, self._share, self._fill_soon)
            self._opener = Opener(settings)
        except (SourceError, OpeningError) as error:
            raise RunError(str(error)) from None
        if self._source.total == 0 and self._share.of == 1:
            raise RunError(f"nothing to send: {settings.file} is empty")
        self._ledger = Ledger(
            self._source.total,
            expectation(settings.expect, settings.binary),
            paced=self._pace is not None,
            verified=self._verified,
            settled=self._settled,
        )
        self._timeline = Timeline(self._ledger)
        before = signal.getsignal(signal.SIGINT)
        with contextlib.suppress(*NO_SIGNALS):
            loop.add_signal_handler(signal.SIGINT, self._interrupt)
        self._loop_watch = LoopWatch()
        opening = asyncio.create_task(self._watch_opening())
        opening.add_done_callback(self._check_task)
        tasks = [opening]
        try:
            await self._open_all()
            opening.cancel()
            self._stopwatch.start()
            self._loop_watch.start()
            keepers = [
                asyncio.create_task(self._keep(place, connection))
                for place, connection in self._connections.items()
            ]
            tasks += [*keepers, asyncio.create_task(self._watch_over(keepers))]
            if self._pace is not None:
                tasks.append(asyncio.create_task(self._send_what_is_due(self._pace)))
            for task in tasks:
                task.add_done_callback(self._check_task)
            await self._over
        finally:
            self._stopwatch.stop()
            self._loop_watch.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close_all()
            self._source.close()
            # uvloop's would stay, and swallow each Ctrl-C from here on.
            with contextlib.suppress(*NO_SIGNALS):
                if loop.remove_signal_handler(signal.SIGINT):
                    signal.signal(signal.SIGINT, before)
        return self._result()

    async def _open_all(self) -> None:
        """Open all connections: the first alone, so that its failure is told once and at once."""
        places = range(1, max(1, self._share.part(self._settings.connections)))
        opening = asyncio.Semaphore(OPENING_AT_ONCE)

        async def open_one(place: int) -> None:
            async with opening:
                failures = 0
                while not self._over.done():
                    try:
                        self._connections[place] = await self._open()
                        return
                    except OpeningError as error:
                        failures += 1
                        if error.lasting or failures > self._settings.retries:
                            self._ledger.complain(f"a connection could not be opened: {error}")
                            return
                        await self._pause(failures)

        first = asyncio.create_task(self._open())
        await asyncio.wait((first, self._over), return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            first.cancel()
            await asyncio.wait((first,))
            return
        try:
            self._connections[0] = first.result()
        except OpeningError as error:
            raise RunError(str(error)) from None
        rest = asyncio.gather(*map(open_one, places))
        await asyncio.wait((rest, self._over), return_when=asyncio.FIRST_COMPLETED)
        if rest.done():
            rest.result()
        else:
            rest.cancel()
            await asyncio.wait((rest,))

    async def _watch_opening(self) -> None:
        """Tell, until all connections are open, that the run is on its way."""
        while not self._over.done():
            await asyncio.wait((self._over,), timeout=WATCH_INTERVAL)
            if not self._watch(self._timeline.note(self._stopwatch.elapsed)):
                self._interrupt()

    async def _open(self) -> Connection:
        def make(protocol: RequestProtocol, headers: tuple[tuple[str, str], ...]) -> Connection:
            return Connection(
                protocol,
                headers,
                window=self._settings.window,
                lane=Lane(self._ledger, next(self._numbers)),
                take=self._take,
                clock=self._clock,
                settled=self._check_over,
            )

        connection = await self._opener.open(make)
        self._opened += 1
        return connection

    async def _keep(self, place: int, connection: Connection) -> None:
        """Keep one of the connections up for as long as the run lasts."""
        settings = self._settings
        if settings.ramp and self._pace is None:
            await asyncio.sleep(settings.ramp * place / settings.connections)
        failures = 0
        while True:
            connection.start()
            self._check_over(None)
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
                    self._last_words = str(error)
                    if error.lasting:
                        return
                else:
                    break
            self._attempts["reconnects"] += 1
            self._connections[place] = connection

    def _bury(self, connection: Connection) -> bool:
        """Decide what becomes of the requests of a connection that died.

        Returns:
            Whether the connection is to be opened again.
        """
        now = self._clock()
        closing = connection.closing()
        self._note_closing(connection)
        self._last_words = closing.in_words
        refused = closing.by == "server" and closing.code in FINAL_CODES
        if connection.broke_protocol or refused:
            self._ledger.complain(closing.in_words)
        lost = connection.lane.lose(now, closing.in_words)
        self._attempts["in_flight_when_lost"] += len(lost)
        keep: list[Request] = []
        give_up: list[Request] = []
        for request in lost:
            again = self._settings.resend and request.attempt <= self._settings.retries
            (keep if again and not refused else give_up).append(request)
        self._ledger.miss(connection.lane.number, give_up, now, closing.in_words)
        self._again.extend(request._replace(attempt=request.attempt + 1) for request in keep)
        self._fill_all()
        self._check_over(None)
        return not refused and self._settings.retries > 0

    async def _watch_over(self, keepers: list[asyncio.Task[None]]) -> None:
        """Look at the run now and then: its progress, its time, its silent connections."""
        settings = self._settings
        while not self._over.done():
            await asyncio.wait((self._over,), timeout=WATCH_INTERVAL)
            now = self._clock()
            if not self._watch(self._timeline.note(self._stopwatch.elapsed)):
                self._interrupt()
            for connection in [*self._connections.values()]:
                connection.look(now, settings.timeout)
            self._check_time(now)
            self._check_over(None)
            if all(keeper.done() for keeper in keepers):
                self._end()

    async def _send_what_is_due(self, pace: Pace) -> None:
        """Send each request when it is due, by each of the connections in turn."""
        assert self._schedule_lag is not None
        turn = 0
        while not self._over.done():
            elapsed = self._stopwatch.elapsed
            owed = pace.count(elapsed) - self._paced
            if owed > 0:
                self._schedule_lag.record([max(0.0, elapsed - pace.due(self._paced))])
            connections = [*self._connections.values()]
            share = -(-(owed + len(self._again)) // max(1, len(connections)))
            for _ in connections:
                if self._paced >= pace.count(elapsed) and not self._again:
                    break
                turn += 1
                connections[turn % len(connections)].fill(share)
            next_due = pace.due(self._paced) - self._stopwatch.elapsed
            await asyncio.sleep(max(PACE_INTERVAL, min(next_due, WATCH_INTERVAL)))

    async def _pause(self, failures: int) -> None:
        """Wait before trying again, ever longer, each at a moment of its own."""
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1))
        await asyncio.sleep(longest * random.uniform(0.5, 1.0))

    async def _close_all(self) -> None:
        """Close in order, and enter what comes until then."""
        settings = self._settings
        connections = [*self._connections.values()]
        for connection in connections:
            connection.stop()
        if self._interrupted:
            limit = INTERRUPTED_CLOSE_TIMEOUT
        else:
            limit = settings.close_timeout
            await asyncio.sleep(settings.linger)
        await asyncio.gather(*(connection.close(limit) for connection in connections))
        for connection in connections:
            self._note_closing(connection)

    # What the connections call.

    def _take(self, amount: int) -> list[Request]:
        """Return the next requests to send: those to be sent again before the new ones."""
        now = self._clock()
        again = self._again
        taken = [again.popleft()._replace(sent_at=now) for _ in range(min(amount, len(again)))]
        self._ledger.resent += len(taken)
        amount -= len(taken)
        self._check_time(now)
        if amount > 0 and not self._time_is_up and not self._over.done():
            new = self._take_new(amount, now)
            self._ledger.sent += len(new)
            taken += new
        return taken

    def _take_new(self, amount: int, now: float) -> list[Request]:
        pace = self._pace
        if pace is None:
            return [Request(number, payload, now, now) for number, payload in self._next(amount)]
        started, first = self._stopwatch.started, self._paced
        payloads = self._next(min(amount, pace.count(now - started) - first))
        self._paced += len(payloads)
        return [
            Request(number, payload, started + pace.due(place), now)
            for place, (number, payload) in enumerate(payloads, first)
        ]

    def _next(self, amount: int) -> list[tuple[int, bytes]]:
        try:
            return self._source.take(amount)
        except SourceError as error:
            self._ledger.complain(str(error))
            return []

    def _check_over(self, error: OSError | None) -> None:
        """End the run if there is nothing left to wait for."""
        ledger = self._ledger
        if error is not None and not self._over.done():
            self._over.set_exception(error)
        elif ledger.settled == ledger.total or (
            (self._source.exhausted or self._time_is_up)
            and not self._again
            and ledger.settled == ledger.sent
        ):
            self._end()

    def _fill_all(self) -> None:
        """Send, over all connections, what has come to be sent."""
        for connection in [*self._connections.values()]:
            connection.fill()
        self._check_over(None)

    def _fill_soon(self) -> None:
        """Send, from whatever thread this is called, what has come to be sent."""
        with contextlib.suppress(RuntimeError):  # the run is over, and the event loop with it
            self._loop.call_soon_threadsafe(self._fill_all)

    def _check_time(self, now: float) -> None:
        limit = self._settings.duration
        if limit is not None and now - self._stopwatch.started >= limit:
            self._time_is_up = True

    def _check_task(self, task: asyncio.Task[None]) -> None:
        """End the run with the error of a task of its own."""
        if not task.cancelled() and task.exception() is not None and not self._over.done():
            self._over.set_exception(task.exception() or AssertionError)

    def _interrupt(self) -> None:
        self._interrupted = True
        self._end()

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    # The end.

    def _note_closing(self, connection: Connection) -> None:
        by, code, reason, _ = connection.closing()
        self._closes[by, int(code), reason] += 1

    def _result(self) -> Result:
        ledger = self._ledger
        now = self._clock()
        why = None if self._interrupted else self._last_words
        for lane in list(ledger.lanes):
            lane.give_up(now, why)
        ledger.miss(0, list(self._again), now, why)
        self._again.clear()
        self._watch(self._timeline.note(self._stopwatch.elapsed))
        fates = ledger.fates()
        if fates["never_sent"] and not self._interrupted:
            ledger.complain(f"{fates['never_sent']:,} requests were not sent: {self._last_words}")
        return Result(
            fates=Counter(fates),
            attempts=self._attempts + Counter(resent=ledger.resent),
            opened=self._opened,
            closes=self._closes,
            latencies=ledger.latencies,
            corrected=ledger.corrected,
            numbers=ledger.numbers,
            errors=ledger.errors,
            error_count=ledger.error_count,
            interrupted=self._interrupted,
            started=self._stopwatch.started_at,
            elapsed=self._stopwatch.elapsed,
            cpu=self._stopwatch.cpu,
            loop_lag=self._loop_watch.lag,
            schedule_lag=self._schedule_lag,
            seconds=self._timeline.seconds,
        )
