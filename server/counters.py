"""What a server counts, in memory that its worker processes share.

Each worker writes to a row of its own and anyone reads the sum of all rows, so that counting
takes no lock, and a scrape that happens to reach one worker tells of all of them.
"""

import mmap
from collections.abc import Iterator

__all__ = ["CLOSE_CODES", "REFUSALS", "Counters"]

REFUSALS = ("origin", "host", "full", "stopping", "timeout", "header size", "malformed", "tls")
CLOSE_CODES = (*range(1000, 1004), *range(1005, 1015), 0)
"""The close codes counted apart (RFC 6455, section 7.4.1); 0 stands for all others."""

Name = str | tuple[str, str | int]

_NAMES: tuple[Name, ...] = (
    *("open", "opened", "requests", "received", "sent"),
    *(("refused", reason) for reason in REFUSALS),
    *(("closed", code) for code in CLOSE_CODES),
)
_COLUMNS = {name: column for column, name in enumerate(_NAMES)}
_REQUESTS, _RECEIVED, _SENT = (_COLUMNS[name] for name in ("requests", "received", "sent"))
_BYTES_PER_COUNT = 8


class Counters:
    """Counts by name, in one row for each worker process.

    Args:
        rows: How many workers will count.
    """

    def __init__(self, rows: int = 1) -> None:
        # Anonymous and shared: processes forked from here on see each other's counts.
        shared = mmap.mmap(-1, rows * len(_NAMES) * _BYTES_PER_COUNT)
        self._counts = memoryview(shared).cast("q")
        self.use_row(0)

    def use_row(self, row: int) -> None:
        """Count in this row from now on. No connection is open in it yet."""
        self._row = self._counts[row * len(_NAMES) : (row + 1) * len(_NAMES)]
        self._row[_COLUMNS["open"]] = 0

    def add(self, name: Name, amount: int = 1) -> None:
        """Add to a count."""
        self._row[_COLUMNS[name]] += amount

    def count_exchange(self, received: int, requests: int, sent: int) -> None:
        """Count what one read brought, in bytes and requests, and the bytes of the replies."""
        row = self._row
        row[_RECEIVED] += received
        row[_REQUESTS] += requests
        row[_SENT] += sent

    def count_opening(self) -> None:
        """Count a WebSocket connection that opened."""
        self.add("opened")
        self.add("open")

    def count_close(self, code: int) -> None:
        """Count a WebSocket connection that ended, by its close code."""
        self.add("open", -1)
        self.add(("closed", code if code in CLOSE_CODES else 0))

    def total(self, name: Name) -> int:
        """Return the sum of a count over all workers."""
        return sum(self._counts[_COLUMNS[name] :: len(_NAMES)])

    def totals(self) -> Iterator[tuple[Name, int]]:
        """Return each count's name and its sum over all workers."""
        for name in _NAMES:
            yield name, self.total(name)
