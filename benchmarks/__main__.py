"""The command: ``make bench``, or ``python -m benchmarks`` with options."""

import sys
from pathlib import Path

import cloup

from benchmarks import results, servers
from benchmarks.peers import FOLDER, OURS, pypi_version
from benchmarks.peers import servers as all_servers
from wire.command import Command

SHAPES = tuple(f"{connections}x{in_flight}" for connections, in_flight in servers.SHAPES)
TASKS = (*SHAPES, "handshakes", "memory")

METHOD = """\
Every server does the same job: it answers a text message with the text, `: ` and a random number
from 1 to 100. The load generator is the same for all, a process of its own, which counts the
replies; it shares the cores with the server, so a server that is faster than it is not seen to
be. Each figure is the median of {rounds} rounds of {seconds:g} seconds, interleaved: every server
once a round, each round starting with another one. In brackets: the ratio to wsroll. Messages/s at
connections × requests in flight on each; CPU is the server's user and system time; handshakes in
bursts of 200; memory is the growth of the server's proportional set size (PSS) at 5,000 open,
silent connections, over a fresh process that has served 200.
"""


@cloup.command(cls=Command, name="benchmarks")
@cloup.option("--rounds", type=cloup.IntRange(1), default=5, show_default=True, help="Rounds.")
@cloup.option(
    "--seconds", type=cloup.FloatRange(0.1), default=2.0, show_default=True, help="For each point."
)
@cloup.option(
    "--only",
    type=cloup.Choice(["servers", "throughput", *TASKS]),
    help="Only these figures. They are printed, but RESULTS.md is not written.",
)
@cloup.option("--peer", "peers", multiple=True, help="Only names with this in them (repeatable).")
@cloup.option("--verbose", is_flag=True, help="Print each sample as it comes.")
@cloup.help_option("-h", "--help")
def main(
    rounds: int, seconds: float, only: str | None, peers: tuple[str, ...], verbose: bool
) -> int:
    """Measure wsroll beside its peers, in one run."""

    def report(line: str) -> None:
        if verbose or line.startswith("round"):
            print(line, file=sys.stderr, flush=True)

    tasks = {"throughput": SHAPES, "servers": TASKS, None: TASKS}.get(only) or (str(only),)
    chosen = [
        server
        for server in all_servers()
        if not peers or any(part.lower() in server.name.lower() for part in peers)
    ]
    missing = {server.name: server.missing for server in chosen if server.missing}
    present = [server for server in chosen if not server.missing]
    samples, failed = servers.measure(present, rounds, seconds, tasks, report)
    found = results.medians(samples)
    found = {figure: found[figure] for figure in servers.FIGURES if figure in found}
    names = [server.name for server in present if server.name not in missing]
    # Two tables, as one with all the figures is too wide to read.
    speed = {figure: values for figure, values in found.items() if figure.startswith("messages")}
    cost = {figure: values for figure, values in found.items() if figure not in speed}
    parts = [results.table(part, names, OURS, "server") for part in (speed, cost) if part]
    parts += [f"Not measured: {name}: {why}." for name, why in (missing | failed).items()]
    print("\n\n".join(parts))
    if only is None and not peers:
        versions = {server.name: server.version for server in chosen}
        versions["uvloop"] = pypi_version("uvloop")
        picture = FOLDER / "results.svg"
        try:
            results.draw(found, names, OURS, picture)
            shown = "![The medians as bars](results.svg)"
        except ImportError as error:
            shown = f"No picture: {error}."
            print(shown, file=sys.stderr)
        write(FOLDER / "RESULTS.md", results.machine(versions), rounds, seconds, parts, shown)
    return 1 if OURS in failed else 0


def write(
    path: Path, machine: str, rounds: int, seconds: float, parts: list[str], picture: str
) -> None:
    """Write the whole of RESULTS.md."""
    text = "\n\n".join(
        (
            "# Results",
            "Written by `make bench`.",
            machine,
            picture,
            "## Servers",
            METHOD.format(rounds=rounds, seconds=seconds).rstrip(),
            *parts,
        )
    )
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
