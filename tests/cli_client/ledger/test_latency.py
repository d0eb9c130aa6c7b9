"""Latencies: what is counted in one place or in several, and read at once or in intervals."""

import pickle
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli_client.ledger.latency import Latencies, interval_summary, three_digits

SECONDS = st.lists(st.floats(1e-6, 3600), max_size=8)


def counted(latencies: list[float]) -> Latencies:
    found = Latencies()
    found.record(latencies)
    return found


def sent_over(latencies: Latencies) -> Latencies:
    """Return what arrives in another process."""
    arrived: Latencies = pickle.loads(pickle.dumps(latencies))
    return arrived


@settings(deadline=None, max_examples=30)
@given(st.lists(SECONDS, min_size=1, max_size=4))
def test_shares_add_up_to_what_one_would_have_counted(shares: list[list[float]]) -> None:
    whole = sent_over(counted(shares[0]))
    for share in shares[1:]:
        whole.add(sent_over(counted(share)))
    alone = counted([latency for share in shares for latency in share])
    assert whole.summary() == pytest.approx(alone.summary())
    assert whole.bars() == alone.bars()


@given(st.lists(st.tuples(st.floats(1e-6, 1), st.integers(1, 9)), max_size=8))
def test_equal_ones_count_together_as_they_do_one_by_one(reads: list[tuple[float, int]]) -> None:
    together, alone = Latencies(), Latencies()
    for latency, times in reads:
        together.record([latency] * times)
        for _ in range(times):
            alone.record([latency])
    assert together.summary() == alone.summary()
    assert together.take_interval() == alone.take_interval()


def test_nothing_has_no_latencies() -> None:
    assert Latencies().summary() is None
    assert Latencies().bars() == []


def test_reading_the_histogram_takes_nothing_from_the_interval() -> None:
    latencies = counted([0.001, 0.002])
    latencies.summary()
    latencies.encode()
    assert latencies.take_interval() == Counter({1000: 1, 2000: 1})
    assert latencies.take_interval() == Counter()


def test_reading_an_interval_takes_nothing_from_the_histogram() -> None:
    latencies = counted([0.001])
    latencies.take_interval()
    latencies.record([0.003])
    summary = latencies.summary()
    assert summary is not None
    assert (summary["min"], summary["mean"]) == (1.0, pytest.approx(2.0))


def test_an_interval_without_a_reply_has_no_latency() -> None:
    assert interval_summary({}) == dict.fromkeys(("p50", "p90", "p99", "max"))
    assert interval_summary({1234: 99, 8000: 1}) == {
        "p50": 1.234,
        "p90": 1.234,
        "p99": 1.234,
        "max": 8.0,
    }


def test_an_interval_keeps_three_digits() -> None:
    assert three_digits({7: 1, 999: 1, 1234: 1, 1235: 1, 99_999: 1}) == Counter(
        {7: 1, 999: 1, 1230: 1, 1240: 1, 100_000: 1}
    )


@given(st.integers(1, 3_600_000_000))
def test_three_digits_are_right_to_half_a_per_cent(value: int) -> None:
    (rounded,) = three_digits({value: 1})
    assert rounded == pytest.approx(value, rel=0.00501)
