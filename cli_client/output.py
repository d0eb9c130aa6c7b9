"""The responses, as they stand on standard output."""

import sys
from contextlib import AbstractContextManager

__all__ = ["Output"]


class Output:
    """Prints the right replies, whole lines at a time.

    Args:
        quiet: Print nothing.
        lock: Held while lines go out, where several processes share standard output.
    """

    def __init__(self, quiet: bool, lock: AbstractContextManager[object] | None = None) -> None:
        self._quiet = quiet
        self._lock = lock
        self._file = sys.stdout.buffer

    def show(self, replies: list[bytes]) -> None:
        """Print the replies of one read."""
        if self._quiet:
            return
        lines = [b"Response for %b\n" % reply for reply in replies]
        if self._lock is None:
            self._file.writelines(lines)
        else:
            with self._lock:
                self._file.writelines(lines)
                self._file.flush()

    def flush(self) -> None:
        """Have everything written."""
        self._file.flush()
