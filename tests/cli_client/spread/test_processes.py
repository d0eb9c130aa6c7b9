"""One run over several processes."""

import json
import re
import socket
from pathlib import Path

import psutil
import pytest

from tests.cli_client import liars
from tests.cli_client.liars import at, serving
from tests.cli_client.sending import interrupt, report, reported, send, sending, wait_for_progress
from tests.conftest import ServerProcess


@pytest.mark.parametrize("connections", [2, 5])
def test_the_results_of_all_processes_add_up(server_url: str, connections: int) -> None:
    done = report(server_url, "-n", 10_001, "-c", connections, "--processes", 2)
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == 10_001
    assert done.report["numbers"]["replies"] == 10_001
    assert sum(bar["count"] for bar in done.report["histogram"]) == 10_001
    assert sum(second["answered"] for second in done.report["timeline"]) == 10_001
    assert done.report["connections"]["opened"] == connections
    assert done.report["sender"]["processes"] == 2


def test_no_two_requests_of_a_run_have_the_same_number(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    done = send(server_url, "-n", 1000, "-c", 3, "--processes", 3, "--ledger", path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(line["request"] for line in lines) == list(range(1000))
    assert list(tmp_path.iterdir()) == [path]
    *responses, count = done.stdout.splitlines()
    assert count == "1000"
    assert len({line.rpartition(": ")[0] for line in responses}) == len(responses) == 1000


def test_a_file_is_shared_out(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "requests.txt"
    path.write_text("".join(f"line {i}\n" for i in range(5001)))
    done = report(server_url, "--file", path, "-c", 2, "--processes", 2)
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == 5001


def test_a_fault_in_one_process_fails_the_run() -> None:
    with serving(at("Request 501", liars.wrong_number)) as url:
        done = report(url, "-n", 1000, "-c", 2, "--processes", 2)
    assert done.status == 1
    assert done.faults == {"wrong": 1}
    assert "Request 501: " in done.errors


def test_no_server_is_said_once(unused_port: int) -> None:
    done = send(f"ws://localhost:{unused_port}/", "--processes", 2, "-c", 2)
    (line,) = done.stderr.splitlines()
    assert "connection refused" in line
    assert done.returncode == 1


def test_ctrl_c_ends_all_processes_with_one_report(server_url: str) -> None:
    options = ["-z", "60s", "-r", "1000", "-c", 2, "--processes", 2]
    with sending(server_url, *options) as sender:
        said = wait_for_progress(sender, 100)
        done = interrupt(sender, said)
    assert done.report["interrupted"]
    assert done.report["ledger"]["verified"] >= 100


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_ends_a_run_that_is_still_connecting(processes: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"ws://127.0.0.1:{deaf.getsockname()[1]}/"
        options = ["-c", 2, "--connect-timeout", "60s", "--processes", processes]
        with sending(url, *options) as sender:
            said = wait_for_progress(sender, 0)
            done = interrupt(sender, said, timeout=30)
    assert done.report["ledger"]["never_sent"] == 10_000


def test_a_server_killed_in_the_middle_costs_no_request(server: ServerProcess) -> None:
    options = ["-n", 10_000, "-r", 5_000, "-c", 2, "--processes", 2]
    with sending(server.url, *options) as sender:
        # More than one process has to send, so that both have found the server.
        said = wait_for_progress(sender, 5_001)
        server.kill()
        server.start()
        _, rest = sender.communicate(timeout=60)
    done = reported(sender.returncode, said + rest)
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == 10_000


def test_a_killed_process_ends_the_run_with_the_report_of_the_others(
    server_url: str,
) -> None:
    options = ["-z", "60s", "-r", "1000", "-c", 2, "--processes", 2]
    with sending(server_url, *options) as sender:
        wait_for_progress(sender, 100)
        children = psutil.Process(sender.pid).children()
        shares = [child for child in children if "spawn_main" in "".join(child.cmdline())]
        shares[0].kill()
        _, rest = sender.communicate(timeout=20)
    done = reported(sender.returncode, rest)
    assert (done.status, done.report["verdict"]) == (1, "fail")
    (missing,) = done.report["missing_shares"]
    assert re.match(r"share 1 of 2 \(process \d+\) was killed: .* it had sent [\d,]+ req", missing)
    # What the other process had done is there.
    assert done.report["ledger"]["verified"] > 50
    assert not done.report["interrupted"]
    assert len(shares) == 2
    assert not any(share.is_running() for share in shares)
