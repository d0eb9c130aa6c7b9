"""The senders, ours and its peers, as whole processes: from the command to its exit status."""

import dataclasses
import resource
import sys
import tempfile
import time
from typing import IO

from benchmarks.peers import OURS, OURS_IN_PYTHON, Peer, run, senders, servers, start
from benchmarks.results import Section
from benchmarks.rounds import Plan

__all__ = ["measure", "timed"]

CHECKED = 200_000
SHAPES = ((1, 64), (64, 1))
"""Connections × requests in flight on each."""
PRINTED = 10_000
MANY = 10_000_000
"""How many messages are checked, are printed as well, and show whether memory grows."""

TIMEOUT = 300.0

# A small process that runs another one and tells its peak. What runs the benchmarks could not ask
# for it: a process starts with the peak of the one that it was forked from.
PEAK = """\
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""

METHOD = """\
Every sender sends `Request 0`, `Request 1` … to the same wsroll-server, which shares the cores with
it. The times are those of whole processes, start-up included, each the
median of {rounds} interleaved rounds; CPU is the sender's user and system time. In brackets: the
ratio to wsroll.

- {checked:,} checked, at connections × requests in flight on each: each reply is compared with its
  request as a whole, then its ending with `: 1` to `: 100`, in the order of the requests. Nothing
  is printed.
- {printed:,} printed: the same over one connection with 64 in flight, and each reply is written to
  a file. The client made with `websockets` waits for each reply before it sends the next request,
  as the documentation teaches it. `websocat` is given the requests as lines, sends each with its
  newline, however many are in flight, and checks nothing.
- `ws` hands each frame to the network by itself. *Corked* is the same program with the frames of
  one read held back to go out together, by the Node.js socket below `ws`.
- The memory of wsroll must not grow with the number of messages: the peak of its resident set,
  once, for {printed:,} and for {many:,}.
"""


def measure(plan: Plan) -> Section:
    """Measure the senders."""
    checked, printed, many = [*map(plan.messages, (CHECKED, PRINTED, MANY))]
    show, ask = f"{printed:,} printed", "`--help`"
    checks = {f"{checked:,} checked {c}×{f}": (c, f) for c, f in SHAPES}
    peaks = {f"peak MiB of {amount:,}": amount for amount in (printed, many)}
    failed: dict[str, str] = {}
    with tempfile.TemporaryFile() as lines, start(servers()[0]) as server:
        lines.write(b"".join(b"Request %d\n" % number for number in range(printed)))
        command = [sys.executable, "-m", "cli_client", "--help"]
        tasks = {
            **{
                check: plan.choose(senders(server.url, checked, "check", *shape))
                for check, shape in checks.items()
            },
            show: plan.choose(senders(server.url, printed, "print")),
            ask: plan.choose([Peer(OURS, command)]),
        }
        peers = {(task, peer.name): peer for task, chosen in tasks.items() for peer in chosen}
        names = list(dict.fromkeys(name for _, name in peers))
        failed.update({peer.name: peer.missing for peer in peers.values() if peer.missing})

        def sample(task: str, name: str) -> dict[str, float]:
            if (task, name) not in peers:
                return {}
            with tempfile.TemporaryFile() as output:
                seconds, cpu = timed(peers[task, name], lines, output)
                output.seek(0)
                replies = sum(b"Request" in line for line in output)
            if task == show and replies != printed:
                raise RuntimeError(f"{replies:,} of {printed:,} replies")
            return {f"{task}, s": seconds, f"{task}, CPU s": cpu}

        def peak(task: str, name: str) -> dict[str, float]:
            ours = senders(server.url, peaks[task], "check")[0].command
            return {task: int(run([sys.executable, "-c", PEAK, *ours], TIMEOUT)) / 1024}

        samples = plan.measure(list(tasks), names, sample, failed)
        ours = [name for name in names if name == OURS]
        samples |= dataclasses.replace(plan, rounds=1).measure(list(peaks), ours, peak, failed)
    return Section(
        title="Senders",
        method=METHOD.format(rounds=plan.rounds, checked=checked, printed=printed, many=many),
        first="sender",
        names=names,
        ours=[OURS, OURS_IN_PYTHON],
        tables=[
            [f"{task}, {unit}" for task in (*checks, show) for unit in ("s", "CPU s")],
            [f"{ask}, s", *peaks],
        ],
        samples=samples,
        picture="senders.svg",
        not_measured=failed,
    )


def timed(
    peer: Peer, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None
) -> tuple[float, float]:
    """Run a program, and return the seconds that it took and those that it used the processor.

    Raises:
        RuntimeError: If it fails.
    """
    if stdin is not None:
        stdin.seek(0)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run(peer.command, TIMEOUT, stdin, stdout, peer.environment)
    elapsed, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
