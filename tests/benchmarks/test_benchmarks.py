"""The benchmarks run, each part of them at one tiny point: their figures are for ``make bench``."""

import subprocess
import sys
from pathlib import Path

import pytest

from wire import frames

ROOT = Path(__file__).parents[2]

WSROLL = ["wsroll", "wsroll, frames in Python"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="they read /proc")


@pytest.mark.parametrize(
    ("only", "rows"),
    [
        ("handshakes", WSROLL),
        ("senders", [*WSROLL, "wsroll"]),
        ("services", ["wsroll"]),
        (
            "scaling",
            [
                "1 worker, 1 sender",
                "1 worker, 2 senders",
                "2 workers, 1 sender",
                "2 workers, 2 senders",
            ],
        ),
    ],
)
def test_each_part_has_a_figure_in_every_cell(only: str, rows: list[str]) -> None:
    tiny = ["--rounds", "1", "--seconds", "0.5", "--fraction", "0.0001", "--peer", "wsroll"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--only", only, *tiny],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    if frames.LANGUAGE == "C":
        assert "Not measured" not in done.stdout
    else:
        rows = [row for row in rows if row != WSROLL[1]]
    tables = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "(" in line]
    assert [first for first, *_ in tables] == rows
    assert all(
        float(cell.split()[0].replace(",", "")) > 0 for _, *cells in tables for cell in cells
    )
