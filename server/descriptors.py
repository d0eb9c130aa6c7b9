"""What the process gets from the system: standard streams, file descriptors, signals."""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable

__all__ = [
    "call_at_end_of_file",
    "open_standard_streams",
    "raise_limit",
    "stop_signals",
]


def open_standard_streams() -> None:
    """Open the null device in place of standard streams that are closed.

    Otherwise their numbers would go to the first sockets, and the log into these.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, which is this one.
            os.open(os.devnull, os.O_RDWR)


def call_at_end_of_file(descriptor: int, on_end: Callable[[], object]) -> None:
    """Call back, from a thread of its own, when a file has been read to its end.

    A thread, since not every event loop can watch every kind of file.
    """

    def read_to_end() -> None:
        with contextlib.suppress(OSError):
            while True:
                try:
                    if not os.read(descriptor, 4096):
                        break
                except BlockingIOError:
                    # Who shares the file with the server may have made it so.
                    select.select([descriptor], [], [])
        with contextlib.suppress(RuntimeError):  # the event loop has ended before
            on_end()

    threading.Thread(target=read_to_end, daemon=True).start()


def raise_limit() -> None:
    """Allow as many open files as the system lets us: each connection is one."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def stop_signals() -> frozenset[signal.Signals]:
    """Return the signals that stop a server in order.

    SIGHUP is one, for a terminal that is closed, unless it is ignored: ``nohup`` sees to that.
    """
    signals = {signal.SIGINT, signal.SIGTERM}
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        signals.add(hangup)
    return frozenset(signals)
