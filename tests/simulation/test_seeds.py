"""Simulated runs, each drawn from a seed."""

import dataclasses
import gc
import warnings

import pytest

from tests.simulation.drawing import draw
from tests.simulation.simulating import Outcome, simulate

FAST, ALL = 100, 1000
PORTION = 50
"""How many of them are one test, so that one that fails is found soon."""


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


def test_a_breach_may_end_the_last_handshake_of_a_run() -> None:
    assert simulate(draw(100429)).problems == []


@pytest.mark.parametrize("seed", [454, 541, 864, 878])
def test_a_run_leaves_no_transport_open(seed: int) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        simulate(draw(seed))
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def hold(first: int) -> None:
    found = {seed: simulate(draw(seed)).problems for seed in range(first, first + PORTION)}
    assert {seed: problems for seed, problems in found.items() if problems} == {}


@pytest.mark.parametrize("first", range(0, FAST, PORTION))
def test_the_report_agrees_with_the_servers_books(first: int) -> None:
    hold(first)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FAST, ALL, PORTION))
def test_the_report_agrees_with_the_servers_books_in_many_more_runs(first: int) -> None:
    hold(first)
