"""The page of a run: one file that can be mailed, printed and kept, without script or addresses."""

import json
from typing import Any, cast

from cli_client.ledger.figures import FAULTS, LATENCIES, SELDOM
from cli_client.reports.schema import Report
from cli_client.reports.wording import (
    close_reason,
    closer,
    equation,
    gaps,
    lost,
    milliseconds,
    number,
    numbers,
    plural,
    printable,
    rate,
    stall_line,
    total,
    unfinished,
    verdict,
)

__all__ = ["page"]


REQUESTS = {
    "verified": "got its own right reply",
    "wrong": "got something else in its place",
    "missing": "was sent and got no reply",
    "never_sent": "was not sent before the run ended",
}
"""What each fate means."""

MESSAGES = {
    "verified": "the right reply to its request",
    "wrong": "came in the place of a right reply",
    "duplicate": "a reply that had come before",
    "late": "came after its request had been given up",
    "unsolicited": "answers no request",
    "greetings": "the first of its connection, as --greeting announces",
    "parts": "a part of a reply",
    "pushes": "sent by the server of its own accord, as --push announces",
    "hello_replies": "the reply to a hello",
}
"""What each kind of message means."""


def page(report: Report) -> str:
    """Return a report as an HTML page that needs nothing but itself.

    Raises:
        ValueError: If the report's histogram cannot be decoded.
    """
    import jinja2  # costly to import, as is what draws; neither is needed without a page

    from cli_client.reports import charts
    from cli_client.reports.drawing import Drawing

    settings = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in report["settings"].items()
        if value is not None
    }
    report = cast(Report, _printable({**report, "settings": settings}))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cli_client", "reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(ms=milliseconds, number=number, plural=plural, rate=rate)
    latency, points = report["latency_ms"], charts.thinned(report)
    drawn: dict[str, Drawing] = {}
    if latency is not None:
        drawn["by_percentile"] = charts.by_percentile(report, latency)
        if report["histogram"]:
            drawn["histogram"] = charts.histogram(report)
        if len(points) > 1:
            drawn["throughput"] = charts.throughput_over_time(report)
        if len(points) > 1 and any(point.max_ms for point in points):
            drawn["latency"] = charts.latency_over_time(report)
    return environment.get_template("page.html").render(
        report=report,
        verdict=verdict(report),
        total=total(report),
        requests=REQUESTS,
        messages=MESSAGES,
        equations=[equation(found) for found in report["equations"]],
        fault_names=FAULTS,
        seldom=SELDOM,
        latencies=LATENCIES,
        latency_columns=_latency_columns(report),
        lost=lost(report),
        gaps=[*gaps(report)],
        unfinished=unfinished,
        stalls=[stall_line(stall) for stall in report["stalls"]],
        closer=closer,
        close_reason=close_reason,
        numbers=_numbers(report),
        unlisted=report["error_count"] - sum(error["count"] for error in report["errors"]),
        charts=drawn,
        points=points if any(point.sent or point.errors for point in points) else [],
        seconds_each=points[1].second - points[0].second if len(points) > 1 else 1,
    )


def _numbers(report: Report) -> str:
    """Return how evenly the numbers of the replies were drawn, if there are any."""
    found = report["numbers"]
    return numbers(found) if found and found["replies"] else ""


def _latency_columns(report: Report) -> dict[str, Any]:
    """Return the latencies that there are, by the heads of their columns."""
    raw, without_stalls = report["raw_latency_ms"], report["latency_without_stalls_ms"]
    columns = {
        "corrected" if raw else "latency": report["latency_ms"],
        "raw": raw,
        "without stalls": without_stalls,
    }
    return {head: values for head, values in columns.items() if values}


def _printable(value: Any) -> Any:
    """Return plain data with all of its texts printable, whoever chose them."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(name): _printable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value
