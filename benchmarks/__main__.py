"""The command: ``make bench``, or ``python -m benchmarks`` with options."""

import sys
from functools import partial

import click

from benchmarks import scaling, senders, servers, services
from benchmarks.peers import FOLDER, versions
from benchmarks.results import write
from benchmarks.rounds import Plan
from wire.command import Command

PARTS = {
    "servers": servers.measure,
    "senders": senders.measure,
    "services": services.measure,
    "scaling": scaling.measure,
}
PARTS_OF_SERVERS = {
    "throughput": partial(servers.measure, tasks=servers.THROUGHPUT),
    **{task: partial(servers.measure, tasks=(task,)) for task in servers.TASKS},
}


@click.command(cls=Command, name="benchmarks")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Rounds.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1),
    default=2.0,
    show_default=True,
    help="For each point of the load generator.",
)
@click.option(
    "--fraction",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Of the messages that the senders send.",
)
@click.option(
    "--only",
    type=click.Choice([*PARTS, *PARTS_OF_SERVERS]),
    help="Only these figures. They are printed, but RESULTS.md is not written.",
)
@click.option("--peer", "peers", multiple=True, help="Only names with this in them (repeatable).")
@click.option("--verbose", is_flag=True, help="Print each sample as it comes.")
@click.help_option("-h", "--help")
def main(
    rounds: int,
    seconds: float,
    fraction: float,
    only: str | None,
    peers: tuple[str, ...],
    verbose: bool,
) -> int:
    """Measure wsroll beside its peers, in one run."""

    def report(line: str) -> None:
        if verbose or line.startswith("round"):
            print(line, file=sys.stderr, flush=True)

    plan = Plan(rounds, seconds, fraction, peers, report)
    parts = PARTS if only is None else {only: (PARTS | PARTS_OF_SERVERS)[only]}
    sections = []
    for name, measure in parts.items():
        print(f"{name}:", file=sys.stderr, flush=True)
        try:
            sections.append(measure(plan))
        except RuntimeError as error:
            print(f"benchmarks: {error}", file=sys.stderr)
            return 1
        print(sections[-1].text(), end="\n\n", flush=True)
    if only is None and not peers:
        write(FOLDER, sections, versions())
    return 1 if any(section.ours_failed for section in sections) else 0


if __name__ == "__main__":
    main()
