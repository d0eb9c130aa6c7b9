"""Latencies in a High Dynamic Range histogram: any number of them in the same memory.

Exact to three digits, from a microsecond to an hour (Gil Tene's HdrHistogram).
"""

from collections.abc import Iterable

from hdrh.histogram import HdrHistogram

__all__ = ["Latencies"]

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
_HOUR = 3_600_000_000


class Latencies:
    """Counts latencies, which are given in seconds and told in milliseconds."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, _HOUR, 3)
        self._interval = HdrHistogram(1, _HOUR, 3)
        # Replies of one read to requests of one write have one latency: they are counted at once.
        self._latency = 0.0
        self._run = 0
        self._sum = 0.0

    def record(self, latency: float) -> None:
        """Count a latency."""
        if latency == self._latency:
            self._run += 1
        else:
            self._settle()
            self._latency = latency
            self._run = 1

    def summary(self) -> dict[str, float]:
        """Return minimum, mean, percentiles and maximum, all 0 if nothing was counted."""
        self._settle()
        histogram = self._histogram
        count = histogram.get_total_count()
        if not count:
            return dict.fromkeys(("min", "mean", *PERCENTILES, "max"), 0.0)
        return {
            "min": histogram.get_min_value() / 1000,
            # The histogram's own mean walks through all of its values, for 20 ms.
            "mean": self._sum / count * 1000,
            **_percentiles(histogram, PERCENTILES),
            "max": histogram.get_max_value() / 1000,
        }

    def take_interval(self) -> dict[str, float]:
        """Return p50, p99 and max of what came since this was called before."""
        self._settle()
        histogram = self._interval
        if not histogram.get_total_count():
            return {"p50": 0.0, "p99": 0.0, "max": 0.0}
        summary = {
            **_percentiles(histogram, ("p50", "p99")),
            "max": histogram.get_max_value() / 1000,
        }
        histogram.reset()
        return summary

    def _settle(self) -> None:
        if self._run:
            microseconds = min(_HOUR, max(1, round(self._latency * 1e6)))
            self._histogram.record_value(microseconds, self._run)
            self._interval.record_value(microseconds, self._run)
            self._sum += self._latency * self._run
            self._run = 0


def _percentiles(histogram: HdrHistogram, names: Iterable[str]) -> dict[str, float]:
    return {name: histogram.get_value_at_percentile(PERCENTILES[name]) / 1000 for name in names}
