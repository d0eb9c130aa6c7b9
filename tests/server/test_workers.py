"""Several workers on one port: one server to its clients, its operator and its parent."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.raw import CLOSE, TEXT, RawClient, close_code, frame, handshake
from tests.server.running import Running, running
from wire.exchange import check_reply


def workers(server: Running) -> list[int]:
    """Return the process ids of a server's children."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def sample(server: Running, name: str) -> float:
    """Return a metric."""
    body = server.get("/metrics")[2].decode()
    for family in text_string_to_metric_families(body):
        for one in family.samples:
            if one.name == name:
                return one.value
    raise AssertionError(f"no {name} in {body}")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def two_workers() -> Iterator[Running]:
    """A server with two workers; no process of it may be left at the end."""
    with running("--workers", "2") as server:
        known = set(workers(server))
        assert len(known) == 2
        yield server
        known |= set(workers(server))
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.wait() == 0
    assert not [pid for pid in known if is_running(pid)]


def open_many(server: Running, stack: contextlib.ExitStack, count: int) -> list[RawClient]:
    """Return open connections, each of which came to one worker or the other."""
    return [stack.enter_context(server.connect()) for _ in range(count)]


def test_workers_share_the_connections_and_the_metrics_are_the_sum(two_workers: Running) -> None:
    """Whichever worker answers the scrape."""
    with contextlib.ExitStack() as stack:
        clients = open_many(two_workers, stack, 40)
        for client in clients:
            check_reply(b"Request 1", client.ask("Request 1").encode())
        for _ in range(10):
            assert sample(two_workers, "wsroll_connections") == 40
            assert sample(two_workers, "wsroll_requests_total") == 40
        # Both have their part in it: the files of each are more than without connections.
        sockets = [len(os.listdir(f"/proc/{pid}/fd")) for pid in workers(two_workers)]
        assert min(sockets) > 12, sockets


def test_workers_share_the_limit_of_connections() -> None:
    """The limit holds for all of them together, whichever worker a client comes to."""
    with (
        running("--workers", "2", "--max-connections", "20") as server,
        contextlib.ExitStack() as stack,
    ):
        open_many(server, stack, 20)
        for _ in range(20):
            with RawClient(server.url) as client:
                client.send(handshake())
                assert client.read_response()[0] == 503


def test_a_worker_that_dies_is_replaced(two_workers: Running) -> None:
    """And said so; the connections of the others live on, the count forgets its own."""
    with contextlib.ExitStack() as stack:
        clients = open_many(two_workers, stack, 40)
        known = set(workers(two_workers))
        killed = min(known)
        os.kill(killed, signal.SIGKILL)
        two_workers.wait_for_log(f"process {killed}) died with signal 9")
        alive = [client for client in clients if answers(client)]
        assert 0 < len(alive) < 40
        two_workers.wait_for_log("started again")
        (replacement,) = set(workers(two_workers)) - known
        newcomers = []
        while len(os.listdir(f"/proc/{replacement}/fd")) < 20:
            newcomers += open_many(two_workers, stack, 10)
            assert len(newcomers) < 3000, "the new worker gets no connection"
        assert all(answers(client) for client in newcomers)
        assert sample(two_workers, "wsroll_connections") == len(alive) + len(newcomers)


def test_the_counts_add_up_after_a_worker_was_killed(two_workers: Running) -> None:
    """Its connections count as closed without a Close: opened = open + closed."""
    with contextlib.ExitStack() as stack:
        clients = open_many(two_workers, stack, 40)
        killed = min(workers(two_workers))
        os.kill(killed, signal.SIGKILL)
        two_workers.wait_for_log(f"process {killed}) died with signal 9")
        alive = [client for client in clients if answers(client)]
        body = two_workers.get("/metrics")[2].decode()
        counts = {
            one.name: sum(other.value for other in family.samples if other.name == one.name)
            for family in text_string_to_metric_families(body)
            for one in family.samples
        }
    assert counts["wsroll_connections"] == len(alive)
    assert counts["wsroll_connections_opened_total"] == 40
    assert counts["wsroll_closes_total"] == 40 - len(alive)


OPENERS = """
import os
from server.counters import Counters

counters = Counters(4)
start_read, start_write = os.pipe()
children = []
for row in range(4):
    child = os.fork()
    if not child:
        os.read(start_read, 1)
        counters.use_row(row)
        for _ in range(400):
            counters.open_one(1000)
        os._exit(0)
    children.append(child)
os.write(start_write, b"....")
for child in children:
    os.waitpid(child, 0)
print(counters.total("open"))
"""


def test_no_more_than_the_limit_open_at_once() -> None:
    """Processes that count at the same moment give away every place, and none twice."""
    done = subprocess.run(
        [sys.executable, "-c", OPENERS], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "1000\n"


def test_a_log_that_nobody_reads_does_not_stop_the_parent() -> None:
    """Standard error is a full pipe: workers are still replaced, and SIGTERM still stops all."""
    with running("--workers", "2", "-v", unread_log=True) as server:
        fill_the_log(server)
        for _ in range(3):
            known = set(workers(server))
            os.kill(min(known), signal.SIGKILL)
            wait_for(lambda known=known: len(set(workers(server)) - known) == 1)  # type: ignore[misc]
        wait_for(lambda: is_answered(server))
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def is_answered(server: Running) -> bool:
    """Tell whether a worker listens, which a new one does not do at once."""
    try:
        with server.connect() as client:
            return answers(client)
    except OSError:
        return False


def fill_the_log(server: Running) -> None:
    """Cause more log lines than a pipe holds, in both workers."""
    for _ in range(3000):
        with server.connect():
            pass


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that no event announces."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def answers(client: RawClient) -> bool:
    try:
        check_reply(b"alive?", client.ask("alive?").encode())
    except (OSError, AssertionError):
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_all(number: signal.Signals) -> None:
    """Every client is told, whichever worker has it, and no process is left."""
    with running("--workers", "2", "--quiet") as server, contextlib.ExitStack() as stack:
        known = workers(server)
        clients = open_many(server, stack, 20)
        for client in clients:
            client.send(frame(TEXT, "Request 1") * 10)
        server.signal(number)
        for client in clients:
            frames = client.close_in_turn()
            assert close_code(frames[-1]) == 1001
            for reply in frames[:-1]:
                check_reply(b"Request 1", reply.payload)
            client.socket.close()
        assert server.wait() == 0
        assert not [pid for pid in known if is_running(pid)]
    assert server.log == server.announcement


def test_ctrl_c_in_a_terminal_is_one_signal() -> None:
    """A terminal sends SIGINT to every process of the group; still all is closed in order."""
    with running("--workers", "2", before=os.setsid) as server, server.connect() as client:
        client.ask("Request 1")
        os.killpg(server.pid, signal.SIGINT)
        received = client.read_frame()
        assert close_code(received) == 1001
        client.send(frame(CLOSE, b"\x03\xe9"))
        assert client.read_frame() is None
        client.socket.close()
        assert server.wait() == 0


def test_a_second_signal_ends_all_at_once() -> None:
    """No waiting for a client that does not close."""
    options = ("--workers", "2", "--grace", "600", "--close-timeout", "600")
    with running(*options) as server, server.connect() as client:
        known = workers(server)
        server.signal(signal.SIGTERM)
        assert close_code(client.read_frame()) == 1001
        server.signal(signal.SIGTERM)
        server.wait()
        assert not [pid for pid in known if is_running(pid)]


def test_workers_end_with_their_parent() -> None:
    """Also when the parent is killed outright."""
    parent = subprocess.Popen(
        [sys.executable, "-m", "server", "--port", "0", "--workers", "2"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stderr is not None
    with parent.stderr:
        assert "Listening on" in parent.stderr.readline()
        parent.kill()
        parent.wait()
        # Each worker holds the pipe open: its end is that of the last of them.
        assert parent.stderr.read().count("Traceback") == 0


def test_as_many_workers_as_cores() -> None:
    """``--workers 0``."""
    cores = os.cpu_count() or 1
    with running("--workers", "0") as server:
        assert len(workers(server)) == (cores if cores > 1 else 0)  # one needs no parent
