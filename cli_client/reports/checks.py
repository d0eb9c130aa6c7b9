"""Checks: what a run must keep to besides right replies, such as 'p99<5ms' or 'rate>20000'.

A check names a figure of the report, a comparison and a limit. One whose figure was not measured
does not pass.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cli_client.ledger.figures import ATTEMPTS, LEDGER, MESSAGES, PERCENTILES

if TYPE_CHECKING:
    from cli_client.reports.schema import CheckResult, Report

__all__ = ["Check", "parse_check"]

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}

UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
"""Milliseconds in each unit of time."""

Figure = Callable[["Report"], float | None]
"""Finds a figure of a report; None if it was not measured."""


def _at(*path: str) -> Figure:
    """Return what finds the figure at this path of a report."""

    def find(report: "Report") -> float | None:
        value: object = report
        for name in path:
            value = cast(Mapping[str, object], value).get(name) if value is not None else None
        return cast(float | None, value)

    return find


COUNTS: dict[str, Figure] = {
    "rate": _at("rate"),
    "errors": _at("error_count"),
    "p_value": _at("numbers", "p_value"),
    "received": _at("messages", "received"),
    **{name: _at("messages", name) for name in MESSAGES},
    **{name: _at("ledger", name) for name in LEDGER},
    **{name: _at("attempts", name) for name in ATTEMPTS},
    "handshakes": _at("handshakes", "tried"),
    "handshake_failures": _at("handshakes", "failed"),
    "connections": _at("connections", "opened"),
    "connections_given_up": _at("connections", "given_up"),
    "unanswered_closes": _at("connections", "unanswered_closes"),
    "breaches": _at("connections", "breaches"),
    "stalls": lambda report: len(report["stalls"]),
}
"""The figures without a unit."""

TIMES: dict[str, Figure] = {
    "elapsed": _at("elapsed_s"),
    "outage": _at("outage_total_s"),
    "outage_total": _at("outage_total_s"),
    "outage_max": _at("outage_max_s"),
    "silence_max": _at("silence_max_s"),
    "stall_max": lambda report: max((stall["length_s"] for stall in report["stalls"]), default=0),
}
"""The times that are no latencies. They are in seconds."""

LATENCIES = {"min": "min", "mean": "mean", "avg": "mean", "med": "p50", "max": "max"}

CHECK = re.compile(
    r"""\s* (?P<name> (?:raw_)? p \(? \d{1,3} (?:\.\d{1,9})? \)? | [a-z_]+ )
        \s* (?P<comparison> <=|>=|==|!=|<|> )
        \s* (?P<limit> \d{1,15} (?:\.\d{1,15})? )
        \s* (?P<unit> [a-z]* ) \s*""",
    re.ASCII | re.VERBOSE,
)
PERCENTILE = re.compile(r"p (?: (\d+(?:\.\d+)?) | \( (\d+(?:\.\d+)?) \) )", re.ASCII | re.VERBOSE)


@dataclass(frozen=True)
class Check:
    """A check that can be judged. Times are in its own unit."""

    text: str
    figure: Figure
    comparison: str
    limit: float
    unit: str

    def judge(self, report: "Report") -> "CheckResult":
        """Return the check, the value that it found (or None), its unit, and whether it passed.

        Raises:
            ValueError: If the report's histogram is needed and cannot be decoded.
        """
        value = self.figure(report)
        passed = value is not None and OPERATORS[self.comparison](value, self.limit)
        return {"check": self.text, "value": value, "unit": self.unit, "passed": passed}


def parse_check(text: str) -> Check:
    """Return the check that a text such as 'p99<5ms' stands for.

    Times are in us, ms or s, and in ms if no unit is given.

    Raises:
        ValueError: If it stands for none; the message is one line and names what is possible.
    """
    found = CHECK.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no check such as 'p99<5ms': a figure, one of"
            f" {' '.join(OPERATORS)}, and a number."
        )
    name, unit = found["name"], found["unit"]
    figure = COUNTS.get(name)
    if figure is not None:
        if unit:
            raise ValueError(f"{text!r}: {name} is a plain number, without a unit.")
    else:
        unit = unit or "ms"
        if unit not in UNITS:
            raise ValueError(f"{text!r}: {unit} is no unit; there are {', '.join(UNITS)}.")
        figure = _time(text, name, UNITS[unit])
    # Kept as it was written, but for the space around it.
    return Check(text.strip(), figure, found["comparison"], float(found["limit"]), unit)


def _time(text: str, name: str, unit: float) -> Figure:
    """Return what finds a time by its name, in this unit."""
    if name in TIMES:
        find, factor = TIMES[name], UNITS["s"] / unit
    else:
        find, factor = _latency(text, name), 1 / unit

    def scaled(report: "Report") -> float | None:
        value = find(report)
        return None if value is None else value * factor

    return scaled


def _latency(text: str, name: str) -> Figure:
    """Return what finds a latency by its name."""
    raw = name.startswith("raw_")
    latency = LATENCIES.get(name.removeprefix("raw_")) or _percentile(text, name)
    known = latency in (*LATENCIES.values(), *PERCENTILES)
    if raw and not known:
        raise ValueError(f"{text!r}: of the raw latencies there are {', '.join(PERCENTILES)}.")
    find = _at("raw_latency_ms" if raw else "latency_ms", latency)
    if known:
        return find
    return lambda report: report["latency_ms"] and _decoded(report, latency)


def _percentile(text: str, name: str) -> str:
    """Return a percentile by the name that it has in a report: 'p99.9' for 'p(99.90)'."""
    found = PERCENTILE.fullmatch(name.removeprefix("raw_"))
    if found is None:
        raise ValueError(
            f"{text!r}: there is no figure {name!r}; there are p50, p99.9 and any other percentile,"
            f" {', '.join(LATENCIES)} (each with raw_ before it under a rate),"
            f" {', '.join([*TIMES, *COUNTS])}."
        )
    percentile = float(found[1] or found[2])
    if percentile > 100:
        raise ValueError(f"{text!r}: a percentile is from 0 to 100.")
    return f"p{percentile:.12g}"


def _decoded(report: "Report", percentile: str) -> float:
    # Costly to import, and not needed to read the command line.
    from cli_client.reports.distribution import MICROSECONDS, decode

    value: float = decode(report).get_value_at_percentile(float(percentile[1:]))
    return value / MICROSECONDS
