"""What the shares of a run come to together, where they do not run side by side."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from cli_client.engine.interrupts import SIGNALS
from cli_client.engine.run import RunError
from cli_client.ledger.result import Result
from cli_client.ledger.timeline import Second, Seconds, Standing
from cli_client.ledger.verdict import judge
from cli_client.settings import Settings
from cli_client.spread.one_share import Message
from cli_client.spread.shares import Heard, collect, noting_interrupts


def ended(outcome: Result | Exception) -> Future[Result]:
    """A share that has ended so."""
    future: Future[Result] = Future()
    if isinstance(outcome, Result):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)
    return future


def collected(
    *outcomes: Result | Exception,
    heard: tuple[Heard, ...] = (),
    one_clock: bool = True,
    settings: Settings = Settings(),  # noqa: B008 (it cannot change)
) -> Result:
    """The results of shares that have ended as one."""
    waiting = list(heard)

    def messages() -> Iterator[Heard]:
        while waiting:
            yield waiting.pop(0)

    return collect(
        settings,
        [ended(outcome) for outcome in outcomes],
        messages,
        lambda standing: None,
        lambda: None,
        threading.Event(),
        one_clock=one_clock,
        loss=lambda error: "was killed" if isinstance(error, BrokenProcessPool) else None,
    )


@pytest.mark.parametrize(("late", "warned"), [(0.5, False), (3.0, True)])
def test_shares_that_begin_late_are_named(late: float, warned: bool) -> None:
    whole = collected(
        Result(fates=Counter(verified=7), started=100.0, elapsed=5.0),
        Result(fates=Counter(verified=8), started=100.0 + late, elapsed=5.0),
    )
    assert whole.fates["verified"] == 15
    assert whole.elapsed == 5.0 + late
    assert bool(whole.warnings) == warned
    assert all("the last began 3.0 s after the first" in text for text in whole.warnings)


def test_a_share_that_never_began_does_not_count_for_the_time() -> None:
    whole = collected(
        Result(started=100.0, elapsed=5.0), Result(fates=Counter(never_sent=3), started=None)
    )
    assert (whole.elapsed, whole.fates["never_sent"]) == (5.0, 3)
    assert whole.warnings == []
    assert collected(Result(), Result()).elapsed == 0.0


def test_the_clocks_of_other_machines_may_show_anything() -> None:
    """Their monotonic clocks begin anywhere; what counts is when their messages come."""
    whole = collected(
        Result(started=1_000_000.0, elapsed=5.0),
        Result(started=3.0, elapsed=5.0),
        heard=(
            (50.0, Message(0, "a", sent_at=999_999.0)),
            (50.7, Message(1, "b", sent_at=2.0)),
            (90.0, Message(1, "b", Standing(elapsed=0.1), sent_at=41.5)),
        ),
        one_clock=False,
    )
    assert whole.elapsed == pytest.approx(5.5)
    assert whole.warnings == []


def test_a_lost_share_is_named_with_what_is_known_of_it() -> None:
    whole = collected(
        Result(
            fates=Counter(requests=9, verified=9),
            messages=Counter(received=9),
            started=1.0,
            elapsed=2.0,
        ),
        BrokenProcessPool(),
        heard=(
            (1.0, Message(1, "process 7")),
            (2.0, Message(1, "process 7", Standing(elapsed=1.5, sent=8, verified=6))),
        ),
    )
    assert whole.fates["verified"] == 9
    assert not whole.interrupted
    assert whole.missing_shares == [
        "share 2 of 2 (process 7) was killed: 1.5 s after its start it had sent 8 requests, "
        "6 of them verified; the report has nothing else of it, and counts 8 as missing and "
        "4,992 as never sent"
    ]
    assert whole.fates == {"requests": 5009, "verified": 9, "missing": 8, "never_sent": 4992}
    assert judge(whole, checks_hold=True, strict=False).reasons == [
        *("8 missing", "4,992 never sent"),
        *whole.missing_shares,
    ]


@pytest.mark.parametrize(
    ("options", "standing", "fates"),
    [
        ({"messages": 11}, None, {"requests": 5, "never_sent": 5}),
        (
            {"messages": None, "rate": 10.0, "duration": 3.0},
            Standing(sent=4),
            {"requests": 15, "missing": 4, "never_sent": 11},
        ),
        # A file, of which the share alone knows how many lines it has.
        (
            {"messages": None},
            Standing(sent=4, total=6),
            {"requests": 6, "missing": 4, "never_sent": 2},
        ),
        ({"messages": None}, None, {}),
        ({"messages": None, "duration": 3.0}, Standing(sent=4), {"requests": 4, "missing": 4}),
    ],
)
def test_each_request_of_a_lost_share_has_a_fate(
    options: dict[str, Any], standing: Standing | None, fates: dict[str, int]
) -> None:
    whole = collected(
        Result(),
        BrokenProcessPool(),
        heard=((1.0, Message(1, "process 7", standing)),),
        settings=Settings(**options),
    )
    assert +whole.fates == fates


def test_a_run_whose_shares_are_all_lost_has_a_result() -> None:
    whole = collected(BrokenProcessPool(), BrokenProcessPool())
    assert whole.missing_shares[1] == (
        "share 2 of 2 was killed: it had not begun to send; the report has nothing else of it, and "
        "counts 5,000 as never sent"
    )
    assert +whole.fates == {"requests": 10_000, "never_sent": 10_000}


def test_the_others_are_not_called_interrupted_when_one_is_lost() -> None:
    whole = collected(BrokenProcessPool(), Result(interrupted=True))
    assert not whole.interrupted
    assert collected(Result(), Result(interrupted=True)).interrupted


def test_a_share_that_cannot_begin_ends_the_run() -> None:
    with pytest.raises(RunError, match="no such file"):
        collected(Result(), RunError("no such file"))


@pytest.mark.parametrize("number", SIGNALS)
def test_every_interrupt_asks_the_shares_to_end(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    future: Future[Result] = Future()
    asked = []

    def stop() -> None:
        if not asked:
            asked.append(True)
            future.set_result(Result(fates=Counter(verified=1)))

    def show_nothing(standing: Standing) -> None:
        pass

    def messages() -> Iterator[Heard]:
        if not asked:
            signal.raise_signal(number)
        return iter(())

    with noting_interrupts() as interrupted:
        whole = collect(
            Settings(),
            [future],
            messages,
            show_nothing,
            stop,
            interrupted,
            one_clock=True,
            loss=lambda error: None,
        )
    assert whole.interrupted
    assert whole.fates["verified"] == 1
    assert signal.getsignal(number) is before


def test_a_second_interrupt_does_not_wait_for_the_shares() -> None:
    def messages() -> Iterator[Heard]:
        signal.raise_signal(signal.SIGTERM)
        return iter(())

    with pytest.raises(KeyboardInterrupt), noting_interrupts() as interrupted:
        collect(
            Settings(),
            [Future()],
            messages,
            lambda standing: None,
            lambda: None,
            interrupted,
            one_clock=True,
            loss=lambda error: None,
        )


def test_the_seconds_of_shares_are_added_where_they_lie() -> None:
    first, second = Seconds(), Seconds()
    first.add(0.5, Second(sent=1))
    second.add(0.5, Second(sent=10))
    whole = collected(
        Result(started=5.0, elapsed=1.0, seconds=first),
        Result(started=6.0, elapsed=1.0, seconds=second),
    )
    assert [span.sent for span in whole.seconds] == [1, 10]
