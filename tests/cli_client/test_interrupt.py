"""Ctrl-C, whatever the sender waits for: the report of what was done, and status 130.

Each of these would wait for a minute, or for ever, if it did not heed it.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli_client.engine.interrupts import SIGNALS
from tests.cli_client import liars
from tests.cli_client.sending import COMMAND, reported


def start(*options: object, **more: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, "--progress", "json", *map(str, options)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )


def interrupt(
    sender: "subprocess.Popen[str]", said: str = "", number: int = signal.SIGINT
) -> dict[str, Any]:
    """Interrupt the sender, and return its report. What it prints is not read meanwhile."""
    assert sender.stderr is not None
    sender.send_signal(number)
    try:
        done = reported(sender.wait(20), said + sender.stderr.read())
    finally:
        sender.kill()
    assert done.status == 130
    assert done.report["interrupted"]
    return done.report


def test_while_connecting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        options = ["--connect-timeout", "60s", f"ws://127.0.0.1:{deaf.getsockname()[1]}/"]
        with start(*options) as sender:
            peer, _ = deaf.accept()
            with peer:
                peer.recv(1)
                found = interrupt(sender)
    assert found["ledger"]["never_sent"] == 10_000
    assert found["error_count"] == 0


def test_while_lingering(server_url: str) -> None:
    with start(server_url, "-n", 10, "--linger", "60s") as sender:
        assert sender.stdout is not None
        for _ in range(10):
            sender.stdout.readline()
        found = interrupt(sender)
        assert sender.stdout.read() == "10\n"
    assert found["ledger"]["verified"] == 10


def test_while_standard_input_is_silent(server_url: str) -> None:
    with start(server_url, "--file", "-", stdin=subprocess.PIPE) as sender:
        assert sender.stdin is not None
        assert sender.stdout is not None
        sender.stdin.write("first\n")
        sender.stdin.flush()
        assert sender.stdout.readline().startswith("Response for first: ")
        found = interrupt(sender)
    assert found["ledger"]["requests"] == found["ledger"]["verified"] == 1


def test_while_nobody_has_opened_the_other_end_of_a_pipe(server_url: str, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with start(server_url, "--file", path) as sender:
        assert sender.stderr is not None
        said = sender.stderr.readline()
        assert json.loads(said)["event"] == "progress"
        interrupt(sender, said)


@pytest.mark.parametrize("processes", [1, 2])
def test_while_nobody_reads_the_responses(server_url: str, processes: int) -> None:
    with start(server_url, "-n", 200_000, "--processes", processes) as sender:
        assert sender.stderr is not None
        said, before = "", -1
        # It goes on telling of itself, though it cannot go on.
        while True:
            said += sender.stderr.readline()
            answered = json.loads(said.splitlines()[-1])["answered"]
            if answered == before > 0:
                break
            before = answered
        found = interrupt(sender, said)
        assert sender.stdout is not None
        printed = sender.stdout.read().splitlines()
    assert 0 < found["ledger"]["verified"] < 200_000
    # The count would not fit either, and it would stand in the middle of a line.
    assert not printed[-1].isdecimal()


@contextlib.contextmanager
def flooding() -> Iterator[str]:
    """A server that never answers, and sends messages that nobody asked for without end."""
    block = b"\x81\x04tick" * 10_000

    async def flood(websocket: liars.ServerConnection) -> None:
        transport = websocket.transport
        while not transport.is_closing():
            if transport.get_write_buffer_size() < len(block):
                transport.write(block)
            await asyncio.sleep(0.001)

    with liars.serving(flood) as url:
        yield url


@pytest.mark.parametrize("processes", [1, 2])
def test_while_messages_flood_in_on_many_connections(processes: int) -> None:
    options = ["-c", 40, "-q", "--linger", "60s", "--processes", processes]
    with flooding() as url, start(url, *options) as sender:
        assert sender.stderr is not None
        said = sender.stderr.readline() + sender.stderr.readline()
        found = interrupt(sender, said)
    assert found["ledger"]["verified"] == 0
    assert found["missing_shares"] == []
    assert all(equation["holds"] for equation in found["equations"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_other_signals_end_a_run_as_ctrl_c_does(server_url: str, name: str) -> None:
    with start(server_url, "-z", "60s", "-q") as sender:
        assert sender.stderr is not None
        said = sender.stderr.readline()
        found = interrupt(sender, said, getattr(signal, name))
    assert found["verdict"] == "interrupted"


def test_a_second_ctrl_c_ends_the_run_at_once() -> None:
    """The first one waits for half a second until it ends the connections."""

    async def swallow(websocket: liars.ServerConnection) -> None:
        websocket.transport.pause_reading()  # type: ignore[attr-defined]
        await websocket.wait_closed()

    with liars.serving(swallow) as url, start(url, "-q") as sender:
        assert sender.stderr is not None
        sender.stderr.readline()
        sender.send_signal(signal.SIGINT)
        sender.send_signal(signal.SIGTERM)
        assert sender.wait(20) == 130
        assert "Traceback" not in sender.stderr.read()


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("processes", [1, 2])
def test_before_the_run_has_begun(tmp_path: Path, processes: int, number: signal.Signals) -> None:
    """The private server takes a minute to start."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time\n"
        "if 'server' in sys.orig_argv:\n"
        "    print('starting', file=sys.stderr, flush=True)\n"
        "    time.sleep(60)\n"
    )
    path = tmp_path / "report.json"
    options = ["--with-server", "-c", 2, "--processes", processes, "-n", 30, "--json", path]
    with subprocess.Popen(
        [*COMMAND, *map(str, options)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    ) as sender:
        assert sender.stderr is not None
        assert sender.stderr.readline() == "starting\n"
        sender.send_signal(number)
        output, said = sender.communicate(timeout=20)
    assert (sender.returncode, output) == (130, "")
    assert said == "It was interrupted before it began: nothing was sent.\n"
    found = json.loads(path.read_text())
    assert found["verdict"] == "interrupted"
    assert found["ledger"]["requests"] == found["ledger"]["never_sent"] == 30


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_that_is_ignored_ends_no_run(server_url: str, processes: int) -> None:
    """As after nohup."""
    options = ["-q", "-r", 100, "-n", 100, "-c", 2, "--processes", processes, server_url]
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *COMMAND, "--progress", "json"]
    with subprocess.Popen(
        [*command, *map(str, options)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as sender:
        assert sender.stderr is not None
        said = sender.stderr.readline()
        sender.send_signal(signal.SIGHUP)
        _, rest = sender.communicate(timeout=20)
    assert reported(sender.returncode, said + rest).report["verdict"] == "pass"


@pytest.mark.parametrize("module", ["click", "cli_client.options", "cli_client.settings"])
def test_while_it_is_being_imported(tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
    )
    done = subprocess.run(
        [*COMMAND, "--help"],
        text=True,
        capture_output=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
