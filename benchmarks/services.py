"""The senders with a service of JSON-RPC, whose replies have ids and no order."""

import sys
import tempfile

from benchmarks.peers import OURS, PEERS, Peer, clients, start
from benchmarks.results import Section
from benchmarks.rounds import Plan
from benchmarks.senders import timed

__all__ = ["measure"]

CALLS = 200_000

METHOD = """\
Every sender makes {calls:,} calls of `add` over one connection, 64 in flight, to one small
service that answers the second of each two calls first. Each reply is found by its id, and must
have a result. The times are those of whole processes, start-up included, each the median of
{rounds} interleaved rounds; CPU is the sender's user and system time. The service shares the cores
with the sender and takes longer for a call than most senders, so the CPU time tells more. In
brackets: the ratio to wsroll.
"""


def measure(plan: Plan) -> Section:
    """Measure the senders."""
    calls = plan.messages(CALLS)
    task = f"{calls:,} calls"
    service = Peer("JSON-RPC", [sys.executable, PEERS / "jsonrpc.py"])
    with start(service) as server:
        peers = {peer.name: peer for peer in plan.choose(clients(server.url, calls))}
        failed = {peer.name: peer.missing for peer in peers.values() if peer.missing}

        def sample(task: str, name: str) -> dict[str, float]:
            with tempfile.TemporaryFile() as output:
                seconds, cpu = timed(peers[name], None, output)
            return {f"{task}, s": seconds, f"{task}, CPU s": cpu}

        samples = plan.measure([task], list(peers), sample, failed)
    return Section(
        title="Senders and a service",
        method=METHOD.format(rounds=plan.rounds, calls=calls),
        first="sender",
        names=list(peers),
        ours=[OURS],
        tables=[[f"{task}, s", f"{task}, CPU s"]],
        samples=samples,
        picture="services.svg",
        not_measured=failed,
    )
