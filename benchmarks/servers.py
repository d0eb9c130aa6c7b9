"""The servers, measured in rounds: each figure of every server once per round."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence

from benchmarks.peers import FOLDER, Running, Server, start
from benchmarks.results import Samples

__all__ = ["FIGURES", "SHAPES", "measure"]

SHAPES = ((1, 1), (1, 64), (64, 1), (64, 16))
"""Connections × requests in flight on each."""

FIGURES = {
    **{f"messages/s {c}×{f}": "higher" for c, f in SHAPES},
    **{f"CPU s per million {c}×{f}": "lower" for c, f in SHAPES},
    "handshakes/s": "higher",
    "KiB per idle connection": "lower",
}
"""What is measured, and which is better."""

BURST = 200
IDLE = 5000
TIMEOUT = 120.0


def measure(
    peers: Sequence[Server],
    rounds: int,
    seconds: float,
    wanted: Sequence[str],
    report: Callable[[str], None],
) -> tuple[Samples, dict[str, str]]:
    """Return the samples of each figure and server, and what failed.

    All servers run all the time, as an idle process costs the busy one nothing; the rounds are
    interleaved, so that a noisy minute of the machine falls on all of them alike. Memory is
    measured on a fresh process, which has no free pages left over from the load.
    """
    samples: Samples = {}
    failed: dict[str, str] = {}

    def note(server: Server, figures: dict[str, float]) -> None:
        for figure, value in figures.items():
            samples.setdefault(figure, {}).setdefault(server.name, []).append(value)
            report(f"{server.name:28} {figure:28} {value:12,.1f}")

    with contextlib.ExitStack() as stack:
        running: dict[str, Running] = {}
        for server in peers:
            try:
                running[server.name] = stack.enter_context(start(server))
            except (RuntimeError, OSError) as error:
                failed[server.name] = str(error)
        for number in range(rounds):
            report(f"round {number + 1} of {rounds}")
            for task in wanted:
                # Another server first in each round: the first one meets the coldest machine.
                shift = number % len(peers)
                for server in (*peers[shift:], *peers[:shift]):
                    if server.name in failed:
                        continue
                    try:
                        note(server, _sample(task, server, running[server.name], seconds))
                    except (RuntimeError, OSError) as error:
                        failed[server.name] = f"{task}: {error}"
                        report(f"{server.name} failed: {failed[server.name]}")
    return samples, failed


def _sample(task: str, server: Server, running: Running, seconds: float) -> dict[str, float]:
    if task == "handshakes":
        return {"handshakes/s": _load(running.url, "burst", BURST, seconds)["handshakes"]}
    if task == "memory":
        with start(server) as fresh:
            used = _load(fresh.url, "hold", fresh.pid, IDLE)["memory"]
        return {"KiB per idle connection": used / 1024}
    connections, in_flight = (int(number) for number in task.split("x"))
    found = _load(running.url, "exchange", running.pid, connections, in_flight, seconds)
    shape = f"{connections}×{in_flight}"
    return {f"messages/s {shape}": found["rate"], f"CPU s per million {shape}": found["cpu"]}


def _load(url: str, task: str, *numbers: float) -> dict[str, float]:
    """Run the load generator and return its figures.

    Raises:
        RuntimeError: If it fails; the message is its last line.
    """
    command = [sys.executable, "-m", "benchmarks.load", url, task, *map(str, numbers)]
    try:
        done = subprocess.run(
            command, cwd=FOLDER.parent, capture_output=True, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no result within {TIMEOUT:g} seconds") from None
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
