"""The seconds of a run: by the second while it is short, in few spans however long it lasts."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli_client.ledger.expectation import expectation
from cli_client.ledger.ledger import Ledger, Request
from cli_client.ledger.timeline import LONGEST, Second, Seconds, Timeline


def taken_down(*times: float) -> Seconds:
    seconds = Seconds()
    for time in times:
        seconds.add(time, Second(sent=1, latencies=Counter({100: 1})))
    return seconds


def test_a_short_run_is_there_by_the_second() -> None:
    seconds = taken_down(0.0, 0.9, 1.0, 3.5)
    assert seconds.step == 1
    assert [second.sent for second in seconds] == [2, 1, 0, 1]


@pytest.mark.parametrize(("last", "step"), [(LONGEST - 1, 1), (LONGEST, 2), (86_400 * 3, 512)])
def test_a_long_run_has_few_spans(last: float, step: int) -> None:
    seconds = taken_down(0.0, last)
    assert (seconds.step, len(seconds)) == (step, last // step + 1)
    assert len(seconds) <= LONGEST


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 5_000), min_size=1, max_size=20),
    st.lists(st.floats(0, 5_000), max_size=20),
    st.floats(0, 2_000),
)
def test_nothing_is_lost_when_spans_are_merged(
    first: list[float], second: list[float], later: float
) -> None:
    whole = taken_down(*first)
    whole.add_all(taken_down(*second), later)
    assert len(whole) <= LONGEST
    assert sum(span.sent for span in whole) == len(first) + len(second)
    assert sum(sum(span.latencies.values()) for span in whole) == len(first) + len(second)


def test_a_standing_has_what_happened_since_the_one_before() -> None:
    ledger = Ledger(10, expectation("echo", False), paced=False, on_verified=print)
    timeline = Timeline(ledger)
    ledger.note_sent(2, 0.0)
    ledger.verify(1, [Request(0, b"a", 0.0, 0.0)], [b"a"], [0], 0.001)
    standing = timeline.note(0.5)
    assert (standing.sent, standing.answered, standing.recent) == (2, 1, {1000: 1})
    assert timeline.note(0.6).recent == {}
    assert [span.answered for span in timeline.seconds] == [1]
