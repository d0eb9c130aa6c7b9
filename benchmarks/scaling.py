"""wsroll over more than one process: the server's workers, and the processes that send to them."""

import contextlib
import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor

from benchmarks.load import load
from benchmarks.peers import senders, servers, start
from benchmarks.results import Section
from benchmarks.rounds import Plan
from benchmarks.senders import timed

__all__ = ["measure"]

COUNTS = (1, 2)
"""How many workers and how many senders there are."""

CONNECTIONS, IN_FLIGHT = 64, 16
BURST = 200
MESSAGES = 400_000
SENDER_CONNECTIONS = 16

EXCHANGE = f"messages/s {CONNECTIONS}×{IN_FLIGHT}"
HANDSHAKES = "handshakes/s"

METHOD = """\
wsroll-server with 1 and 2 `--workers`, and 1 and 2 processes that send to it. For messages/s and
handshakes/s these are load generators as above, which share the {connections} connections and the
bursts of {burst} handshakes and whose rates add up; for the seconds it is one `wsroll-send` with
that many `--processes`, as a whole, start-up included: {messages:,} messages over
{sender_connections} connections, every reply checked. Medians of {rounds} interleaved rounds; in
brackets: the ratio to the first row.

This machine has {cores} cores, and each busy process wants one for itself: one worker and one
sender fill two. More of them share the same cores, so the rows with two show what
the division costs, not what a second worker brings on an idle core. The kernel spreads the
connections over the workers by a hash of their addresses, so a few of them may be spread unevenly.
"""


def measure(plan: Plan) -> Section:
    """Measure the server and the sender, each in one process and in two."""
    rows = {
        f"{_count(workers, 'worker')}, {_count(processes, 'sender')}": (workers, processes)
        for workers in COUNTS
        for processes in COUNTS
    }
    messages = plan.messages(MESSAGES)
    sending = f"{messages:,} messages, s"
    ours = servers()[0]
    failed: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        running = {
            workers: stack.enter_context(
                start(dataclasses.replace(ours, command=[*ours.command, "--workers", workers]))
            )
            for workers in COUNTS
        }

        def sample(task: str, name: str) -> dict[str, float]:
            workers, processes = rows[name]
            url, pid = running[workers].url, running[workers].pid
            if task == sending:
                sender = senders(url, messages, "check", SENDER_CONNECTIONS)[0]
                command = [*sender.command, "--processes", processes]
                return {task: timed(dataclasses.replace(sender, command=command))[0]}

            def one(_: int) -> float:
                if task == EXCHANGE:
                    connections = CONNECTIONS // processes
                    return load(url, "exchange", pid, connections, IN_FLIGHT, plan.seconds)["rate"]
                return load(url, "burst", BURST // processes, plan.seconds)["handshakes"]

            with ThreadPoolExecutor(processes) as executor:
                return {task: sum(executor.map(one, range(processes)))}

        tasks = [EXCHANGE, HANDSHAKES, sending]
        samples = plan.measure(tasks, list(rows), sample, failed)
    return Section(
        title="Over workers and processes",
        method=METHOD.format(
            rounds=plan.rounds,
            connections=CONNECTIONS,
            burst=BURST,
            messages=messages,
            sender_connections=SENDER_CONNECTIONS,
            cores=os.cpu_count(),
        ),
        first="wsroll",
        names=list(rows),
        ours=list(rows),
        tables=[tasks],
        samples=samples,
        picture="scaling.svg",
        not_measured=failed,
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("s" if number > 1 else "")
