"""The signals that end a run: Ctrl-C, and what a terminal or a supervisor sends."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["SIGNALS", "EarlyInterrupt", "handling", "raising"]

SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform != "win32":
    SIGNALS.append(signal.SIGHUP)


class EarlyInterrupt(KeyboardInterrupt):
    """A run was interrupted before it began."""


@contextlib.contextmanager
def handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have a handler called with each of these signals.

    What is ignored, as after nohup, stays so; Ctrl-C is the exception. In another thread than the
    main one, as that of a cluster's worker, nothing is handled.
    """
    before = {}
    with contextlib.suppress(ValueError):  # another thread
        for number in SIGNALS:
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


@contextlib.contextmanager
def raising(error: type[KeyboardInterrupt]) -> Iterator[None]:
    """Have each of these signals raise an error."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise error

    with handling(interrupt):
        yield
