"""Simulated runs, each drawn from a seed."""

import dataclasses

from tests.simulation.drawing import draw
from tests.simulation.simulating import Outcome, simulate


def course(outcome: Outcome) -> object:
    """What a run came to, without what is measured of this process."""
    if outcome.result is None:
        return outcome.lasted, outcome.problems
    kept = ("fates", "messages", "attempts", "handshakes", "elapsed", "opened")
    return outcome.lasted, [getattr(outcome.result, name) for name in kept]


def test_a_seed_gives_the_same_run_each_time() -> None:
    for seed in range(10):
        scenario = draw(seed)
        assert dataclasses.asdict(scenario) == dataclasses.asdict(draw(seed))
        assert course(simulate(scenario)) == course(simulate(scenario))
