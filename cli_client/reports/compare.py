"""Two runs side by side: how each figure changed, what was set otherwise, what was not compared."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from cli_client.ledger.figures import ATTEMPTS, FAULTS, LATENCIES
from cli_client.reports.schema import Latency, Report
from cli_client.reports.wording import milliseconds, printable, verdict
from cli_client.secrets import MASK, variables

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
    differences = [
        *_differences(
            {"tool": a["tool"], **a["environment"]}, {"tool": b["tool"], **b["environment"]}
        )
    ]
    differences += _differences(a["settings"], b["settings"])
    lines += ["", "Set otherwise:" if differences else "The settings are the same."]
    lines += [f"  {printable(line)}" for line in differences]
    not_compared = [*_not_compared(a, b)]
    if not_compared:
        lines += ["", "Not compared:", *(f"  {printable(line)}" for line in not_compared)]
    lines += ["", f"{'':<22}{'A':>14}{'B':>14}{'change':>12}"]
    lines += [_line(row) for row in _rows(a, b)]
    return "\n".join(line.rstrip() for line in lines)


def _headline(report: Report) -> str:
    return printable(f"{verdict(report)}  {report['started_at']}  {report['url']}")


def _differences(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    for name in _names(a, b):
        # null is as good as absent: one of the two may be of a version without that setting.
        if a.get(name) != b.get(name):
            yield f"{name}: A {_setting(a.get(name))}, B {_setting(b.get(name))}"


def _names(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return [*a, *(name for name in b if name not in a)]


def _setting(value: Any) -> str:
    if value is None:
        return "unset"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _not_compared(a: Report, b: Report) -> Iterator[str]:
    """Yield what the reports do not have, or have in two kinds."""
    for name in _names(a["settings"], b["settings"]):
        texts = [_setting(report["settings"].get(name)) for report in (a, b)]
        if all(MASK in text for text in texts):
            yield f"{name}: its secret is in neither report"
        for variable in sorted({found for text in texts for found in variables(text)}):
            yield f"{name}: the value of {{env:{variable}}} is in neither report"
    if a["settings"].get("file") and b["settings"].get("file"):
        yield "file: its content is in neither report"
    missing = [name for name, report in (("A", a), ("B", b)) if report["latency_ms"] is None]
    if missing:
        yield f"latency: no reply came in {' and '.join(missing)}"
    elif not _timed_alike(a, b):
        yield "latency: only one run was at a rate, and counts from when a request was due"
    if not _of_one_length(a, b):
        yield "counts and time: the runs differ in their number of requests"
    elif _is_timed(a) or _is_timed(b):
        yield "time: it was set by a rate or a duration"
    if not _asked_alike(a, b):
        yield "rate: the runs were asked for different ones"


def _rows(a: Report, b: Report) -> Iterator[Row]:
    """Yield what there is to compare; a fault that neither run has is left out."""
    # Of runs of another length, neither count nor time says which did better.
    alike = _of_one_length(a, b)
    yield Row("requests", a["ledger"]["requests"], b["ledger"]["requests"], None, True)
    verified = (a["ledger"]["verified"], b["ledger"]["verified"])
    yield Row("verified", *verified, False if alike else None, True)
    for fault in FAULTS:
        yield from _counted(fault, a["ledger"][fault], b["ledger"][fault], alike)
    for attempt in ATTEMPTS:
        judged = alike and attempt == "reconnects"
        yield from _counted(attempt, a["attempts"][attempt], b["attempts"][attempt], judged)
    failed = (a["handshakes"]["failed"], b["handshakes"]["failed"])
    yield from _counted("handshake_failures", *failed, alike)
    given_up = (a["connections"]["given_up"], b["connections"]["given_up"])
    yield from _counted("connections_given_up", *given_up, alike)
    judged = alike and not _is_timed(a) and not _is_timed(b)
    yield Row("elapsed, s", a["elapsed_s"], b["elapsed_s"], True if judged else None)
    yield from _timed("longest outage, s", a["outage_max_s"], b["outage_max_s"])
    yield from _timed("longest silence, s", a["silence_max_s"], b["silence_max_s"])
    rates = (a["rate"], b["rate"])
    yield Row("rate, messages/s", *rates, False if _asked_alike(a, b) else None)
    better = True if _timed_alike(a, b) else None
    yield from _latencies("latency", a["latency_ms"], b["latency_ms"], better)
    yield from _latencies("raw latency", a["raw_latency_ms"], b["raw_latency_ms"], better)


def _counted(name: str, a: int, b: int, judged: bool) -> Iterator[Row]:
    if a or b:
        yield Row(name.replace("_", " "), a, b, True if judged else None, True)


def _timed(name: str, a: float, b: float) -> Iterator[Row]:
    if a or b:
        yield Row(name, a, b, True)


def _latencies(
    name: str, a: Latency | None, b: Latency | None, better: bool | None
) -> Iterator[Row]:
    if a and b:
        for figure in LATENCIES:
            yield Row(f"{name} {figure}, ms", a[figure], b[figure], better)


def _of_one_length(a: Report, b: Report) -> bool:
    return a["ledger"]["requests"] == b["ledger"]["requests"]


def _is_timed(report: Report) -> bool:
    """Return whether the settings say how long a run lasts, whatever the server does."""
    return bool(report["settings"].get("rate") or report["settings"].get("duration"))


def _asked_alike(a: Report, b: Report) -> bool:
    """Return whether both runs were asked for the same rate, or for none."""
    return a["settings"].get("rate") == b["settings"].get("rate")


def _timed_alike(a: Report, b: Report) -> bool:
    """Return whether the latencies of both runs count from the same moment."""
    return bool(a["raw_latency_ms"]) == bool(b["raw_latency_ms"])


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
    if row.less_is_better is None or row.a == row.b or small:
        return ""
    return "better" if (row.b < row.a) is row.less_is_better else "worse"
