"""A trial: one run of the sender over a broken path.

The path leads through the fault proxy to a private server, or to the self-test's own service.
"""

import asyncio
import contextlib
import dataclasses
import datetime
import threading
from collections.abc import Iterator
from typing import NamedTuple

from cli_client.engine.run import Run
from cli_client.faults.cases import REQUEST, Case
from cli_client.faults.proxy import FaultProxy
from cli_client.ledger.timeline import Standing
from cli_client.reports.make import make_report
from cli_client.reports.schema import Report

__all__ = ["Trial", "background_loop", "try_out"]

LIMIT = 30.0
"""Seconds after which a run is ended if it has not ended by itself."""

PATH_TIMEOUT = 10.0
"""Seconds that the proxy or the service may take to start or to stop."""


class Trial(NamedTuple):
    """What a trial left."""

    report: Report
    responses: list[bytes]
    """The replies that the sender handed over as right."""


@contextlib.contextmanager
def background_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in another thread: the sender has its own in this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="fault proxy", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def try_out(case: Case, server: str, loop: asyncio.AbstractEventLoop) -> Trial:
    """Do the run of a case, with the proxy on the event loop of another thread.

    Raises:
        RunError: If it cannot begin.
        KeyboardInterrupt: If it was interrupted.
    """
    responses: list[bytes] = []
    with _path(case, server, loop) as url:
        settings = dataclasses.replace(case.settings, url=url)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        result = Run(settings, responses.extend, _is_in_time)()
    if result.interrupted and result.elapsed < LIMIT:
        raise KeyboardInterrupt
    return Trial(make_report(settings, result, now), responses)


@contextlib.contextmanager
def _path(case: Case, server: str, loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    path = case.service or FaultProxy(server, case.mischief, REQUEST, case.doorman)
    url = asyncio.run_coroutine_threadsafe(path.start(), loop).result(PATH_TIMEOUT)
    try:
        yield url
    finally:
        asyncio.run_coroutine_threadsafe(path.stop(), loop).result(PATH_TIMEOUT)


def _is_in_time(standing: Standing) -> bool:
    return standing.elapsed < LIMIT
