"""Whoever reads what a run prints may be slow, or leave: that costs neither the run nor its report.

A pipe that is as small as the system makes it stands for a reader that takes nothing.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_client.sending import COMMAND, send

PATIENT = 30.0

pytestmark = pytest.mark.skipif(
    not hasattr(fcntl, "F_SETPIPE_SZ"), reason="this system has no pipes of a chosen size"
)


@contextlib.contextmanager
def sending_to_a_pipe(
    output: str, *options: object
) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    """Run the sender with one output in a small pipe, and give its other end."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, output: writer}
    with subprocess.Popen([*COMMAND, *map(str, options)], **streams) as process:  # type: ignore[call-overload]
        os.close(writer)
        try:
            yield process, reader
        finally:
            process.kill()
            with contextlib.suppress(OSError):
                os.close(reader)


def verdict(file: Path) -> str:
    return str(json.loads(file.read_text())["verdict"])


@pytest.mark.parametrize("processes", [1, 2])
def test_a_reader_of_the_progress_that_leaves_does_not_cost_the_report(
    server_url: str, tmp_path: Path, processes: int
) -> None:
    file = tmp_path / "report.json"
    options = ["-q", "-r", 100, "-z", "2s", "--processes", processes, "--json", file]
    with sending_to_a_pipe("stderr", *options, "--progress", "json", server_url) as (run, reader):
        os.read(reader, 1)
        os.close(reader)
        assert run.wait(PATIENT) == 0
    assert verdict(file) == "pass"


def test_a_reader_that_takes_no_progress_does_not_hold_the_run_up(
    server_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    options = ["-q", "-r", 100, "-z", "4s", "--max-time", "20s", "--json", file]
    with sending_to_a_pipe("stderr", *options, "--progress", "json", server_url) as (run, _):
        assert run.wait(PATIENT) == 0
    assert verdict(file) == "pass"


def test_ctrl_c_while_nobody_takes_the_progress(server_url: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    options = ["-q", "-r", 100, "-z", "60s", "--json", file]
    with sending_to_a_pipe("stderr", *options, "--progress", "json", server_url) as (run, reader):
        os.read(reader, 1)
        time.sleep(3)  # in which the pipe gets full
        run.send_signal(signal.SIGINT)
        assert run.wait(PATIENT) == 130
    assert verdict(file) == "interrupted"


@pytest.mark.parametrize("processes", [1, 2])
def test_max_time_ends_a_run_whose_responses_nobody_takes(
    server_url: str, tmp_path: Path, processes: int
) -> None:
    file = tmp_path / "report.json"
    options = ["-n", "1M", "--max-time", "2s", "--processes", processes, "--json", file]
    with sending_to_a_pipe("stdout", *options, server_url) as (run, _):
        assert run.wait(PATIENT) == 1
    assert verdict(file) == "fail"


@pytest.mark.parametrize("kind", ["ledger", "json", "html"])
def test_nobody_is_waited_for_to_read_a_named_pipe(
    server_url: str, tmp_path: Path, kind: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = send("-q", "-n", 1, f"--{kind}", pipe, server_url, timeout=PATIENT)
    assert done.returncode == 1
    assert f"cannot write {pipe}: " in done.stderr
