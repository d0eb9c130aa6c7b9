"""A run on the workers of a Dask cluster that is there already, one share for each of them.

Dask gives an executor, runs the share of a lost worker again on another, and carries what the
shares tell (an event topic) and the word to stop (an event).
"""

import pickle
import queue
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError

from cli_client.one_share import Message, run_share
from cli_client.output import Output
from cli_client.result import Result
from cli_client.run import RunError
from cli_client.settings import Settings
from cli_client.shares import collect
from cli_client.source import Share
from cli_client.timeline import Standing

__all__ = ["run_on_cluster"]

WORD_INTERVAL = 10
"""A share asks at every tenth message whether to stop: about once a second."""


def run_on_cluster(settings: Settings, address: str, show: Callable[[Standing], None]) -> Result:
    """Do a run on a cluster; its responses are not printed.

    Args:
        settings: The settings; ``processes`` of more than 1 says how many shares there are.
        address: Of the scheduler, such as ``tcp://scheduler:8786``.
        show: Shows how far the run is.

    Raises:
        RunError: If there is no cluster, or a share fails there.
    """
    try:
        from distributed import Client, Event
    except ImportError:
        raise RunError(
            "--dask needs the package distributed: pip install 'wsroll[distributed]'"
        ) from None
    run_id = f"wsroll-{uuid.uuid4().hex}"
    # Its writer is the run itself: ten messages a second from each share, taken out as often.
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def messages() -> Iterator[Message]:
        while not inbox.empty():
            yield inbox.get_nowait()

    try:
        client = Client(address, timeout=settings.connect_timeout, set_as_default=False)
    except (OSError, ValueError) as error:
        raise RunError(f"no Dask scheduler at {address}: {error}") from None
    with client:
        workers = len(client.nthreads())
        if not workers:
            raise RunError(f"the Dask cluster at {address} has no workers")
        count = settings.processes if settings.processes > 1 else workers
        client.subscribe_topic(run_id, lambda event: inbox.put(pickle.loads(event[1])))
        stopping = Event(run_id, client=client)
        executor = client.get_executor(pure=False)
        futures = [
            executor.submit(_run_on_worker, settings, Share(index, count), run_id)
            for index in range(count)
        ]
        try:
            return collect(settings, futures, messages, show, lambda places: stopping.set())
        except (RunError, OSError):
            raise
        except CancelledError:
            raise RunError("the Dask cluster dropped the run") from None
        except Exception as error:  # whatever went wrong over there
            raise RunError(f"a worker failed: {type(error).__name__}: {error}") from None
        finally:
            stopping.set()
            executor.shutdown(wait=False)


def _run_on_worker(settings: Settings, share: Share, run_id: str) -> Result:
    from distributed import Event, get_client, get_worker

    worker = get_worker()
    stopping = Event(run_id, client=get_client())
    told = 0

    def tell(message: Message) -> bool:
        nonlocal told
        told += 1
        worker.log_event(run_id, pickle.dumps(message))
        return bool(told % WORD_INTERVAL or not stopping.is_set())

    return run_share(settings, share, Output(quiet=True), tell, worker.address)
