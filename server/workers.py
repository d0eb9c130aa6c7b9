"""Several server processes on one port: started, watched and stopped by their parent.

Each worker has a socket of its own on the shared port (SO_REUSEPORT), so that the kernel spreads
the connections and no worker waits for another.
"""

import logging
import os
import signal
import time
from collections.abc import Callable

__all__ = ["STOP_SIGNALS", "run_workers"]

from server.descriptors import call_at_end_of_file

logger = logging.getLogger("wsroll.server")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

RESTART_WAIT = 1.0
"""Seconds from the start of a worker until its place may be filled again, so that a worker which
dies at once does not keep the machine busy with starting it."""

Work = Callable[[int, int, Callable[[], None]], None]
"""A worker's work: told its number, a file descriptor that reaches its end when the parent dies,
and what to call once it serves."""


def run_workers(
    count: int, work: Work, started: Callable[[], None], *, stop_fd: int | None, grace: float
) -> None:
    """Run workers until SIGINT or SIGTERM, and replace those that die before.

    Args:
        count: How many.
        work: What each of them does, in a process of its own.
        started: Called once the first workers all serve.
        stop_fd: A file descriptor whose end of file stops them as well.
        grace: Seconds that a worker has to end after a signal before it is killed.
    """
    _Parent(count, work, grace).run(started, stop_fd)


class _Parent:
    def __init__(self, count: int, work: Work, grace: float) -> None:
        self._count = count
        self._work = work
        self._grace = grace
        self._workers: dict[int, int] = {}  # process id: worker number
        self._started_at: dict[int, float] = {}  # worker number: time
        # Workers hold the reading end; no one writes: it ends with the parent.
        self._alive_read, self._alive_write = os.pipe()
        self._ready_read, self._ready_write = os.pipe()

    def run(self, started: Callable[[], None], stop_fd: int | None) -> None:
        # Taken one by one by sigtimedwait: no handler, no race.
        watched = {*STOP_SIGNALS, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, watched)
        for number in range(self._count):
            self._start(number)
        if stop_fd is not None:
            call_at_end_of_file(stop_fd, lambda: os.kill(os.getpid(), signal.SIGTERM))
        ready = 0
        os.set_blocking(self._ready_read, False)
        while True:
            received = signal.sigtimedwait(watched, 0.05 if ready < self._count else RESTART_WAIT)
            if received is not None and received.si_signo in STOP_SIGNALS:
                break
            self._bury()
            self._replace()
            if ready < self._count:
                ready += self._read_ready()
                if ready >= self._count:
                    started()
        self._stop(watched)

    def _start(self, number: int) -> None:
        self._started_at[number] = time.monotonic()
        pid = os.fork()
        if pid:
            self._workers[pid] = number
            return
        status = 1
        try:
            os.close(self._alive_write)
            # The parent passes signals on; a terminal's Ctrl-C shall not count twice.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {*STOP_SIGNALS, signal.SIGCHLD})
            self._work(number, self._alive_read, self._say_ready)
            status = 0
        finally:
            os._exit(status)

    def _say_ready(self) -> None:
        os.write(self._ready_write, b".")

    def _bury(self) -> None:
        """Take note of workers that died."""
        for pid, number in list(self._workers.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                del self._workers[pid]
                code = os.waitstatus_to_exitcode(status)
                how = f"signal {-code}" if code < 0 else f"status {code}"
                logger.warning("worker %d (process %d) died with %s", number, pid, how)

    def _replace(self) -> None:
        now = time.monotonic()
        for number in set(range(self._count)) - set(self._workers.values()):
            if now - self._started_at[number] >= RESTART_WAIT:
                self._start(number)
                logger.warning("worker %d was started again", number)

    def _read_ready(self) -> int:
        try:
            return len(os.read(self._ready_read, self._count))
        except BlockingIOError:
            return 0

    def _stop(self, watched: set[signal.Signals]) -> None:
        """Pass the signal on, and each further one; kill what outlives its grace."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + self._grace
        while self._workers:
            left = deadline - time.monotonic()
            if left <= 0:
                self._signal(signal.SIGKILL)
            received = signal.sigtimedwait(watched, max(0.05, left))
            if received is not None and received.si_signo in STOP_SIGNALS:
                self._signal(signal.SIGTERM)
            for pid in list(self._workers):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    del self._workers[pid]

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._workers:
            os.kill(pid, number)
