"""A run in several processes of this machine."""

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Lock

from cli_client.engine.run import RunError
from cli_client.ledger.file import gather
from cli_client.ledger.result import Result
from cli_client.ledger.timeline import Standing
from cli_client.settings import Settings
from cli_client.share import Share
from cli_client.spread.one_share import Message, run_share
from cli_client.spread.output import Output
from cli_client.spread.shares import collect

__all__ = ["run_in_processes"]

STOP_PATIENCE = 5.0
"""Seconds in which the processes must end when the run is over, before they are killed."""


def run_in_processes(settings: Settings, quiet: bool, show: Callable[[Standing], None]) -> Result:
    """Do a run in several processes.

    Raises:
        RunError: If it cannot begin, or a process is lost.
        OSError: If the responses or the ledger cannot be written.
    """
    # A fresh interpreter for each: forking copies what this process has open.
    context = multiprocessing.get_context("spawn")
    mailbox: SimpleQueue[Message] = context.SimpleQueue()
    shares = [Share(index, settings.processes) for index in range(settings.processes)]

    def messages() -> Iterator[Message]:
        while not mailbox.empty():
            yield mailbox.get()

    # No Event: a process that is killed may hold the lock of one.
    stopping = context.RawValue(ctypes.c_bool, False)

    def stop() -> None:
        stopping.value = True

    common = (mailbox, context.Lock(), stopping)
    with ProcessPoolExecutor(len(shares), context, _begin_process, common) as executor:
        futures = [executor.submit(_run_in_process, settings, share, quiet) for share in shares]
        try:
            result = collect(settings, futures, messages, show, stop)
        except BrokenProcessPool:
            # To send its share again would print the responses again that it has printed.
            raise RunError("a process of the sender was killed") from None
        finally:
            stop()
            if wait(futures, timeout=STOP_PATIENCE).not_done:
                for process in multiprocessing.active_children():
                    process.kill()
            if settings.ledger is not None:
                gather(settings.ledger, shares)
    return result


_mailbox: "SimpleQueue[Message]"
_output_lock: Lock
_stopping: ctypes.c_bool


def _begin_process(mailbox: "SimpleQueue[Message]", lock: Lock, stopping: ctypes.c_bool) -> None:
    global _mailbox, _output_lock, _stopping
    _mailbox, _output_lock, _stopping = mailbox, lock, stopping
    # Of the terminal's Ctrl-C the parent tells, once the run can heed it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run_in_process(settings: Settings, share: Share, quiet: bool) -> Result:
    def tell(message: Message) -> bool:
        _mailbox.put(message)
        return not _stopping.value

    try:
        return run_share(settings, share, Output(quiet, _output_lock), tell, str(os.getpid()))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
