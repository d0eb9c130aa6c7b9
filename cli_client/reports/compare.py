"""Two runs side by side: how each figure changed, and what was set otherwise."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from cli_client.reports.wording import FAULTS, LATENCIES, Report, milliseconds, printable, verdict

__all__ = ["compare"]


NOTICED = 1.0
"""Per cent from which on a change of time or rate is called better or worse: less is noise."""


class Row(NamedTuple):
    """A figure of both runs. less_is_better is None where neither is better."""

    name: str
    a: float
    b: float
    less_is_better: bool | None
    counted: bool = False


def compare(a: Report, b: Report) -> str:
    """Return two reports side by side, for a person: what b changed against a."""
    lines = [f"{name}  {_headline(report)}" for name, report in (("A", a), ("B", b))]
    differences = list(_differences(a["settings"], b["settings"]))
    lines += ["", "Set otherwise:" if differences else "The settings are the same."]
    lines += [f"  {printable(line)}" for line in differences]
    if not _timed_alike(a, b):
        lines += ["", "Only one run was at a rate: its latency counts from when a request was due."]
    lines += ["", f"{'':<22}{'A':>14}{'B':>14}{'change':>12}"]
    lines += [_line(row) for row in _rows(a, b)]
    return "\n".join(line.rstrip() for line in lines)


def _headline(report: Report) -> str:
    return printable(f"{verdict(report)}  {report['started_at']}  {report['url']}")


def _differences(a: Report, b: Report) -> Iterator[str]:
    for name in [*a, *(name for name in b if name not in a)]:
        # null is as good as absent: one of the two may be of a version without that setting.
        if a.get(name) != b.get(name):
            yield f"{name}: A {_setting(a.get(name))}, B {_setting(b.get(name))}"


def _setting(value: Any) -> str:
    if value is None:
        return "unset"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _rows(a: Report, b: Report) -> Iterator[Row]:
    """Yield what there is to compare; a fault that neither run has is left out."""
    # Of runs of another length, neither count nor time says which did better.
    alike = a["ledger"]["requests"] == b["ledger"]["requests"]
    for name in ("requests", "verified", *FAULTS):
        row = (a["ledger"][name], b["ledger"][name])
        if any(row) or name not in FAULTS:
            judged = alike and name != "requests"
            yield Row(name.replace("_", " "), *row, name != "verified" if judged else None, True)
    for name in ("reconnects", "in_flight_when_lost", "resent"):
        row = (a["attempts"][name], b["attempts"][name])
        if any(row):
            better = True if alike and name == "reconnects" else None
            yield Row(name.replace("_", " "), *row, better, True)
    yield Row("elapsed, s", a["elapsed_s"], b["elapsed_s"], True if alike else None)
    # Of a run at a rate, that one was asked for.
    asked_alike = a["settings"].get("rate") == b["settings"].get("rate")
    yield Row("rate, messages/s", a["rate"], b["rate"], False if asked_alike else None)
    for source, prefix in (("latency_ms", "latency"), ("raw_latency_ms", "raw latency")):
        if a.get(source) and b.get(source):
            for name in LATENCIES:
                better = True if _timed_alike(a, b) else None
                yield Row(f"{prefix} {name}, ms", a[source][name], b[source][name], better)


def _timed_alike(a: Report, b: Report) -> bool:
    """Return whether the latencies of both runs count from the same moment."""
    return bool(a.get("raw_latency_ms")) == bool(b.get("raw_latency_ms"))


def _line(row: Row) -> str:
    if row.counted:
        figures = [f"{value:,}" for value in row[1:3]]
    elif row.name.endswith("ms"):
        figures = [milliseconds(row.a), milliseconds(row.b)]
    else:
        figures = [f"{value:,.0f}" if value >= 1000 else f"{value:.2f}" for value in row[1:3]]
    per_cent = (row.b - row.a) / row.a * 100 if row.a else None
    change = "new" if per_cent is None else f"{per_cent:+.1f} %"
    if row.a == row.b:
        change = "same"
    return f"{row.name:<22}{figures[0]:>14}{figures[1]:>14}{change:>12}  {_judged(row, per_cent)}"


def _judged(row: Row, per_cent: float | None) -> str:
    """Say whether B is better or worse, where one is and it is no mere noise."""
    small = not row.counted and per_cent is not None and abs(per_cent) < NOTICED
    # A latency of 0 is that of a run without replies, which no other can be compared with.
    unmeasured = not row.counted and not (row.a and row.b)
    if row.less_is_better is None or row.a == row.b or small or unmeasured:
        return ""
    return "better" if (row.b < row.a) is row.less_is_better else "worse"
