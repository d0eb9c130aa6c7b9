"""A run on the workers of a Dask cluster that is there already, one share for each of them.

Dask gives the executor, sends the share of a lost worker to another, and carries what the shares
report (as events of a topic) and the word to stop (a distributed Event). The workers need wsroll.
"""

import asyncio
import contextlib
import dataclasses
import logging
import pickle
import time
import uuid
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

from cli_client.engine.run import RunError
from cli_client.ledger.result import Result
from cli_client.ledger.timeline import Standing
from cli_client.settings import Settings
from cli_client.share import Share
from cli_client.spread.one_share import Message, run_share
from cli_client.spread.output import Output
from cli_client.spread.shares import Heard, collect, noting_interrupts

__all__ = ["run_on_cluster"]

TOPIC = "wsroll"
"""The topic of all runs: a scheduler keeps topics, and the last events of each, while it lives."""

TELL_INTERVAL = 0.5
"""Seconds from one message of a share to the next: those of all pass through one scheduler."""

KEPT_MESSAGES = 10_000
"""How many messages may wait to be read; if more come, the oldest are dropped."""

ANSWER_TIMEOUT = 5.0
"""Seconds that the scheduler may take for an answer."""

CLOSE_TIMEOUT = 2.0
"""Seconds that leaving the cluster may take."""


def run_on_cluster(
    settings: Settings, address: str, show: Callable[[Standing], None]
) -> tuple[Settings, Result]:
    """Do a run on a cluster; its responses are not printed.

    Args:
        settings: The settings; 0 processes stand for one on each worker, 0 connections for one in
            each process.
        address: Of the scheduler, such as ``tcp://scheduler:8786``.
        show: Shows how far the run is.

    Returns:
        The settings with the numbers that they came to have, and the result.

    Raises:
        RunError: If there is no cluster, or a share fails there.
    """
    try:
        from distributed import Client
    except ImportError:
        raise RunError(
            "--dask needs the package distributed: pip install 'wsroll[distributed]'"
        ) from None
    # Dask's own log would stand between progress and report.
    logging.disable(logging.CRITICAL)
    warnings.filterwarnings("ignore", module="distributed")
    # Asked first, as a client that cannot begin neither gives up in time nor ends without noise.
    workers = _workers(address, settings.connect_timeout)
    settings = _spread(settings, workers, address)
    client = Client(address, timeout=settings.connect_timeout, set_as_default=False)
    try:
        return settings, _run(client, settings, address, workers, show)
    except RunError:
        raise
    except CancelledError:
        raise RunError(f"the Dask scheduler at {address} is gone, and the run with it") from None
    except Exception as error:  # whatever went wrong over there
        raise RunError(_describe(error)) from None
    finally:
        # Do not wait for a scheduler that is gone or hangs.
        with contextlib.suppress(Exception):
            client.close(timeout=CLOSE_TIMEOUT)


def _workers(address: str, timeout: float) -> list[str]:
    """Return the addresses of the workers of a cluster.

    Raises:
        RunError: If the scheduler does not answer.
    """
    from distributed import Security, rpc

    async def ask() -> list[str]:
        arguments = Security().get_connection_args("client")
        async with rpc(address, timeout=2 * timeout, connection_args=arguments) as scheduler:
            return list(await scheduler.ncores())

    try:
        return asyncio.run(asyncio.wait_for(ask(), timeout))
    except TimeoutError:
        why = f"no answer in {timeout:g} s"
    except Exception as error:  # whatever there is at this address
        why = _first_sentence(error)
    raise RunError(f"no Dask scheduler at {address}: {why}")


def _spread(settings: Settings, workers: list[str], address: str) -> Settings:
    """Settle how many shares and connections there are.

    Raises:
        RunError: If there are not enough workers.
    """
    if not workers:
        raise RunError(
            f"the Dask cluster at {address} has no workers; start one: dask worker {address}"
        )
    count = settings.processes or min(len(workers), settings.connections or len(workers))
    if count > len(workers):
        raise RunError(
            f"--processes {count} needs as many workers: the Dask cluster at {address} has "
            f"{len(workers)}"
        )
    return dataclasses.replace(settings, processes=count, connections=settings.connections or count)


def _run(
    client: Any,
    settings: Settings,
    address: str,
    workers: list[str],
    show: Callable[[Standing], None],
) -> Result:
    from distributed import Event

    run_id = uuid.uuid4().hex
    inbox: deque[tuple[float, bytes]] = deque(maxlen=KEPT_MESSAGES)

    def receive(event: tuple[float, tuple[str, bytes]]) -> None:
        of_run, message = event[1]
        if of_run == run_id:
            inbox.append((time.perf_counter(), message))

    def messages() -> Iterator[Heard]:
        while inbox:
            heard_at, message = inbox.popleft()
            yield heard_at, pickle.loads(message)

    stopping = Event(run_id, client=client)

    def stop() -> None:
        client.loop.add_callback(stopping.set)

    def check() -> None:
        if not _workers(address, ANSWER_TIMEOUT):
            raise RunError(f"all workers of the Dask cluster at {address} are gone")

    client.subscribe_topic(TOPIC, receive)
    executor = client.get_executor(pure=False)
    try:
        futures = [
            executor.submit(
                _portable(_run_on_worker, settings, Share(index, settings.processes), run_id),
                # Each on a worker of its own; on any other if that one is lost.
                workers=[workers[index]],
                allow_other_workers=True,
            )
            for index in range(settings.processes)
        ]
        with noting_interrupts() as interrupted:
            return collect(
                settings,
                futures,
                messages,
                show,
                stop,
                interrupted,
                one_clock=False,
                loss=_describe_loss,
                check=check,
            )
    finally:
        # This cancels what is still running: see _Line.
        executor.shutdown(wait=False)


def _portable(function: Callable[..., Result], *arguments: object) -> Callable[[], Result]:
    """Return a function that calls another one, and that can be read without having it.

    The scheduler then needs no wsroll, and a worker without it fails the task: one that cannot even
    read what it has to do would end its process.
    """
    pickled = pickle.dumps((function, arguments))

    # As a function within another, this goes over as its code; a class as its annotation would not.
    def send_share() -> "Result":
        function, arguments = pickle.loads(pickled)
        result: Result = function(*arguments)
        return result

    return send_share


def _run_on_worker(settings: Settings, share: Share, run_id: str) -> Result:
    line = _Line(run_id)
    try:
        result = run_share(settings, share, Output(quiet=True), line.pass_on, line.place)
    except RunError as error:
        raise RunError(f"worker {line.place}: {error}") from None
    line.flush()
    if result.unopened:
        result.unopened = f"worker {line.place}: {result.unopened}"
    return result


class _Line:
    """Connects a share on a worker to the process that began the run.

    What the share reports goes out, and it learns whether to go on. It waits for neither, since it
    reports in the thread of its event loop.
    """

    def __init__(self, run_id: str) -> None:
        from distributed import Event, get_client, get_worker

        self._worker = get_worker()
        self.place: str = self._worker.address
        self._task = self._worker.get_current_task()
        self._run_id = run_id
        self._stopping = Event(run_id, client=get_client())
        self._go_on = True
        self._waiting: Message | None = None
        self._recent: Counter[int] = Counter()
        self._told_at = 0.0

    def pass_on(self, message: Message) -> bool:
        """Pass a message on, at once or with the next, and return whether to go on."""
        if message.standing is not None:
            self._recent += message.standing.recent
        self._waiting = message
        if time.monotonic() - self._told_at >= TELL_INTERVAL:
            self.flush()
            self._worker.loop.add_callback(self._listen)
        return self._go_on

    def flush(self) -> None:
        """Pass on what has not gone out yet."""
        if self._waiting is None:
            return
        standing = self._waiting.standing
        if standing is not None:
            standing = dataclasses.replace(standing, recent=self._recent)
        message = Message(self._waiting.share, self._waiting.place, standing)
        self._worker.log_event(TOPIC, (self._run_id, pickle.dumps(message)))
        self._waiting, self._recent, self._told_at = None, Counter(), time.monotonic()

    async def _listen(self) -> None:
        # A task whose thread cannot be ended is kept as cancelled, until it returns, when the
        # client cancels it or dies.
        task = self._worker.state.tasks.get(self._task)
        if task is None or task.state == "cancelled" or await self._stopping.is_set():
            self._go_on = False


def _describe_loss(error: BaseException) -> str | None:
    from distributed import KilledWorker

    if not isinstance(error, KilledWorker):
        return None
    return f"was given up: more workers died with it than Dask allows ({error.allowed_failures})"


def _describe(error: Exception) -> str:
    """Say in one line why a share failed."""
    return (
        "a share failed on the Dask cluster, whose workers need the same wsroll as here "
        f"({type(error).__name__}: {_first_sentence(error)})"
    )


def _first_sentence(error: Exception) -> str:
    """Return the first sentence of an error, whose text may have many lines."""
    return " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
