"""The responses, as they stand on standard output."""

import os
import select
import stat
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from wire.text import printable

if TYPE_CHECKING:
    from multiprocessing.synchronize import Lock

__all__ = ["Output", "is_taken", "write"]

PATIENCE = 0.1
"""Seconds from one look at a full pipe to the next."""


class Output:
    """Prints the replies, whole lines at a time, as soon as they are there.

    A reader that is slow holds the run up, as it should; one that does not read at all must not
    keep it from its end. A server may choose what is in a reply, so what a terminal would obey and
    what would break a line is printed as an escape.

    Args:
        quiet: Print nothing.
        lock: Held while lines go out, where several processes share standard output.
    """

    def __init__(self, quiet: bool, lock: "Lock | None" = None) -> None:
        self.go_on: Callable[[], bool] = lambda: True
        """Called while nobody reads; returns whether to wait any longer."""
        self.is_out_of_time: Callable[[], bool] = lambda: False
        """Returns whether the run has taken all the time that it may."""
        self.trouble = ""
        """Why the responses could not be written, in words; empty if they could."""
        self.reader_is_gone = False
        """Whether nobody reads the responses any more."""
        self._quiet = quiet
        self._lock = lock
        if not quiet:
            self._descriptor = sys.stdout.fileno()

    def show(self, replies: list[bytes]) -> None:
        """Print the replies of one read; nothing more once that has failed."""
        if self._quiet:
            return
        try:
            self._print(b"".join([b"Response for %b\n" % reply for reply in _shown(replies)]))
        except BrokenPipeError:
            self._quiet = self.reader_is_gone = True
            self.trouble = "the responses were not all printed: their reader is gone"
        except OSError as error:
            self._quiet = True
            self.trouble = f"cannot write the responses: {error.strerror or error}"

    def _print(self, lines: bytes) -> None:
        if self._lock is None:
            self._write(lines)
            return
        while not self._lock.acquire(timeout=PATIENCE):
            if not self.go_on():
                self._give_up()
                return
        try:
            self._write(lines)
        finally:
            self._lock.release()

    def _write(self, lines: bytes) -> None:
        if not write(self._descriptor, lines, self.go_on):
            self._give_up()

    def _give_up(self) -> None:
        self._quiet = True  # or half a line would be followed by another
        if self.is_out_of_time():
            self.trouble = "the responses were not all printed: their reader takes none"


def write(descriptor: int, data: bytes, go_on: Callable[[], bool]) -> bool:
    """Write to a file whose reader may be slow, and return whether all of it was taken.

    Args:
        descriptor: That of the file.
        data: What to write.
        go_on: Called now and then while the reader takes nothing; returns whether to wait.

    Raises:
        OSError: If it cannot be written.
    """
    may_block = _may_block(descriptor)
    rest = memoryview(data)
    while rest:
        while may_block and not is_taken(descriptor, PATIENCE):
            if not go_on():
                return False
        # Of a pipe that is called writable no more than this is known to fit.
        size = select.PIPE_BUF if may_block else len(rest)
        rest = rest[os.write(descriptor, rest[:size]) :]
    return True


def _shown(replies: list[bytes]) -> list[bytes]:
    """Return replies as they can be printed: nearly all of them are so already."""
    joined = b"".join(replies)
    if joined.isascii() and joined.decode().isprintable():
        return replies
    return [printable(reply.decode(errors="backslashreplace")).encode() for reply in replies]


def _may_block(descriptor: int) -> bool:
    # Windows can ask this of sockets alone.
    return sys.platform != "win32" and not stat.S_ISREG(os.fstat(descriptor).st_mode)


def is_taken(descriptor: int, patience: float) -> bool:
    """Return whether a file takes a few more bytes within this number of seconds."""
    return not _may_block(descriptor) or bool(select.select([], [descriptor], [], patience)[1])
