"""The same runs over real sockets and the real clock: the simulation is not a world of its own."""

from itertools import count, islice

import pytest

from tests.simulation.drawing import draw
from tests.simulation.simulating import simulate

SHORT = 0.5
"""Seconds that a run may last, as there are many."""


@pytest.mark.slow
def test_runs_over_real_sockets_agree_with_the_servers_books_too() -> None:
    short = (seed for seed in count() if 0 < simulate(draw(seed)).lasted < SHORT)
    problems = {seed: simulate(draw(seed), really=True).problems for seed in islice(short, 30)}
    assert {seed: found for seed, found in problems.items() if found} == {}
