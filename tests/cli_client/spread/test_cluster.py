"""One run over the workers of a Dask cluster: a real scheduler and real workers, on loopback."""

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from distributed import Client
from hdrh.histogram import HdrHistogram
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosedError

from tests.cli_client.liars import reply_to, serving
from tests.cli_client.sending import (
    COMMAND,
    interrupt,
    report,
    reported,
    send,
    sending,
    wait_for_progress,
)

ROOT = Path(__file__).parents[3]
PATIENCE = 30.0

ON_LOOPBACK = ("--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")


class Cluster:
    """A Dask scheduler and its workers, as processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "log").open("w")
        self._workers: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        where = ("--port", "0", "--scheduler-file", str(file))
        self.scheduler = self._start("scheduler", *ON_LOOPBACK, *where)
        self._wait(lambda: file.exists() and file.read_text() != "")
        self.address: str = json.loads(file.read_text())["address"]
        self._client = Client(self.address, timeout=PATIENCE, set_as_default=False)

    def start_worker(self, preload: str = "") -> "subprocess.Popen[bytes]":
        """Start a worker, which runs some code first; ``settle`` waits for it."""
        options = ["--local-directory", str(self._folder)]
        if preload:
            path = self._folder / "preload.py"
            path.write_text(preload)
            options += ["--preload", str(path)]
        # With a nanny, one that is killed would come back; with one thread, a share that is sent
        # again has to wait for another.
        options += ["--no-nanny", "--nthreads", "1"]
        worker = self._start("worker", self.address, *ON_LOOPBACK, *options)
        self._workers.append(worker)
        return worker

    def settle(self, count: int) -> None:
        """Have this number of workers, and wait until the scheduler knows them."""
        for worker in [worker for worker in self._workers if worker.poll() is not None]:
            self._workers.remove(worker)
        while len(self._workers) < count:
            self.start_worker()
        while len(self._workers) > count:
            worker = self._workers.pop()
            worker.kill()
            worker.wait()
        self._wait(lambda: len(self._client.nthreads()) == count)

    def kill(self, count: int) -> None:
        """Kill workers."""
        for worker in self._workers[:count]:
            worker.kill()
            worker.wait()

    def stop(self) -> None:
        self._client.close()
        for process in (*self._workers, self.scheduler):
            process.kill()
            process.wait()
        self._log.close()

    def _start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            stdout=self._log,
            stderr=self._log,
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.02)


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    yield started
    started.stop()


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """A cluster of two workers, whatever the test before did to it."""
    shared_cluster.settle(2)
    return shared_cluster


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster without workers, whose scheduler the test may end."""
    started = Cluster(tmp_path)
    yield started
    started.stop()


def test_the_results_of_all_workers_add_up(server_url: str, cluster: Cluster) -> None:
    done = report(server_url, "-n", 20_001, "-c", 5, "--dask", cluster.address)
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == 20_001
    assert done.report["numbers"]["replies"] == 20_001
    assert HdrHistogram.decode(done.report["hdr"]).get_total_count() == 20_001
    assert sum(second["answered"] for second in done.report["timeline"]) == 20_001
    assert done.progress[-1]["answered"] == done.progress[-1]["total"] == 20_001
    assert done.report["connections"]["opened"] == 5
    assert done.report["sender"]["processes"] == 2


def test_the_progress_is_that_of_all_workers(server_url: str, cluster: Cluster) -> None:
    done = report(server_url, "-n", 4_000, "-r", 4_000, "--dask", cluster.address)
    answered = [line["answered"] for line in done.progress]
    assert answered == sorted(answered)
    assert answered[0] < 4_000
    assert answered[-1] == done.progress[-1]["total"] == 4_000


def test_no_two_requests_of_a_run_are_the_same(cluster: Cluster) -> None:
    requests: list[str | bytes] = []

    async def answer(websocket: ServerConnection) -> None:
        async for request in websocket:
            requests.append(request)
            await websocket.send(reply_to(request))

    with serving(answer) as url:
        done = report(url, "-n", 10_001, "-c", 3, "--dask", cluster.address)
    assert (done.status, done.faults) == (0, {})
    assert sorted(requests) == sorted(f"Request {i}" for i in range(10_001))


def test_each_worker_has_a_connection(server_url: str, cluster: Cluster) -> None:
    done = report(server_url, "--dask", cluster.address)
    settings = done.report["settings"]
    assert (settings["processes"], settings["connections"]) == (2, 2)
    assert done.report["connections"]["opened"] == 2


def test_no_more_workers_send_than_there_are_connections(server_url: str, cluster: Cluster) -> None:
    done = report(server_url, "-c", 1, "--dask", cluster.address)
    assert done.report["sender"]["processes"] == 1
    assert done.report["connections"]["opened"] == 1


def test_a_file_is_shared_out(server_url: str, cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "requests.txt"
    path.write_text("".join(f"line {i}\n" for i in range(5001)))
    done = report(server_url, "--file", path, "--dask", cluster.address)
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == 5001


def test_only_the_count_is_printed(server_url: str, cluster: Cluster) -> None:
    done = send(server_url, "-n", 100, "--dask", cluster.address)
    assert done.stdout == "100\n"
    assert "100 of 100 replies right" in done.stderr


def test_the_share_of_a_worker_that_is_killed_is_sent_again(
    server_url: str, cluster: Cluster
) -> None:
    with sending(server_url, "-n", 12_000, "-r", 4_000, "--dask", cluster.address) as sender:
        said = wait_for_all_shares(sender) + wait_for_progress(sender, 3_000)
        cluster.kill(1)
        _, rest = sender.communicate(timeout=60)
    done = reported(sender.returncode, said + rest)
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == 12_000
    assert HdrHistogram.decode(done.report["hdr"]).get_total_count() == 12_000
    assert min(line["rate"] for line in done.progress) >= 0
    (warning, *_) = done.report["warnings"]
    assert " of 2 was sent again from the start by tcp://127.0.0.1:" in warning


def test_a_run_ends_when_all_workers_are_killed(server_url: str, cluster: Cluster) -> None:
    options = ["-n", 6_000, "-r", 100, "--connect-timeout", "2s", "--dask", cluster.address]
    with sending(server_url, *options) as sender:
        wait_for_all_shares(sender)
        cluster.kill(2)
        _, rest = sender.communicate(timeout=60)
    assert error_in(rest) == f"all workers of the Dask cluster at {cluster.address} are gone"
    assert sender.returncode == 1


def test_ctrl_c_ends_a_run_with_a_report(server_url: str, cluster: Cluster) -> None:
    with sending(server_url, "-z", "60s", "-r", 1000, "--dask", cluster.address) as sender:
        said = wait_for_progress(sender, 100)
        done = interrupt(sender, said, timeout=30)
    assert done.report["interrupted"]
    assert done.report["ledger"]["verified"] >= 100


def test_ctrl_c_ends_a_run_that_is_still_connecting(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"ws://127.0.0.1:{deaf.getsockname()[1]}/"
        options = ["--connect-timeout", "60s", "--dask", cluster.address]
        with sending(url, *options) as sender:
            said = wait_for_progress(sender, 0)
            done = interrupt(sender, said, timeout=30)
    assert done.report["ledger"]["never_sent"] == 10_000


def test_no_worker_sends_on_when_the_sender_is_killed(cluster: Cluster) -> None:
    connections: queue.Queue[threading.Event] = queue.Queue()

    async def answer(websocket: ServerConnection) -> None:
        ended = threading.Event()
        connections.put(ended)
        try:
            async for request in websocket:
                await websocket.send(reply_to(request))
        except ConnectionClosedError:
            pass
        finally:
            ended.set()

    with serving(answer) as url:
        with sending(url, "-z", "60s", "-r", 100, "--dask", cluster.address) as sender:
            opened = [connections.get(timeout=PATIENCE) for _ in range(2)]
            sender.kill()
            sender.communicate()
        assert all(ended.wait(PATIENCE) for ended in opened)


def test_no_server_is_said_once_and_by_which_worker(unused_port: int, cluster: Cluster) -> None:
    done = send(f"ws://localhost:{unused_port}/", "--dask", cluster.address)
    (line,) = done.stderr.splitlines()
    assert line.startswith("worker tcp://127.0.0.1:")
    assert "connection refused" in line
    assert done.returncode == 1


def test_workers_without_wsroll_are_named_as_the_reason(server_url: str, cluster: Cluster) -> None:
    cluster.start_worker("import sys; sys.modules['cli_client'] = None")
    cluster.settle(3)
    done = send(server_url, "-r", 1, "--dask", cluster.address)
    (line,) = done.stderr.splitlines()
    assert "whose workers need the same wsroll as here (ModuleNotFoundError: " in line
    assert done.returncode == 1


def test_the_clocks_of_a_worker_may_show_anything(server_url: str, cluster: Cluster) -> None:
    # The module is loaded a second time in some versions of Dask.
    cluster.start_worker(
        "import time\n"
        "if not hasattr(time, 'right'):\n"
        "    time.right, time.steady = time.time, time.perf_counter\n"
        "    time.time = lambda: time.right() + 3600\n"
        "    time.perf_counter = lambda: time.steady() + 1e6\n"
    )
    cluster.settle(3)
    done = report(server_url, "-n", 3_000, "-r", 3_000, "--dask", cluster.address)
    assert (done.status, done.faults) == (0, {})
    assert done.report["elapsed_s"] < 600
    assert len(done.report["timeline"]) < 600
    assert max(line["elapsed_s"] for line in done.progress) < 600


def test_a_cluster_without_workers(server_url: str, own_cluster: Cluster) -> None:
    done = send(server_url, "--dask", own_cluster.address)
    assert done.stderr == (
        f"the Dask cluster at {own_cluster.address} has no workers; start one: "
        f"dask worker {own_cluster.address}\n"
    )
    assert done.returncode == 1


def test_a_run_ends_with_its_scheduler(server_url: str, own_cluster: Cluster) -> None:
    own_cluster.settle(1)
    with sending(server_url, "-z", "60s", "-r", 100, "--dask", own_cluster.address) as sender:
        wait_for_progress(sender, 1)
        own_cluster.scheduler.kill()
        _, rest = sender.communicate(timeout=60)
    assert error_in(rest) == (
        f"the Dask scheduler at {own_cluster.address} is gone, and the run with it"
    )
    assert sender.returncode == 1


def test_more_shares_than_workers(server_url: str, cluster: Cluster) -> None:
    done = send(server_url, "--processes", 3, "--dask", cluster.address)
    assert done.stderr == (
        f"--processes 3 needs as many workers: the Dask cluster at {cluster.address} has 2\n"
    )
    assert done.returncode == 1


def test_no_scheduler_there(server_url: str, unused_port: int) -> None:
    address = f"tcp://127.0.0.1:{unused_port}"
    done = send(server_url, "--dask", address, "--connect-timeout", "1s")
    assert done.stderr == f"no Dask scheduler at {address}: no answer in 1 s\n"
    assert done.returncode == 1


def test_something_else_there(server_url: str) -> None:
    address = f"tcp://localhost:{urlsplit(server_url).port}"
    done = send(server_url, "--dask", address, "--connect-timeout", "1s")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"no Dask scheduler at {address}: ")
    assert done.returncode == 1


def test_distributed_is_not_installed() -> None:
    without = (
        "import sys; sys.modules['distributed'] = None; "
        "from cli_client.__main__ import main; main(['--dask', 'tcp://localhost:8786'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", without], text=True, capture_output=True, timeout=60
    )
    assert done.stderr == (
        "--dask needs the package distributed: pip install 'wsroll[distributed]'\n"
    )
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--dask", "scheduler"], "'scheduler' is not an address such as tcp://scheduler:8786"),
        (["--dask", "tcp://a:1", "--with-server"], "--with-server serves this machine only"),
        (["--dask", "tcp://a:1", "--ledger", "x"], "--ledger is for one machine"),
        (["--dask", "tcp://a:1", "--file", "-"], "standard input cannot be read by several"),
        (["--dask", "tcp://a:1", "--processes", "3", "-c", "2"], "give -c 3"),
    ],
)
def test_what_cannot_work_on_a_cluster(options: list[str], reason: str) -> None:
    done = subprocess.run(
        [*COMMAND, *options], stdin=subprocess.DEVNULL, text=True, capture_output=True, timeout=60
    )
    (line,) = done.stderr.splitlines()
    assert reason in line
    assert done.returncode == 2


def wait_for_all_shares(sender: "subprocess.Popen[str]") -> str:
    """Wait until each share has reported, and return what the sender said until then."""
    assert sender.stderr is not None
    said = ""
    for line in sender.stderr:
        said += line
        if json.loads(line).get("total") is not None:
            return said
    raise AssertionError(f"it ended before: {said}")


def error_in(said: str) -> str:
    """Return the error with which a run ended, from its lines of JSON."""
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["event"] for line in lines if line["event"] != "progress"] == ["error"]
    message: str = lines[-1]["message"]
    return message
