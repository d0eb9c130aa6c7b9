"""Checks: what a run must keep to besides right replies, such as 'p99<5ms' or 'rate>20000'.

A check names a figure of the report, a comparison and a limit. One whose figure was not measured
does not pass.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from cli_client.reports.wording import FAULTS, PERCENTILES, Report

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

COUNTS: dict[str, Callable[[Report], float | None]] = {
    "rate": lambda report: report["rate"],
    "errors": lambda report: report["error_count"],
    "p_value": lambda report: report["numbers"] and report["numbers"]["p_value"],
    **{
        name: lambda report, name=name: report["ledger"][name]  # type: ignore[misc]
        for name in ("requests", "verified", *FAULTS)
    },
    **{
        name: lambda report, name=name: report["attempts"][name]  # type: ignore[misc]
        for name in ("reconnects", "resent", "in_flight_when_lost")
    },
}
"""The figures without a unit."""

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
    """A check that can be judged. Times are told in its own unit."""

    text: str
    figure: Callable[[Report], float | None]
    comparison: str
    limit: float
    unit: str

    def judge(self, report: Report) -> Report:
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


def _time(text: str, name: str, unit: float) -> Callable[[Report], float | None]:
    """Return what finds a time by its name, in this unit."""
    if name == "elapsed":
        return lambda report: report["elapsed_s"] * UNITS["s"] / unit
    source = "raw_latency_ms" if name.startswith("raw_") else "latency_ms"
    latency = LATENCIES.get(name.removeprefix("raw_")) or _percentile(text, name)
    if latency not in (*LATENCIES.values(), *PERCENTILES) and source == "raw_latency_ms":
        raise ValueError(f"{text!r}: of the raw latencies there are {', '.join(PERCENTILES)}.")

    def find(report: Report) -> float | None:
        latencies = report[source]
        # Without a reply there is no latency; the report then has zeros.
        if latencies is None or not latencies["max"]:
            return None
        value = latencies[latency] if latency in latencies else _decoded(report, latency)
        return float(value) / unit

    return find


def _percentile(text: str, name: str) -> str:
    """Return a percentile by the name that it has in a report: 'p99.9' for 'p(99.90)'."""
    found = PERCENTILE.fullmatch(name.removeprefix("raw_"))
    if found is None:
        raise ValueError(
            f"{text!r}: there is no figure {name!r}; there are p50, p99.9 and any other percentile,"
            f" {', '.join(LATENCIES)} (each with raw_ before it under a rate), elapsed,"
            f" {', '.join(COUNTS)}."
        )
    percentile = float(found[1] or found[2])
    if percentile > 100:
        raise ValueError(f"{text!r}: a percentile is from 0 to 100.")
    return f"p{percentile:.12g}"


def _decoded(report: Report, percentile: str) -> float:
    # Costly to import, and not needed to read the command line.
    from cli_client.reports.distribution import MICROSECONDS, decode

    value: float = decode(report).get_value_at_percentile(float(percentile[1:]))
    return value / MICROSECONDS
