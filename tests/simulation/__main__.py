"""Simulates runs by the thousand: ``python -m tests.simulation --seeds 100000``."""

import argparse
import sys
import time

from tests.simulation.drawing import draw
from tests.simulation.simulating import simulate

REPORTED = 1000
"""After how many seeds a line says how far it is."""


def main() -> int:
    """Simulate the seeds, and tell of each that shows a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--show", action="store_true", help="show what was drawn")
    parser.add_argument("--most", type=int, default=20, help="how many with a fault end it")
    options = parser.parse_args()
    began = time.monotonic()
    faulty = exact = done = 0
    for seed in range(options.first, options.first + options.seeds):
        outcome = simulate(draw(seed))
        done += 1
        exact += outcome.exact
        if done % REPORTED == 0:
            print(f"{done:,} seeds done", file=sys.stderr, flush=True)
        if options.show:
            print(outcome.scenario)
        if outcome.problems:
            faulty += 1
            print(f"seed {seed}: {'; '.join(outcome.problems[:4])}", flush=True)
            if faulty >= options.most:
                break
    took = time.monotonic() - began
    print(f"{done:,} seeds in {took:.1f} s, {exact:,} exact; {faulty:,} with a fault")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
