"""Several server processes on one port: started, watched and stopped by their parent.

Each worker has a socket of its own on the shared port (SO_REUSEPORT), so that the kernel spreads
the connections and no worker waits for another.

The parent has no event loop and no threads, since it forks. It waits for signals and files in one
place, and for nothing else.
"""

import logging
import os
import select
import signal
import time
from collections.abc import Callable
from typing import NoReturn

from server.descriptors import stop_signals

__all__ = ["run_workers"]

logger = logging.getLogger("wsroll.server")

RESTART_WAIT = 1.0
"""Seconds from the start of a worker until its place may be filled again, so that a worker which
dies at once does not keep the machine busy with starting it."""

LEAST_WAIT = 0.05
"""Seconds between two looks at workers that were killed."""

Work = Callable[[int, int, Callable[[], None]], None]
"""A worker's work. It is given its number, a file descriptor that reaches its end when the parent
dies, and what to call once it serves."""


def run_workers(
    count: int,
    work: Work,
    *,
    on_started: Callable[[], None],
    on_died: Callable[[int], None],
    stop_fd: int | None,
    grace: float,
) -> None:
    """Run workers until a signal stops them, and replace those that die before.

    Args:
        count: The number of workers.
        work: What each of them does, in a process of its own.
        on_started: Called once the first workers all serve.
        on_died: Called with the number of each worker that has died.
        stop_fd: A file descriptor whose end of file stops them as well.
        grace: Seconds that a worker has to end after a signal before it is killed.
    """
    _Parent(count, work, on_died, grace).run(on_started, stop_fd)


class _Parent:
    def __init__(
        self, count: int, work: Work, on_died: Callable[[int], None], grace: float
    ) -> None:
        self._count = count
        self._work = work
        self._on_died = on_died
        self._grace = grace
        self._workers: dict[int, int] = {}  # process id: worker number
        self._started_at: dict[int, float] = {}  # worker number: time
        self._stop_signals = stop_signals()
        self._watched = {*self._stop_signals, signal.SIGCHLD}
        self._received: list[int] = []  # signals
        # The end of the first pipe tells the workers that the parent died: nobody writes to it.
        self._alive_read, self._alive_write = os.pipe()
        self._ready_read, self._ready_write = os.pipe()
        self._wakeup_read, self._wakeup_write = os.pipe()

    def run(self, on_started: Callable[[], None], stop_fd: int | None) -> None:
        for descriptor in (self._ready_read, self._wakeup_read, self._wakeup_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        for number in self._watched:
            signal.signal(number, lambda received, _: self._received.append(received))
        for worker in range(self._count):
            self._start(worker)
        waited_for = [self._wakeup_read, self._ready_read]
        if stop_fd is not None:
            waited_for.append(stop_fd)
        ready = 0
        while not self._is_told_to_stop():
            readable = self._wait(waited_for, self._until_restart())
            if stop_fd is not None and stop_fd in readable and _has_ended(stop_fd):
                break
            self._reap()
            self._replace()
            if self._ready_read in readable and ready < self._count:
                ready += len(os.read(self._ready_read, self._count))
                if ready >= self._count:
                    on_started()
        self._stop()

    def _wait(self, descriptors: list[int], seconds: float | None) -> list[int]:
        """Return which files can be read, or none after a time; a signal ends the wait too."""
        readable, _, _ = select.select(descriptors, [], [], seconds)
        if self._wakeup_read in readable:
            os.read(self._wakeup_read, 4096)
        return readable

    def _is_told_to_stop(self) -> bool:
        """Tell whether a signal to stop has come since the last time."""
        received, self._received = self._received, []
        return not self._stop_signals.isdisjoint(received)

    def _start(self, number: int) -> None:
        self._started_at[number] = time.monotonic()
        # Until the worker has its own handlers, no signal must reach those of the parent in it.
        signal.pthread_sigmask(signal.SIG_BLOCK, self._watched)
        pid = os.fork()
        if not pid:
            self._be_worker(number)
        self._workers[pid] = number
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._watched)

    def _be_worker(self, number: int) -> NoReturn:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for descriptor in (self._alive_write, self._wakeup_read, self._wakeup_write):
                os.close(descriptor)
            for watched in self._watched:
                # The parent passes signals on; what a terminal sends to all must not count twice.
                passed_on = watched in (signal.SIGTERM, signal.SIGCHLD)
                signal.signal(watched, signal.SIG_DFL if passed_on else signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._watched)
            self._work(number, self._alive_read, self._say_ready)
            status = 0
        finally:
            os._exit(status)

    def _say_ready(self) -> None:
        os.write(self._ready_write, b".")

    def _reap(self) -> None:
        """Forget workers that died."""
        for pid, number in list(self._workers.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                del self._workers[pid]
                self._on_died(number)
                code = os.waitstatus_to_exitcode(status)
                how = f"signal {-code}" if code < 0 else f"status {code}"
                logger.warning("worker %d (process %d) died with %s", number, pid, how)

    def _missing(self) -> set[int]:
        return set(range(self._count)) - set(self._workers.values())

    def _until_restart(self) -> float | None:
        """Return the seconds until a worker may be started, None if all are there."""
        starts = [self._started_at[number] + RESTART_WAIT for number in self._missing()]
        return max(0.0, min(starts) - time.monotonic()) if starts else None

    def _replace(self) -> None:
        now = time.monotonic()
        for number in self._missing():
            if now - self._started_at[number] >= RESTART_WAIT:
                self._start(number)
                logger.warning("worker %d was started again", number)

    def _stop(self) -> None:
        """Pass the signal on, and each further one; kill what outlives its grace."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + self._grace
        while self._workers:
            left = deadline - time.monotonic()
            if left <= 0:
                self._signal(signal.SIGKILL)
            self._wait([self._wakeup_read], max(LEAST_WAIT, left))
            if self._is_told_to_stop():
                self._signal(signal.SIGTERM)
            for pid in list(self._workers):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._workers[pid]

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._workers:
            os.kill(pid, number)


def _has_ended(descriptor: int) -> bool:
    """Read from a file, and tell whether that was its end."""
    try:
        return not os.read(descriptor, 4096)
    except BlockingIOError:
        return False
    except OSError:  # a terminal that is gone
        return True
