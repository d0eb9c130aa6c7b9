"""Latencies in a High Dynamic Range histogram: any number of them in the same memory.

Exact to three digits, from a microsecond to an hour (Gil Tene's HdrHistogram).
"""

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
        return _summary(self._histogram)

    def take_interval(self) -> dict[str, float]:
        """Return the summary of what came since this was called before."""
        self._settle()
        summary = _summary(self._interval)
        self._interval.reset()
        return summary

    def _settle(self) -> None:
        if self._run:
            microseconds = min(_HOUR, max(1, round(self._latency * 1e6)))
            self._histogram.record_value(microseconds, self._run)
            self._interval.record_value(microseconds, self._run)
            self._run = 0


def _summary(histogram: HdrHistogram) -> dict[str, float]:
    if not histogram.get_total_count():
        return dict.fromkeys(("min", "mean", *PERCENTILES, "max"), 0.0)
    values = {name: histogram.get_value_at_percentile(at) for name, at in PERCENTILES.items()}
    return {
        "min": histogram.get_min_value() / 1000,
        "mean": histogram.get_mean_value() / 1000,
        **{name: value / 1000 for name, value in values.items()},
        "max": histogram.get_max_value() / 1000,
    }
