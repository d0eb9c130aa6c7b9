"""One run over several processes."""

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from cli_client.engine.interrupts import SIGNALS
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


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_ends_all_processes_with_one_report(
    server_url: str, number: signal.Signals
) -> None:
    options = ["-z", "60s", "-r", "1000", "-c", 2, "--processes", 2]
    with sending(server_url, *options) as sender:
        said = wait_for_progress(sender, 100)
        sender.send_signal(number)
        _, rest = sender.communicate(timeout=20)
    done = reported(sender.returncode, said + rest)
    assert (done.status, done.report["verdict"]) == (130, "interrupted")
    assert done.report["ledger"]["verified"] >= 100


def test_an_interrupt_of_one_process_ends_the_run_with_its_report(server_url: str) -> None:
    options = ["-z", "60s", "-r", "1000", "-c", 2, "--processes", 2]
    with sending(server_url, *options) as sender:
        said = wait_for_progress(sender, 100)
        shares(sender)[0].send_signal(signal.SIGINT)
        _, rest = sender.communicate(timeout=20)
    done = reported(sender.returncode, said + rest)
    assert (done.status, done.report["verdict"]) == (130, "interrupted")
    assert done.report["missing_shares"] == []


def test_no_process_is_left_when_the_sender_is_killed(server_url: str) -> None:
    options = ["-z", "60s", "-r", "1000", "-c", 2, "--processes", 2]
    with sending(server_url, *options) as sender:
        wait_for_progress(sender, 100)
        children = shares(sender)
        sender.kill()
        _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []


def test_a_process_without_a_request_leaves_its_report(server_url: str) -> None:
    done = report(server_url, "-n", 1, "-c", 2, "--processes", 2)
    assert (done.status, done.report["verdict"]) == (0, "pass")
    assert done.report["ledger"]["verified"] == 1
    assert done.report["latency_ms"]["min"] > 0


def test_a_wall_clock_that_is_set_back_changes_nothing(server_url: str, tmp_path: Path) -> None:
    """Each process has another time of day, and it is set back an hour while the run lasts."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "true, calls = time.time, [os.getpid() % 7 * 1000.0]\n"
        "def wrong():\n"
        "    calls.append(1)\n"
        "    return true() + calls[0] - 3600 * (len(calls) > 5)\n"
        "time.time = wrong\n"
    )
    options = ["-n", 1000, "-r", 1000, "-c", 2, "--processes", 2]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = report(server_url, *options, env=environment)
    assert (done.status, done.report["verdict"]) == (0, "pass")
    assert 0.9 < done.report["elapsed_s"] < 60
    assert not any("the shares" in warning for warning in done.report["warnings"])
    assert len(done.report["timeline"]) < 60


def test_a_ledger_has_whole_lines_only_when_a_process_was_killed(
    server_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    options = ["-z", "60s", "-r", "1000", "-c", 2, "--processes", 2, "--ledger", path]
    with sending(server_url, *options) as sender:
        wait_for_progress(sender, 300)
        shares(sender)[1].kill()
        sender.communicate(timeout=20)
    assert all(json.loads(line)["fate"] for line in path.read_text().splitlines())
    assert list(tmp_path.iterdir()) == [path]


def shares(sender: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The processes of the shares of a run, in the order of their start."""
    children = psutil.Process(sender.pid).children()
    return [child for child in children if "spawn_main" in "".join(child.cmdline())]


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
    options = ["-n", 60_001, "-r", "1000", "-c", 2, "--processes", 2]
    with sending(server_url, *options) as sender:
        wait_for_progress(sender, 100)
        children = shares(sender)
        children[0].kill()
        _, rest = sender.communicate(timeout=20)
    done = reported(sender.returncode, rest)
    assert (done.status, done.report["verdict"]) == (1, "fail")
    (missing,) = done.report["missing_shares"]
    assert re.match(r"share [12] of 2 (\(process \d+\) )?was killed: ", missing)
    # What the other process had done is there.
    assert done.report["ledger"]["verified"] > 50
    assert done.report["ledger"]["requests"] == 60_001
    assert all(equation["holds"] for equation in done.report["equations"])
    assert not done.report["interrupted"]
    assert len(children) == 2
    assert not any(child.is_running() for child in children)
