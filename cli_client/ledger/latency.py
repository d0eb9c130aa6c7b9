"""Latencies in a High Dynamic Range histogram: any number of them in the same memory.

Exact to three digits, from a microsecond to an hour (Gil Tene's HdrHistogram). Histograms of
several processes add up to what one would have counted.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from hdrh.histogram import HdrHistogram

__all__ = ["PERCENTILES", "Latencies", "interval_summary"]

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
ROWS = 12
"""How many bars a histogram is drawn with, at the most."""

_HOUR = 3_600_000_000


class Latencies:
    """Counts latencies, which are given in seconds and told in milliseconds."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, _HOUR, 3)
        self._sum = 0.0
        # Counting here and pouring it over now and then is cheaper than the histogram, by far.
        self._recent: Counter[int] = Counter()

    def record(self, latencies: Iterable[float]) -> None:
        """Count latencies."""
        self._recent.update([int(latency * 1e6) for latency in latencies])

    def pour(self) -> Counter[int]:
        """Return how often each latency, in microseconds, came since this was called before."""
        recent, self._recent = self._recent, Counter()
        record = self._histogram.record_value
        for microseconds, times in recent.items():
            record(min(_HOUR, max(1, microseconds)), times)
            self._sum += microseconds * times
        return recent

    def add(self, other: "Latencies") -> None:
        """Count what another one has counted."""
        self.pour()
        other.pour()
        self._histogram.add(other._histogram)
        self._sum += other._sum

    def summary(self) -> dict[str, float]:
        """Return minimum, mean, percentiles and maximum, all 0 if nothing was counted."""
        self.pour()
        histogram = self._histogram
        count = histogram.get_total_count()
        if not count:
            return dict.fromkeys(("min", "mean", *PERCENTILES, "max"), 0.0)
        return {
            "min": histogram.get_min_value() / 1000,
            # The histogram's own mean walks through all of its values, for 20 ms.
            "mean": self._sum / count / 1000,
            **{
                name: histogram.get_value_at_percentile(percentile) / 1000
                for name, percentile in PERCENTILES.items()
            },
            "max": histogram.get_max_value() / 1000,
        }

    def bars(self) -> list[dict[str, float]]:
        """Return counts between limits that each stand in the same ratio to the one before.

        The distance from a fast reply to a slow one is of more than one order of magnitude, so
        limits at equal distances would leave all but one of the bars empty.
        """
        self.pour()
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
        self.pour()
        encoded: bytes = self._histogram.encode()
        return encoded

    def __getstate__(self) -> tuple[bytes, float]:
        return self.encode(), self._sum

    def __setstate__(self, state: tuple[bytes, float]) -> None:
        encoded, self._sum = state
        self._histogram = HdrHistogram.decode(encoded)
        self._recent = Counter()


def interval_summary(counts: Mapping[int, int]) -> dict[str, float]:
    """Return p50, p99 and max, in milliseconds, of counted microseconds; 0 if there are none."""
    total = sum(counts.values())
    found: dict[str, float] = {}
    seen = 0
    for microseconds in sorted(counts):
        seen += counts[microseconds]
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            if name not in found and seen >= share * total:
                found[name] = microseconds / 1000
    return found or {"p50": 0.0, "p99": 0.0, "max": 0.0}
