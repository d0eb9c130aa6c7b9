"""What a server counts, in memory that its worker processes share.

Each worker writes to a row of its own and anyone reads the sum of all rows, so that counting
takes no lock, and a scrape that happens to reach one worker shows all of them. Only the limit of
connections takes one: two workers must not both give away the last place.
"""

import contextlib
import mmap
import os
import sys
import tempfile
from collections.abc import Iterator

from websockets.frames import CloseCode

__all__ = ["CLOSE_CODES", "REFUSALS", "Counters"]

REFUSALS = ("origin", "host", "full", "stopping", "timeout", "header size", "malformed", "tls")
CLOSE_CODES = (*range(1000, 1004), *range(1005, 1015), 0)
"""The close codes counted apart (RFC 6455, section 7.4.1); 0 stands for all others."""

Name = str | tuple[str, str | int]

_NAMES: tuple[Name, ...] = (
    *("open", "opened", "received", "requests", "sent"),
    *(("refused", reason) for reason in REFUSALS),
    *(("closed", code) for code in CLOSE_CODES),
)
_COLUMNS = {name: column for column, name in enumerate(_NAMES)}
_EXCHANGE = slice(_COLUMNS["received"], _COLUMNS["sent"] + 1)
_OPEN = _COLUMNS["open"]
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
        self._lock = _Lock() if rows > 1 else contextlib.nullcontext()
        self.use_row(0)

    def use_row(self, row: int) -> None:
        """Count in this row from now on."""
        self._row = self._counts[row * len(_NAMES) : (row + 1) * len(_NAMES)]

    def end_row(self, row: int) -> None:
        """Count the connections of a worker that died: all are lost, without a Close."""
        ended = self._counts[row * len(_NAMES) : (row + 1) * len(_NAMES)]
        ended[_COLUMNS["closed", CloseCode.ABNORMAL_CLOSURE]] += ended[_OPEN]
        ended[_OPEN] = 0

    def add(self, name: Name, amount: int = 1) -> None:
        """Add to a count."""
        self._row[_COLUMNS[name]] += amount

    @property
    def exchange(self) -> memoryview:
        """The bytes received, the requests answered and the bytes sent, for others to add to."""
        return self._row[_EXCHANGE]

    def open_one(self, limit: int) -> bool:
        """Count a WebSocket connection that opens, unless as many as the limit are open.

        Returns:
            Whether it may open.
        """
        with self._lock:
            if self.total("open") >= limit:
                return False
            self._row[_OPEN] += 1
        self.add("opened")
        return True

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


class _Lock:
    """A lock among processes that were forked; it is released when its holder dies."""

    def __init__(self) -> None:
        if sys.platform == "linux":
            # Needs no folder that can be written to.
            self._file = os.memfd_create("connections")
        else:
            self._file, path = tempfile.mkstemp()
            os.unlink(path)

    def __enter__(self) -> None:
        import fcntl

        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        import fcntl

        fcntl.lockf(self._file, fcntl.LOCK_UN)
