"""The page of a run: one file that can be mailed, printed and kept, without script or addresses."""

import json
from typing import Any

from cli_client.reports.wording import (
    FAULTS,
    LATENCIES,
    Report,
    check_line,
    closer,
    faults,
    lost,
    milliseconds,
    number,
    numbers,
    plural,
    printable,
    total,
    verdict,
)

__all__ = ["page"]


FATES = {
    "verified": "got its own right reply",
    "wrong": "got something else in its place",
    "missing": "was sent and got no reply",
    "never_sent": "was not sent before the run ended",
    "duplicate": "a reply that had come before",
    "out_of_order": "came behind the reply to a later request",
    "unsolicited": "a reply that nobody asked for",
    "late": "came when it was no longer waited for",
}


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
    report = _printable({**report, "settings": settings})
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cli_client", "reports"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(ms=milliseconds, number=number, plural=plural)
    answered = bool(report["latency_ms"]["max"])
    drawn: dict[str, Drawing] = {}
    if answered:
        drawn["by_percentile"] = charts.by_percentile(report)
        if report["histogram"]:
            drawn["histogram"] = charts.histogram(report)
        if len(report["timeline"]) > 1:
            drawn["throughput"] = charts.throughput_over_time(report)
        if len(report["timeline"]) > 1 and any(second["max_ms"] for second in report["timeline"]):
            drawn["latency"] = charts.latency_over_time(report)
    seconds = charts.thinned(report["timeline"])
    return environment.get_template("page.html").render(
        report=report,
        verdict=verdict(report),
        total=total(report),
        answered=answered,
        fates=FATES,
        faults=faults(report),
        fault_names=FAULTS,
        latencies=LATENCIES,
        lost=lost(report),
        check_lines=[check_line(check) for check in report["checks"]],
        closer=closer,
        numbers=report["numbers"] and numbers(report["numbers"]),
        unlisted=report["error_count"] - sum(error["count"] for error in report["errors"]),
        charts=drawn,
        seconds=seconds,
        seconds_each=seconds[1]["second"] - seconds[0]["second"] if len(seconds) > 1 else 1,
    )


def _printable(value: Any) -> Any:
    """Return plain data with all of its texts printable, whoever chose them."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(name): _printable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value
