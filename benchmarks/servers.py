"""The servers, ours and its peers: messages, handshakes, processor time and memory."""

import contextlib
from collections.abc import Sequence

from benchmarks.load import load
from benchmarks.peers import OURS, OURS_IN_PYTHON, Peer, Running, servers, start
from benchmarks.results import Section
from benchmarks.rounds import Plan

__all__ = ["TASKS", "THROUGHPUT", "measure"]

SHAPES = ((1, 1), (1, 64), (64, 1), (64, 16))
"""Connections × requests in flight on each."""

THROUGHPUT = tuple(f"{connections}x{in_flight}" for connections, in_flight in SHAPES)
TASKS = (*THROUGHPUT, "handshakes", "memory")

SPEED = [f"messages/s {c}×{f}" for c, f in SHAPES]
COST = [*(f"CPU s per million {c}×{f}" for c, f in SHAPES), "handshakes/s"]
MEMORY = "KiB per idle connection"

BURST = 200
IDLE = 5000

METHOD = """\
Every server does the same job: it answers a text message with the text, `: ` and a random number
from 1 to 100. The load generator is the same for all, a process of its own, which counts the
replies; it shares the cores with the server, so a server that is faster than it is not seen to
be. Each figure is the median of {rounds} rounds of {seconds:g} seconds, interleaved: every server
once a round, each round starting with another one. In brackets: the ratio to wsroll. Messages/s at
connections × requests in flight on each; CPU is the server's user and system time; handshakes in
bursts of {burst}; memory is the growth of the server's proportional set size (PSS) at {idle:,}
open, silent connections, over a fresh process that has served 200.

The floor is what the kernel alone costs: a server in C that parses nothing, and answers the load
generator's handshake and each of its frames with bytes made beforehand.
"""


def measure(plan: Plan, tasks: Sequence[str] = TASKS) -> Section:
    """Measure the servers.

    All of them run all the time, as an idle process costs the busy one nothing. Memory is measured
    on a fresh process, which has no free pages left over from the load.
    """
    chosen = plan.choose(servers())
    peers = {peer.name: peer for peer in chosen}
    failed = {peer.name: peer.missing for peer in chosen if peer.missing}
    with contextlib.ExitStack() as stack:
        running: dict[str, Running] = {}
        for name, peer in peers.items():
            try:
                if name not in failed:
                    running[name] = stack.enter_context(start(peer))
            except (RuntimeError, OSError) as error:
                failed[name] = str(error)

        def sample(task: str, name: str) -> dict[str, float]:
            return _sample(task, peers[name], running[name], plan.seconds)

        samples = plan.measure(tasks, list(peers), sample, failed)
    return Section(
        title="Servers",
        method=METHOD.format(rounds=plan.rounds, seconds=plan.seconds, burst=BURST, idle=IDLE),
        first="server",
        names=list(peers),
        ours=[OURS, OURS_IN_PYTHON],
        tables=[SPEED, [*COST, MEMORY]],
        samples=samples,
        picture="results.svg",
        not_measured=failed,
    )


def _sample(task: str, peer: Peer, running: Running, seconds: float) -> dict[str, float]:
    if task == "handshakes":
        return {"handshakes/s": load(running.url, "burst", BURST, seconds)["handshakes"]}
    if task == "memory":
        with start(peer) as fresh:
            return {MEMORY: load(fresh.url, "hold", fresh.pid, IDLE)["memory"] / 1024}
    connections, in_flight = (int(number) for number in task.split("x"))
    found = load(running.url, "exchange", running.pid, connections, in_flight, seconds)
    shape = f"{connections}×{in_flight}"
    return {f"messages/s {shape}": found["rate"], f"CPU s per million {shape}": found["cpu"]}
