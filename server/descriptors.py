"""File descriptors: hearing that one has reached its end, and having enough of them."""

import contextlib
import os
import threading
from collections.abc import Callable

__all__ = ["call_at_end_of_file", "raise_limit"]


def call_at_end_of_file(descriptor: int, call: Callable[[], object]) -> None:
    """Call back, from a thread of its own, when a file has been read to its end.

    A thread, since not every event loop can watch every kind of file.
    """

    def read_to_end() -> None:
        with contextlib.suppress(OSError):
            while os.read(descriptor, 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the event loop has ended before
            call()

    threading.Thread(target=read_to_end, daemon=True).start()


def raise_limit() -> None:
    """Allow as many open files as the system lets us: each connection is one."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
