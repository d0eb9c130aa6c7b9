"""A run: connects, sends every request, waits for every reply, and leaves a result.

It is over when every request has met its fate, when the time is up and all that was sent is
answered or has had its time, when no connection can be kept up any more, or when it is interrupted.
It ends in bounded time whatever the server does: with a duration z, within z and two time-outs (ten
while bytes of a reply move) and what connecting, lingering and closing may take.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from random import Random
from types import FrameType

from cli_client.engine.clocks import Clock, LoopWatch, StopWatch
from cli_client.engine.connection import MOST_PATIENCE, Brake
from cli_client.engine.descriptors import DescriptorError, allow
from cli_client.engine.fleet import Fleet
from cli_client.engine.interrupts import handling
from cli_client.engine.introduction import Introductions
from cli_client.engine.opening import Opener, OpeningError
from cli_client.engine.pacing import MakeTicker, Pace, ThreadTicker
from cli_client.engine.resending import Resending
from cli_client.engine.source import SourceError, open_source
from cli_client.engine.supply import Supply, amount_due
from cli_client.engine.template import TableError
from cli_client.ledger.latency import Latencies
from cli_client.ledger.ledger import Ledger, OnSettled, OnVerified
from cli_client.ledger.result import Result, Stall
from cli_client.ledger.service import expectation_of
from cli_client.ledger.timeline import Standing, Timeline
from cli_client.settings import Settings
from cli_client.share import Share
from wire.event_loop import new_event_loop

__all__ = ["Run", "RunError"]

WATCH_INTERVAL = 0.1
"""Seconds between two checks of the run."""

INTERRUPTED_CLOSE_TIMEOUT = 0.5
"""Seconds that closing may take after Ctrl-C, so that the report comes within one."""

TIMER_GRAIN = 0.002
"""Seconds that a timer of the event loop may be late: uvloop counts whole milliseconds."""

MOST_STALLS = 100
"""How many stalls are named, the longest."""


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

    Raises:
        RunError: If the run cannot begin.
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
        size = max(1, share.part(settings.connections))
        try:
            allow(size)
            opener = Opener(settings)
            introductions = Introductions(settings)
            expected = expectation_of(settings.expanded())
            self._source = open_source(settings, share, self._fill_soon)
        except (DescriptorError, OpeningError, SourceError, TableError) as error:
            raise RunError(str(error)) from None
        self._settings = settings
        self._watch = watch
        self._clock = clock
        self._make_ticker = ticker
        self._pace = Pace(settings.rate, settings.ramp, share) if settings.rate else None
        self._schedule_lag = Latencies() if self._pace else None
        self._stopwatch = StopWatch(clock)
        self._loop_watch = LoopWatch(clock, self._note_stall, self._relieve)
        self._brake = Brake()
        self._ledger = Ledger(
            amount_due(self._source, self._pace, settings.duration),
            expected,
            paced=self._pace is not None,
            on_verified=on_verified,
            on_settled=on_settled,
        )
        self._timeline = Timeline(self._ledger)
        resending = Resending(settings.retries)
        self._supply = Supply(
            self._source,
            self._ledger,
            self._pace,
            settings.duration,
            self._stopwatch,
            resending,
            may_be_equal=_may_be_equal(settings),
        )
        self._fleet = Fleet(
            settings,
            size,
            share,
            opener,
            introductions,
            self._supply,
            resending,
            self._ledger,
            self._check_over,
            self._loop_watch,
            self._brake,
            random or Random(),
        )
        self._stalls: list[Stall] = []
        self._began = 0.0
        self._interrupted = False
        self._abandoned = False
        self._why_over = ""
        """Why the run ended though not all was sent or answered, where that is not the path."""
        # For as long as the event loop runs.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._hurry = asyncio.Event()
        self._error: BaseException | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __call__(self) -> Result:
        """Do it on an event loop of its own, and return what it came to.

        Raises:
            OSError: If the answers cannot be handed over.
        """
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(self.run())

    async def run(self) -> Result:
        """Do it on the event loop that runs, and return what it came to.

        Raises:
            OSError: If the answers cannot be handed over.
        """
        self._loop = asyncio.get_running_loop()
        self._loop_watch.start()
        with self._handling_signals():
            try:
                self._began = self._clock()
                self._start_task("watch", self._keep_watch())
                self._start_task("course", self._take_course())
                await self._over.wait()
            finally:
                self._stopwatch.stop()
                self._loop_watch.stop_measuring()
                await self._end_tasks("course", "fleet")
                await self._close()
                # Only now: the run can be interrupted while it closes, too.
                self._loop_watch.stop()
                await self._end_tasks("watch")
        unopened = ""
        if isinstance(self._error, OpeningError):
            unopened = str(self._error)
            self._ledger.errors.note("opening", unopened)
        elif self._error is not None:
            raise self._error
        return dataclasses.replace(self._result(), unopened=unopened)

    def goes_on(self) -> bool:
        """Look after the run, and return whether it goes on.

        Called also from within ``on_verified`` where that has to wait, and by a connection while
        the event loop is too busy for its timers: so a full pipe or a flood of messages keeps
        nobody from ending the run.
        """
        self._watch_once()
        return not (self._interrupted or self.is_out_of_time())

    def is_out_of_time(self) -> bool:
        """Return whether the run has taken all the time that it may."""
        max_time = self._settings.max_time
        return max_time is not None and self._clock() - self._began >= max_time

    # The course of a run: each of these is a task.

    async def _take_course(self) -> None:
        """Open the connections, then send until all is over."""
        fleet = self._fleet
        began = self._clock()
        await fleet.open_first()
        self._start_task("fleet", fleet.keep())
        with contextlib.suppress(TimeoutError):
            # Those that take longer join in when they are open.
            limit = self._settings.connect_timeout - (self._clock() - began)
            await asyncio.wait_for(fleet.all_opened(), max(0.0, limit))
        if self._pace is not None:
            await self._wait_for_turn(self._pace)
        self._stopwatch.start()
        self._loop_watch.start_measuring()
        await fleet.start()
        if self._pace is not None:
            await self._send_what_is_due(self._pace)
        else:
            await self._over.wait()

    async def _wait_for_turn(self, pace: Pace) -> None:
        """Wait until a paced share can start so that all of them send at even distances."""
        now = self._clock()
        turn = now + pace.until_turn(now)
        if turn > now:
            await asyncio.sleep(turn - now - TIMER_GRAIN)
            # Nothing else happens yet, and this takes two grains at most.
            time.sleep(max(0.0, min(2 * TIMER_GRAIN, turn - self._clock())))  # noqa: ASYNC251

    async def _keep_watch(self) -> None:
        """Look at the run now and then: its progress, its time, its silent connections."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            self._watch_once()
            if self._over.is_set():
                continue
            if self.is_out_of_time():
                self._end_early(f"--max-time {self._settings.max_time:g} s was over")
            if self._stopwatch.running:
                self._fleet.check_timeouts()
                self._check_duration()
                self._check_over(None)

    async def _send_what_is_due(self, pace: Pace) -> None:
        """Send each request when it is due, by each of the connections in turn."""
        assert self._schedule_lag is not None
        checked = -1.0
        with self._make_ticker(pace, self._stopwatch) as ticker:
            while not self._over.is_set():
                elapsed = self._stopwatch.elapsed
                due = pace.due(self._supply.taken)
                # One that was due before has waited for the connections since, not for this task.
                if checked < due <= elapsed:
                    self._schedule_lag.record([elapsed - due])
                checked = elapsed
                self._fleet.spread(self._supply.owed)
                await ticker.wait()

    async def _close(self) -> None:
        """Wait for duplicate replies, and close."""
        self._fleet.stop()
        if self._abandoned:
            self._fleet.abort()
            return
        self._fleet.outage.stop(self._clock())
        if not self._interrupted:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._settings.linger)
        await self._fleet.close(interrupted=self._interrupted)
        self._source.close()

    def _start_task(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Start a task that ends the run when it ends, and with its error if it has one."""

        def note_end(task: asyncio.Task[None]) -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None and self._error is None and not self._over.is_set():
                self._error = error
            self._over.set()

        task = self._tasks[name] = asyncio.create_task(work, name=name)
        task.add_done_callback(note_end)

    async def _end_tasks(self, *names: str) -> None:
        tasks = [task for name, task in self._tasks.items() if name in names]
        for task in tasks:
            task.cancel()
        if not self._abandoned:
            await asyncio.gather(*tasks, return_exceptions=True)

    # What the connections, the source, the clocks and the signals call.

    def _check_over(self, error: OSError | None) -> None:
        """End the run if there is nothing left to wait for."""
        if error is not None and self._error is None and not self._over.is_set():
            self._error = error
            self._over.set()
        elif self._supply.is_settled:
            self._over.set()

    def _check_duration(self) -> None:
        """Bound what comes after the duration: one time-out to send what is owed, one to answer."""
        settings = self._settings
        if settings.duration is None:
            return
        late = self._stopwatch.elapsed - settings.duration
        if late >= settings.timeout:
            self._stop_sending()
        limit = (MOST_PATIENCE if self._fleet.moves else 2) * settings.timeout
        if late >= limit:
            self._end_early(f"it was still not there {limit:g} s after the duration was over")

    def _stop_sending(self) -> None:
        """Send no more of what is owed."""
        if not self._why_over and self._supply.owed and not self._supply.is_over:
            if not self._fleet.is_connected:
                self._why_over = self._fleet.last_words
            elif self._fleet.has_room:
                self._why_over = "the sender could not keep the rate"
            else:
                self._why_over = "all windows were full, as the replies did not come"
        self._ledger.miss(0, self._supply.close(), self._clock(), "it could not be sent again")

    def _end_early(self, why: str) -> None:
        """End the run though not all is sent or answered."""
        if not self._over.is_set():
            self._why_over = self._why_over or why
            self._over.set()

    def _watch_once(self) -> None:
        """Tell how far the run is, and hear whether it is to go on."""
        if not self._watch(self._timeline.note(self._stopwatch.elapsed)) and not self._interrupted:
            self._interrupt()

    def _relieve(self) -> None:
        """Hear whether the run is to go on, though the event loop is too busy for its timers."""
        self._watch_once()
        # The timer that ends an interrupted run would come late, too.
        self._brake.pulled = self._brake.pulled or self._interrupted

    def _note_stall(self, begin: float, end: float) -> None:
        """Take down that this process stood still, and how many requests that touched."""
        if not self._stopwatch.running:
            return
        started = self._stopwatch.started
        owed = self._supply.owed if self._pace is not None else 0
        self._stalls.append(
            Stall(max(0.0, begin - started), end - begin, self._fleet.in_flight + owed)
        )
        if len(self._stalls) > MOST_STALLS:
            self._stalls.remove(min(self._stalls, key=lambda stall: stall.length))
        self._ledger.note_stall(end)

    def _fill_soon(self) -> None:
        """Send, from whatever thread this is called, what has come to be sent."""

        def fill() -> None:
            self._fleet.fill()
            self._check_over(None)

        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the run is over, and the event loop with it
                self._loop.call_soon_threadsafe(fill)

    def _handling_signals(self) -> AbstractContextManager[None]:
        """End the run in order on the first signal, and at once on the second.

        Not by the event loop's own means: while this process waits for a reader of its output, the
        loop does not run.
        """

        def note(number: int, frame: FrameType | None) -> None:
            if self._interrupted:
                self._abandoned = True
                raise KeyboardInterrupt
            self._interrupted = True
            self._brake.pulled = True
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._interrupt)

        return handling(note)

    def _interrupt(self) -> None:
        self._interrupted = True
        # A loop that is not busy has the time to take in what comes until it is closed.
        self._brake.pulled = self._loop_watch.is_late
        self._hurry.set()
        if self._loop is not None:
            self._loop.call_later(INTERRUPTED_CLOSE_TIMEOUT, self._fleet.abort)
        self._over.set()

    # The end.

    def _result(self) -> Result:
        ledger, fleet, supply = self._ledger, self._fleet, self._supply
        now = self._clock()
        why = None if self._interrupted else self._why_over or fleet.last_words
        for lane in fleet.lanes:
            lane.give_up(now, why)
        ledger.miss(0, supply.close(), now, why)
        unopened = str(self._error) if isinstance(self._error, OpeningError) else ""
        if not unopened:
            self._watch(self._timeline.note(self._stopwatch.elapsed))
        requests = supply.taken + supply.refused if ledger.total is None else ledger.total
        never_sent = requests - supply.taken
        if never_sent > supply.refused and not unopened and not self._interrupted:
            what = f"requests were not sent: {why or 'there are no more'}"
            ledger.errors.note("sending", what, times=never_sent - supply.refused)
        without = ledger.corrected or ledger.latencies
        return Result(
            ordered=ledger.expectation.ordered,
            fates=Counter(
                requests=requests,
                verified=ledger.verified,
                wrong=ledger.wrong,
                missing=ledger.missing,
                never_sent=never_sent,
            ),
            messages=ledger.messages + Counter(received=fleet.received),
            attempts=fleet.attempts + Counter(resent=ledger.resent),
            opened=fleet.opened,
            handshakes=fleet.handshakes,
            closes=fleet.closes,
            latencies=ledger.latencies,
            corrected=ledger.corrected,
            numbers=ledger.numbers,
            errors=ledger.errors,
            unverified=self._unverified(),
            subprotocols=fleet.subprotocols,
            unopened=unopened,
            interrupted=self._interrupted,
            started=self._stopwatch.started if self._stopwatch.elapsed else None,
            elapsed=self._elapsed(),
            cpu=self._stopwatch.cores,
            loop_lag=self._loop_watch.lag,
            schedule_lag=self._schedule_lag,
            seconds=self._timeline.seconds,
            outage_max=fleet.outage.longest,
            outage_total=fleet.outage.total,
            silence_max=ledger.silence_max,
            stalls=self._stalls,
            latencies_without_stalls=without.without(ledger.stalled) if self._stalls else None,
        )

    def _elapsed(self) -> float:
        """Return the seconds from the first request to the last reply, or to the end without one.

        Requests went out until the duration was over if replies came until then.
        """
        ledger, duration = self._ledger, self._settings.duration
        if not ledger.answered:
            return self._stopwatch.elapsed
        elapsed = ledger.answered_at - ledger.started_at
        if duration is not None and duration - WATCH_INTERVAL < elapsed < duration:
            return duration
        return elapsed

    def _unverified(self) -> list[str]:
        """Return in words what the run did not verify."""
        settings, fleet = self._settings, self._fleet
        texts = []
        if settings.expect == "any":
            texts.append("replies were counted, not matched to their requests")
        elif self._supply.gave_equal:
            texts.append("equal requests: a loss and a duplicate can cancel out")
        if settings.expect == "key" and not settings.require:
            texts.append("ids matched, contents unchecked (--require checks them)")
        if settings.insecure and settings.url.lower().startswith("wss:"):
            texts.append("the server's certificate was not verified (-k)")
        if fleet.uncompressed:
            texts.append("compression was asked for and not granted")
        if fleet.without_subprotocol:
            texts.append("a subprotocol was asked for and none was granted")
        if fleet.attempts["in_flight_when_lost"] and not settings.resend:
            texts.append("what a lost connection had in flight was not sent again (--resend does)")
        texts.append(f"listened {settings.linger * 1000:g} ms for late replies")
        return texts


def _may_be_equal(settings: Settings) -> bool:
    """Return whether two requests may be the same."""
    from_template = settings.file is None and settings.corpus is None
    return not (from_template and ("{i}" in settings.template or "{uuid}" in settings.template))
