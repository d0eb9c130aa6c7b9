"""Latencies in a High Dynamic Range histogram: any number of them in the same memory.

Exact to three digits, from a microsecond to an hour (Gil Tene's HdrHistogram). Histograms of
several processes add up to what one would have counted.
"""

from collections import Counter
from collections.abc import Mapping

from hdrh.histogram import HdrHistogram

from cli_client.ledger.figures import PERCENTILES
from cli_client.ledger.tally import Tally

__all__ = ["Latencies", "interval_summary", "three_digits"]

INTERVAL = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
"""The latencies of an interval of a run, and the share of its replies that came within each."""

ROWS = 12
"""The bars of a histogram at most: one for each line of a small chart."""

_HOUR = 3_600_000_000


class Latencies:
    """Counts latencies, which it takes in seconds and returns in milliseconds."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, _HOUR, 3)
        self._sum = 0.0
        # Counting here first, and in the histogram now and then, is cheaper by far.
        self._pending = Tally()
        self._interval: Counter[int] = Counter()

    def record(self, latencies: list[float]) -> None:
        """Count latencies."""
        if latencies and latencies.count(latencies[0]) == len(latencies):
            # So it is for what one write sent and one read answers.
            self._pending.add_times(int(latencies[0] * 1e6), len(latencies))
        else:
            self._pending.add([int(latency * 1e6) for latency in latencies])

    def flush(self) -> None:
        """Count in the histogram what was recorded; what reads from here does so by itself."""
        pending = self._pending.take()
        if not pending:
            return
        record = self._histogram.record_value
        for microseconds, times in pending.items():
            record(min(_HOUR, max(1, microseconds)), times)
            self._sum += microseconds * times
        self._interval += three_digits(pending)

    def take_interval(self) -> Counter[int]:
        """Return how often each latency occurred since this was called before.

        They are in microseconds, rounded to three digits: so there are few different ones, however
        long nobody calls this.
        """
        self.flush()
        interval, self._interval = self._interval, Counter()
        return interval

    def add(self, other: "Latencies") -> None:
        """Count what another one has counted."""
        self.flush()
        other.flush()
        if other._histogram.get_total_count():
            # One that is empty would set the minimum to 0.
            self._histogram.add(other._histogram)
            self._sum += other._sum

    def without(self, other: "Latencies") -> "Latencies":
        """Return those of these latencies that are not among others, which must be some of them."""
        self.flush()
        other.flush()
        rest = Latencies()
        for item in self._histogram.get_recorded_iterator():
            value = item.value_iterated_to
            count = item.count_at_value_iterated_to - other._histogram.get_count_at_value(value)
            if count > 0:
                rest._histogram.record_value(value, count)
        rest._sum = self._sum - other._sum
        return rest

    def summary(self) -> dict[str, float] | None:
        """Return minimum, mean, percentiles and maximum; None if nothing was counted."""
        self.flush()
        histogram = self._histogram
        count = histogram.get_total_count()
        if not count:
            return None
        return {
            "min": histogram.get_min_value() / 1000,
            # The histogram's own mean walks through all of its values, for 20 ms.
            "mean": self._sum / count / 1000,
            **{
                name: histogram.get_value_at_percentile(float(name[1:])) / 1000
                for name in PERCENTILES
            },
            "max": histogram.get_max_value() / 1000,
        }

    def bars(self) -> list[dict[str, float]]:
        """Return counts between limits that each stand in the same ratio to the one before.

        The distance from a fast reply to a slow one is of more than one order of magnitude, so
        limits at equal distances would leave all but one of the bars empty.
        """
        self.flush()
        histogram = self._histogram
        if not histogram.get_total_count():
            return []
        low, high = histogram.get_min_value(), histogram.get_max_value() + 1
        limits = {low, high, *(round(low * (high / low) ** (row / ROWS)) for row in range(1, ROWS))}
        ascending = sorted(limits)
        below = [self._count_below(limit) for limit in ascending]
        return [
            {"from_ms": start / 1000, "to_ms": end / 1000, "count": until - before}
            for start, end, before, until in zip(
                ascending, ascending[1:], below, below[1:], strict=False
            )
        ]

    def _count_below(self, microseconds: int) -> int:
        """Return how many latencies were shorter.

        The histogram offers this only by walking through its values one by one in Python, for
        longer than many a run takes. So this leans on two things of it that are not documented, its
        counts and their index; the project's dependencies bound its version.
        """
        histogram = self._histogram
        return sum(histogram.counts[: histogram._counts_index_for(microseconds)])

    def encode(self) -> bytes:
        """Return the histogram in HdrHistogram's own compressed form, in microseconds."""
        self.flush()
        encoded: bytes = self._histogram.encode()
        return encoded

    def __getstate__(self) -> tuple[bytes, float]:
        return self.encode(), self._sum

    def __setstate__(self, state: tuple[bytes, float]) -> None:
        self.__init__()  # type: ignore[misc]
        encoded, self._sum = state
        decoded = HdrHistogram.decode(encoded)
        if decoded.get_total_count():
            self._histogram.add(decoded)


def three_digits(counts: Mapping[int, int]) -> Counter[int]:
    """Return the counts of values with each value rounded to its first three digits."""
    rounded: Counter[int] = Counter()
    for value, times in counts.items():
        size = 10 ** max(0, len(str(value)) - 3)
        rounded[(value + size // 2) // size * size] += times
    return rounded


def interval_summary(counts: Mapping[int, int]) -> dict[str, float | None]:
    """Return p50, p90, p99 and max of counted microseconds, in ms; None if there are none."""
    total = sum(counts.values())
    found: dict[str, float | None] = dict.fromkeys(INTERVAL)
    seen = 0
    for microseconds in sorted(counts):
        seen += counts[microseconds]
        for name, share in INTERVAL.items():
            if found[name] is None and seen >= share * total:
                found[name] = microseconds / 1000
    return found
