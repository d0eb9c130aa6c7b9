"""A tally: how often each value occurred, counted many at a time."""

from collections import Counter

__all__ = ["Tally"]

BATCH = 4096
"""Values that wait to be counted. To count one alone costs twenty times its part of a batch; a
larger batch is no cheaper."""


class Tally:
    """Counts whole numbers, at a small cost for each, whether they come alone or many at once."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._waiting: list[int] = []

    def add(self, values: list[int]) -> None:
        """Count values."""
        self._waiting += values
        if len(self._waiting) > BATCH:
            self.counts()

    def add_times(self, value: int, times: int) -> None:
        """Count one value this many times."""
        self._counts[value] = self._counts.get(value, 0) + times

    def counts(self) -> Counter[int]:
        """Return how often each value occurred so far."""
        if self._waiting:
            self._counts.update(self._waiting)
            self._waiting = []
        return self._counts

    def take(self) -> Counter[int]:
        """Return how often each value occurred since this was called before."""
        counts, self._counts = self.counts(), Counter()
        return counts
