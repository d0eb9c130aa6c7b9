"""A run: connects, sends every request, waits for every reply, and leaves a result.

It is over when every request has met its fate, when the time is up and all that was sent is
answered, when no connection can be kept up any more, or when it is interrupted.
"""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from types import FrameType

from cli_client.engine.clocks import Clock, LoopWatch, StopWatch
from cli_client.engine.descriptors import DescriptorError, allow
from cli_client.engine.fleet import Fleet
from cli_client.engine.opening import Opener, OpeningError
from cli_client.engine.pacing import MakeTicker, Pace, ThreadTicker
from cli_client.engine.source import SourceError, open_source
from cli_client.engine.supply import Supply
from cli_client.ledger.latency import Latencies
from cli_client.ledger.ledger import Ledger, OnSettled, OnVerified
from cli_client.ledger.result import Result
from cli_client.ledger.service import expectation_of
from cli_client.ledger.timeline import Standing, Timeline
from cli_client.settings import Settings
from cli_client.share import Share
from wire.event_loop import new_event_loop

__all__ = ["Run", "RunError"]

WATCH_INTERVAL = 0.1
"""Seconds from one look at the run to the next."""

INTERRUPTED_CLOSE_TIMEOUT = 0.5
"""Seconds that closing may take after Ctrl-C, so that the report comes within one."""


class RunError(Exception):
    """A run that could not begin; the message says why, and what to do."""


class Run:
    """Sends the requests of one run, or one process's share of them.

    Args:
        settings: The settings of the run.
        on_verified: Called with the right replies of one read, in order. An OSError ends the run.
        watch: Called about ten times a second while the run lasts; returns whether to go on.
        share: Which share of the run this is.
        on_settled: Called with each request that is settled, if a list of these is wanted.
        clock: Tells the time. The event loop's own may be too coarse: uvloop's ticks in whole
            milliseconds.
        ticker: Makes what ticks when a request is due.
        random: Draws the pauses.
    """

    def __init__(
        self,
        settings: Settings,
        on_verified: OnVerified,
        watch: Callable[[Standing], bool],
        share: Share = Share(),  # noqa: B008 (it cannot change)
        on_settled: OnSettled | None = None,
        *,
        clock: Clock = time.perf_counter,
        ticker: MakeTicker = ThreadTicker,
        random: Random | None = None,
    ) -> None:
        self._settings = settings
        self._share = share
        self._size = max(1, share.part(settings.connections))
        self._on_verified = on_verified
        self._watch = watch
        self._on_settled = on_settled
        self._clock = clock
        self._ticker = ticker
        self._random = random or Random()
        self._stopwatch = StopWatch(clock)
        self._pace = Pace(settings.rate / share.of, settings.ramp) if settings.rate else None
        self._schedule_lag = Latencies() if self._pace else None
        self._interrupted = False

    def __call__(self) -> Result:
        """Do it on an event loop of its own, and return what it came to.

        Raises:
            RunError: If there is no connection, or nothing can be read to be sent.
            OSError: If the answers cannot be handed over.
        """
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(self.run())

    async def run(self) -> Result:
        """Do it on the event loop that runs, and return what it came to.

        Raises:
            RunError: If there is no connection, or nothing can be read to be sent.
            OSError: If the answers cannot be handed over.
        """
        try:
            allow(self._size)
            self._opener = Opener(self._settings)
            self._expectation = expectation_of(self._settings.expanded())
            self._source = open_source(self._settings, self._share, self._fill_soon)
        except (DescriptorError, OpeningError, SourceError) as error:
            raise RunError(str(error)) from None
        return await self._run()

    def goes_on(self) -> bool:
        """Look after the run while something else holds it up; return whether it is to go on."""
        if not self._watch(self._timeline.note(self._stopwatch.elapsed)):
            self._interrupt()
        return not self._interrupted

    # The course of a run.

    async def _run(self) -> Result:
        self._loop = loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = loop.create_future()
        self._hurry = asyncio.Event()
        self._make_parts()
        tasks = [asyncio.create_task(self._watch_over())]
        with self._heeding_interrupts():
            try:
                opening = asyncio.create_task(self._open())
                tasks.append(opening)
                self._end_with(tasks[0])
                await asyncio.wait((opening, self._over), return_when=asyncio.FIRST_COMPLETED)
                if opening.done():
                    opening.result()
                    self._stopwatch.start()
                    self._loop_watch.start()
                    tasks.append(asyncio.create_task(self._fleet.keep()))
                    self._end_with(tasks[-1])
                    if self._pace is not None:
                        tasks.append(asyncio.create_task(self._send_what_is_due(self._pace)))
                        self._end_with(tasks[-1])
                await self._over
            finally:
                self._stopwatch.stop()
                self._loop_watch.stop()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self._close()
        return self._result()

    def _make_parts(self) -> None:
        settings = self._settings
        self._ledger = Ledger(
            self._source.total,
            self._expectation,
            paced=self._pace is not None,
            on_verified=self._on_verified,
            on_settled=self._on_settled,
        )
        self._timeline = Timeline(self._ledger)
        self._loop_watch = LoopWatch()
        self._supply = Supply(
            self._source, self._ledger, self._pace, settings.duration, self._stopwatch
        )
        self._fleet = Fleet(
            settings,
            self._size,
            self._opener,
            self._supply,
            self._ledger,
            self._check_over,
            self._clock,
            self._random,
        )

    async def _open(self) -> None:
        try:
            await self._fleet.open()
        except OpeningError as error:
            raise RunError(str(error)) from None

    async def _watch_over(self) -> None:
        """Look at the run now and then: its progress, its time, its silent connections."""
        while not self._over.done():
            await asyncio.wait((self._over,), timeout=WATCH_INTERVAL)
            self.goes_on()
            if self._stopwatch.running:
                self._fleet.look()
                self._check_over(None)

    async def _send_what_is_due(self, pace: Pace) -> None:
        """Send each request when it is due, by each of the connections in turn."""
        assert self._schedule_lag is not None
        looked = -1.0
        with self._ticker(pace, self._stopwatch) as ticker:
            while not self._over.done():
                elapsed = self._stopwatch.elapsed
                due = pace.due(self._supply.taken)
                # One that was due before has waited for the connections since, not for this task.
                if looked < due <= elapsed:
                    self._schedule_lag.record([elapsed - due])
                looked = elapsed
                self._fleet.spread(self._supply.owed)
                await ticker.wait()

    async def _close(self) -> None:
        """Wait for replies too many, and close."""
        self._fleet.stop()
        if not self._interrupted:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._settings.linger)
        await self._fleet.close()
        self._source.close()

    # What the connections, the source and the signals call.

    def _check_over(self, error: OSError | None) -> None:
        """End the run if there is nothing left to wait for."""
        ledger = self._ledger
        if error is not None and not self._over.done():
            self._over.set_exception(error)
        elif ledger.settled == ledger.total or (
            self._supply.is_over and ledger.settled == ledger.sent
        ):
            self._end()

    def _fill_soon(self) -> None:
        """Send, from whatever thread this is called, what has come to be sent."""

        def fill() -> None:
            self._fleet.fill()
            self._check_over(None)

        with contextlib.suppress(RuntimeError):  # the run is over, and the event loop with it
            self._loop.call_soon_threadsafe(fill)

    @contextlib.contextmanager
    def _heeding_interrupts(self) -> Iterator[None]:
        """End the run in order on Ctrl-C, for as long as the context lasts.

        Not by the event loop's own means: while this process waits for a reader of its output, the
        loop does not run.
        """

        def note(number: int, frame: FrameType | None) -> None:
            self._interrupted = True
            self._loop.call_soon_threadsafe(self._interrupt)

        try:
            before = signal.signal(signal.SIGINT, note)
        except ValueError:  # in another thread, as that of a cluster's worker
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _interrupt(self) -> None:
        self._interrupted = True
        self._hurry.set()
        self._loop.call_later(INTERRUPTED_CLOSE_TIMEOUT, self._fleet.abort)
        self._end()

    def _end_with(self, task: asyncio.Task[None]) -> None:
        """End the run with a task of its own, and with the error of that task if there is one."""

        def end(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None and not self._over.done():
                self._over.set_exception(error)
            self._end()

        task.add_done_callback(end)

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    # The end.

    def _result(self) -> Result:
        ledger, fleet = self._ledger, self._fleet
        now = self._clock()
        why = None if self._interrupted else fleet.last_words
        for lane in fleet.lanes:
            lane.give_up(now, why)
        ledger.miss(0, self._supply.give_up(), now, why)
        self._watch(self._timeline.note(self._stopwatch.elapsed))
        supply = self._supply
        requests = supply.taken + supply.refused if ledger.total is None else ledger.total
        fates = {
            "requests": requests,
            "verified": ledger.verified,
            "wrong": ledger.wrong,
            "missing": ledger.missing,
            "never_sent": requests - self._supply.taken,
            **{
                kind: ledger.messages[kind]
                for kind in ("duplicate", "out_of_order", "unsolicited", "late")
            },
        }
        if fates["never_sent"] and not self._interrupted:
            ledger.errors.note(
                "sending",
                f"requests were not sent: {why or 'there are no more'}",
                times=fates["never_sent"],
            )
        return Result(
            fates=Counter(fates),
            ordered=ledger.expectation.ordered,
            messages=ledger.messages + Counter(received=fleet.received),
            attempts=fleet.attempts + Counter(resent=ledger.resent),
            opened=fleet.opened,
            closes=fleet.closes,
            latencies=ledger.latencies,
            corrected=ledger.corrected,
            numbers=ledger.numbers,
            errors=ledger.errors,
            interrupted=self._interrupted,
            started=self._stopwatch.started if self._stopwatch.elapsed else None,
            elapsed=self._stopwatch.elapsed,
            cpu=self._stopwatch.cpu,
            loop_lag=self._loop_watch.lag,
            schedule_lag=self._schedule_lag,
            seconds=self._timeline.seconds,
        )
