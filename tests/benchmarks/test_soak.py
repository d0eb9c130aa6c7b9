"""The soak of ``benchmarks/``, for some seconds: its long run is a command."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmarks.soak import Sample, Tally, problems

MIB = 2**20


def test_a_short_soak() -> None:
    """Mixed traffic over TLS with compression and two workers: all is answered and adds up."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.1", "--clients", "10"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "replies checked" in done.stdout


def samples(*sizes: int) -> list[Sample]:
    return [Sample(0.0, {1: size * MIB}, 0) for size in sizes]


def counts(**changes: int) -> Counter[str]:
    names = ("connections", "connections_opened_total", "closes_total", "requests_total")
    return Counter({f"wsroll_{name}": changes.get(name, 10) for name in names})


GOOD = {"connections": 0, "requests_total": 100}


def test_a_sound_run_has_no_problems() -> None:
    assert problems(samples(30, 40, 40, 39), counts(**GOOD), Tally(answered=100)) == []


def test_memory_that_grows_is_a_problem() -> None:
    (problem,) = problems(samples(30, 40, 50, 60), counts(**GOOD), Tally(answered=100))
    assert "grew" in problem


def test_counters_that_do_not_add_up_are_a_problem() -> None:
    for changes in ({"closes_total": 9}, {"requests_total": 99}):
        assert len(problems(samples(30, 30), counts(**GOOD | changes), Tally(answered=100))) == 1
