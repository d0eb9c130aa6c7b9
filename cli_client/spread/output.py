"""The responses, as they stand on standard output."""

import os
import select
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.synchronize import Lock

__all__ = ["Output", "is_taken"]

PATIENCE = 0.1
"""Seconds from one look at a full pipe to the next."""


class Output:
    """Prints the right replies, whole lines at a time, as soon as they are there.

    A reader that is slow holds the run up, as it should; one that does not read at all must not
    keep it from its end.

    Args:
        quiet: Print nothing.
        lock: Held while lines go out, where several processes share standard output.
    """

    def __init__(self, quiet: bool, lock: "Lock | None" = None) -> None:
        self.go_on: Callable[[], bool] = lambda: True
        """Called while nobody reads; returns whether to wait any longer."""
        self._quiet = quiet
        self._lock = lock
        if not quiet:
            self._descriptor = sys.stdout.fileno()
            self._may_block = _may_block(self._descriptor)

    def show(self, replies: list[bytes]) -> None:
        """Print the replies of one read.

        Raises:
            OSError: If they cannot be written.
        """
        if self._quiet:
            return
        lines = b"".join([b"Response for %b\n" % reply for reply in replies])
        if self._lock is None:
            self._write(lines)
            return
        while not self._lock.acquire(timeout=PATIENCE):
            if not self.go_on():
                return
        try:
            self._write(lines)
        finally:
            self._lock.release()

    def _write(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            while self._may_block and not is_taken(self._descriptor, PATIENCE):
                if not self.go_on():
                    self._quiet = True  # or half a line would be followed by another
                    return
            # Of a pipe that is called writable no more than this is known to fit.
            size = select.PIPE_BUF if self._may_block else len(rest)
            rest = rest[os.write(self._descriptor, rest[:size]) :]


def _may_block(descriptor: int) -> bool:
    # Windows can ask this of sockets alone.
    return sys.platform != "win32" and not stat.S_ISREG(os.fstat(descriptor).st_mode)


def is_taken(descriptor: int, patience: float) -> bool:
    """Return whether a file takes a few more bytes, within so many seconds."""
    return bool(select.select([], [descriptor], [], patience)[1])
