"""A transport and an event loop without a network and without a clock, for direct tests."""

import asyncio
import heapq
import itertools
from collections.abc import Callable

__all__ = ["FakeLoop", "FakeTransport"]


class NoSocket:
    """A socket of which the kernel tells nothing."""

    def getsockopt(self, *_: object) -> bytes:
        raise OSError("no TCP here")

    def fileno(self) -> int:
        raise ValueError("no file here")


class FakeTransport(asyncio.Transport):
    """A transport that keeps what is written to it.

    Attributes:
        written: Everything that was written.
        unsent: Bytes that the peer has not taken.
        limit: Above how many unsent bytes it would pause the connection.
        reads: Whether it reads.
        ended: Whether its end was closed, in order or not.
        aborted: Whether it was closed at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.unsent = 0
        self.limit: int | None = None
        self.reads = True
        self.ended = False
        self.aborted = False

    def take(self) -> bytes:
        """Return what was written since the last time."""
        written, self.written = bytes(self.written), bytearray()
        return written

    def get_extra_info(self, name: str, default: object = None) -> object:
        return NoSocket() if name == "socket" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.limit = high

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.aborted

    def close(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def abort(self) -> None:
        self.ended = self.aborted = True


class FakeLoop(asyncio.AbstractEventLoop):
    """An event loop whose time passes when a test says so."""

    def __init__(self) -> None:
        self._now = 0.0
        self._numbers = itertools.count()
        self._handles: list[tuple[float, int, asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: object
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(self._now + delay, callback, args, self)
        heapq.heappush(self._handles, (handle.when(), next(self._numbers), handle))
        return handle

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: object
    ) -> asyncio.Handle:
        return self.call_later(0, callback, *args)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def turn(self) -> bool:
        """Make one call that is due, and tell whether there was one."""
        while self._handles and self._handles[0][0] <= self._now:
            handle = heapq.heappop(self._handles)[2]
            if not handle.cancelled():
                handle._run()
                return True
        return False

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and make the calls that are due meanwhile."""
        end = self._now + seconds
        while self._handles and self._handles[0][0] <= end:
            self._now = max(self._now, self._handles[0][0])
            self.turn()
        self._now = end
