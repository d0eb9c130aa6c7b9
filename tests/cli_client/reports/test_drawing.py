"""The marks of charts: their scales, ticks and places."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_client.reports.drawing import Axis, draw, linear, logarithmic

POSITIVE = st.floats(0.001, 3.6e6)


@pytest.mark.parametrize(
    ("high", "labels"),
    [
        (5.0, ["0", "1", "2", "3", "4", "5"]),
        (0.3, ["0", "0.05", "0.1", "0.15", "0.2", "0.25", "0.3"]),
        (23_456, ["0", "5000", "10000", "15000", "20000"]),
        (0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    ],
)
def test_ticks_are_round_numbers(high: float, labels: list[str]) -> None:
    assert [label for _, label in linear("ms", 0.0, high).ticks(6)] == labels


def test_ticks_can_be_whole_numbers() -> None:
    assert [label for _, label in linear("second", 0, 2, finest=1).ticks(9)] == ["0", "1", "2"]


@given(POSITIVE, st.integers(4, 20))
def test_there_are_no_more_ticks_than_there_is_room_for(high: float, most: int) -> None:
    ticks = linear("ms", 0.0, high).ticks(most)
    assert 2 <= len(ticks) <= most + 1
    assert all(0 <= value <= high * 1.001 for value, _ in ticks)


@given(st.lists(POSITIVE, min_size=1))
def test_a_logarithmic_axis_has_room_for_all_values(values: list[float]) -> None:
    axis = logarithmic("ms", values)
    assert axis.low <= min(values)
    assert axis.high > max(values)
    assert 2 <= len(axis.ticks(6)) <= 14


def axes() -> tuple[Axis, Axis]:
    return linear("second", 0.0, 4.0), linear("ms", 0.0, 10.0)


def test_a_line_is_interrupted_where_there_is_no_value() -> None:
    line = [(0.0, 1.0), (1.0, 2.0), (2.0, None), (3.0, 4.0), (4.0, None)]
    (wide, _) = draw("", *axes(), lines={"p50": line}).pictures
    assert wide.paths["p50"].count("M") == 2
    assert wide.paths["p50"].count("L") == 1


def test_errors_are_dots_and_no_line() -> None:
    (wide, _) = draw("", *axes(), lines={"errors": [(1.0, 2.0), (2.0, 3.0)]}).pictures
    assert len(wide.dots) == 2
    assert wide.paths == {}


@given(st.lists(st.tuples(st.floats(0, 4), st.floats(-100, 100) | st.none())))
def test_every_mark_lies_within_the_axes(line: list[tuple[float, float | None]]) -> None:
    for picture in draw("", *axes(), lines={"errors": line}, bars={"b": [1.0, 20.0]}).pictures:
        for x, y in picture.dots:
            assert picture.left <= x <= picture.right
            assert picture.top <= y <= picture.bottom
        for bar in picture.bars["b"]:
            assert picture.top <= bar.top <= bar.top + bar.height <= picture.bottom


def test_drawing_changes_nothing_of_how_modules_are_imported() -> None:
    code = (
        "import sys; before = list(sys.meta_path); import cli_client.reports.charts;"
        "assert sys.meta_path == before"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
