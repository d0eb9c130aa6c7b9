"""A run in several processes of this machine.

Each process is alone in its executor and has a pipe of its own: one that is killed takes nothing
with it that the others need.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, wait
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock

from cli_client.engine.interrupts import SIGNALS
from cli_client.ledger.file import gather
from cli_client.ledger.result import Result
from cli_client.ledger.timeline import Standing
from cli_client.settings import Settings
from cli_client.share import Share
from cli_client.spread.one_share import Message, run_share
from cli_client.spread.output import Output
from cli_client.spread.shares import Heard, collect, noting_interrupts

__all__ = ["run_in_processes"]

STOP_PATIENCE = 5.0
"""Seconds in which the processes must end when the run is over, before they are killed."""


def run_in_processes(settings: Settings, quiet: bool, show: Callable[[Standing], None]) -> Result:
    """Do a run in several processes.

    Raises:
        RunError: If it cannot begin.
        OSError: If the ledger cannot be opened.
        KeyboardInterrupt: If it is interrupted twice.
    """
    # A fresh interpreter for each: forking copies what this process has open.
    context = multiprocessing.get_context("spawn")
    shares = [Share(index, settings.processes) for index in range(settings.processes)]
    lock = context.Lock()
    # No Event: a process that is killed may hold the lock of one.
    stopping = context.RawValue(ctypes.c_bool, False)
    readers: list[Connection] = []
    futures: list[Future[Result]] = []

    def stop() -> None:
        stopping.value = True

    def messages() -> Iterator[Heard]:
        for reader in readers:
            # A process that was killed leaves half a message at the most.
            with contextlib.suppress(EOFError, OSError):
                while reader.poll():
                    yield time.perf_counter(), reader.recv()

    with noting_interrupts() as interrupted, contextlib.ExitStack() as executors:
        try:
            with _blocked_interrupts():
                for share in shares:
                    reader, writer = context.Pipe(duplex=False)
                    common = (writer, lock, stopping)
                    executor = executors.enter_context(
                        ProcessPoolExecutor(1, context, _begin_process, common)
                    )
                    futures.append(executor.submit(_run_in_process, settings, share, quiet))
                    readers.append(reader)
                    writer.close()  # or the end of the process would not end the pipe
            result = collect(
                settings,
                futures,
                messages,
                show,
                stop,
                interrupted,
                one_clock=True,
                loss=_describe_loss,
            )
        except KeyboardInterrupt:
            _kill_processes()
            raise
        finally:
            stop()
            if wait(futures, timeout=STOP_PATIENCE).not_done:
                _kill_processes()
            trouble = "" if settings.ledger is None else gather(settings.ledger, shares)
    if trouble and trouble not in result.unwritten:
        result.unwritten.append(trouble)
    return result


def _describe_loss(error: BaseException) -> str | None:
    return "was killed" if isinstance(error, BrokenExecutor) else None


def _kill_processes() -> None:
    for process in multiprocessing.active_children():
        process.kill()


@contextlib.contextmanager
def _blocked_interrupts() -> Iterator[None]:
    """Have the processes that are started meanwhile begin without a signal to interrupt them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_writer: "Connection"
_output_lock: Lock
_stopping: ctypes.c_bool


def _begin_process(writer: "Connection", lock: Lock, stopping: ctypes.c_bool) -> None:
    global _writer, _output_lock, _stopping
    _writer, _output_lock, _stopping = writer, lock, stopping
    _ignore_interrupts()
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _ignore_interrupts() -> None:
    # The parent forwards them once the run can handle them.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _run_in_process(settings: Settings, share: Share, quiet: bool) -> Result:
    parent = multiprocessing.parent_process()

    def on_message(message: Message) -> bool:
        if parent is not None and not parent.is_alive():
            os._exit(1)  # nobody is left to take the result
        with contextlib.suppress(OSError):
            _writer.send(message)
        return not _stopping.value

    try:
        return run_share(
            settings, share, Output(quiet, _output_lock), on_message, f"process {os.getpid()}"
        )
    finally:
        _ignore_interrupts()
