"""How the sender notices that it stood still itself."""

import asyncio
import time

import pytest

from cli_client.engine.clocks import STALL, LoopWatch, StopWatch


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_time_without_a_beat_is_a_stall() -> None:
    clock, stalls, starved = Clock(), [], []

    async def main() -> None:
        watch = LoopWatch(
            clock, lambda begin, end: stalls.append((begin, end)), lambda: starved.append(1)
        )
        watch.start()
        clock.now += STALL * 0.9
        watch.beat()
        assert not stalls
        begin = clock.now
        clock.now += 3.0
        assert watch.beat() == clock.now
        assert stalls == [(begin, clock.now)]
        watch.stop()
        clock.now += 10.0
        watch.beat()

    asyncio.run(main())
    assert len(stalls) == 1


def test_a_loop_that_is_too_busy_for_its_timers_is_no_stall() -> None:
    clock, stalls, starved = Clock(), [], []

    async def main() -> None:
        watch = LoopWatch(
            clock, lambda begin, end: stalls.append(begin), lambda: starved.append(watch.is_late)
        )
        watch.start()
        for _ in range(100):
            clock.now += 0.01
            watch.beat()

    asyncio.run(main())
    assert not stalls
    # About ten times a second, so that somebody looks after the run.
    assert 5 <= len(starved) <= 10
    assert all(starved), "it knows that it is late before a timer has told it so"


def test_what_the_loop_does_after_the_run_is_not_measured() -> None:
    async def main() -> None:
        watch = LoopWatch(time.perf_counter, lambda begin, end: None, lambda: None)
        watch.start()
        watch.stop_measuring()
        await asyncio.sleep(0.05)
        watch.stop()
        assert watch.lag.bars() == []

    asyncio.run(main())


def test_a_stopwatch_of_a_clock_that_begins_at_zero() -> None:
    clock = Clock()
    clock.now = 0.0
    stopwatch = StopWatch(clock)
    assert stopwatch.elapsed == 0.0
    stopwatch.start()
    clock.now = 2.5
    assert stopwatch.elapsed == 2.5
    stopwatch.stop()
    clock.now = 9.0
    assert stopwatch.elapsed == pytest.approx(2.5)
