"""How the outputs word what a report has, so that a figure reads the same in all of them."""

from typing import Any

__all__ = [
    "BESIDES",
    "FATES",
    "FAULTS",
    "LATENCIES",
    "PERCENTILES",
    "Report",
    "check_line",
    "close_line",
    "closer",
    "faults",
    "lost",
    "milliseconds",
    "number",
    "numbers",
    "plural",
    "printable",
    "total",
    "verdict",
]

Report = dict[str, Any]
"""A report as it is read from JSON; docs/report.schema.json describes it."""

FATES = ("wrong", "missing", "never_sent")
"""The fields of the ledger that add up to the requests, with those that are verified."""

BESIDES = ("duplicate", "out_of_order", "unsolicited", "late")
"""The fields that count replies which came as they should not."""

FAULTS = (*FATES, *BESIDES)
"""The fields of the ledger that a right run has at 0."""

PERCENTILES = ("p50", "p90", "p95", "p99", "p99.9")
"""The percentiles that a report has at hand; of raw latencies it has no others."""

LATENCIES = ("min", "mean", *PERCENTILES, "max")

CLOSERS = {"server": "the server", "client": "the client", "network": "the network"}


def printable(text: str) -> str:
    """Return text with what a terminal or a page would obey, not show, as escapes.

    Servers choose close reasons and, in part, error texts.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def plural(count: int, noun: str) -> str:
    """Return '1 reconnect', '2 reconnects'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def number(value: float) -> str:
    """Return a figure with four digits or, if larger, all that are before the point."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def verdict(report: Report) -> str:
    """Return the verdict; a run that was ended early, and right until then, did not fail."""
    if report["verdict"] == "pass":
        return "PASS"
    return "INTERRUPTED" if _was_stopped(report) else "FAIL"


def _was_stopped(report: Report) -> bool:
    # A report that is read from a file need not have these.
    return bool(report.get("interrupted")) and not report.get("error_count")


def total(report: Report) -> str:
    """Return what a run came to: '9,998 of 10,000 replies right'."""
    ledger = report["ledger"]
    return f"{ledger['verified']:,} of {ledger['requests']:,} replies right"


def milliseconds(value: float) -> str:
    """Return milliseconds without their unit, in at most seven characters up to an hour."""
    decimals = 3 if value < 0.1 else 2 if value < 100 else 1 if value < 1000 else 0
    return f"{value:.{decimals}f}"


def faults(report: Report) -> list[str]:
    """Return each fault that occurred, as in '2 missing'."""
    ledger = report["ledger"]
    return [f"{ledger[name]:,} {name.replace('_', ' ')}" for name in FAULTS if ledger[name]]


def lost(report: Report) -> str:
    """Say what was in flight when a connection died, and what became of it; or nothing."""
    attempts = report["attempts"]
    in_flight, resent = attempts["in_flight_when_lost"], attempts["resent"]
    parts = []
    if in_flight:
        some = f"{resent:,}" if resent else "none"
        again = "sent again" if resent == in_flight else f"{some} sent again"
        parts.append(f"in flight when the connection died: {in_flight:,}, {again}")
    elif resent:
        parts.append(f"{resent:,} sent again")
    if attempts["reconnects"]:
        parts.append(plural(attempts["reconnects"], "reconnect"))
    return "; ".join(parts)


def check_line(check: Report) -> str:
    """Say what a check asked for and what it found."""
    value = check["value"]
    found = "not measured" if value is None else f"{number(value)} {check.get('unit', '')}"
    return f"{check['check']}: {found}".rstrip()


def closer(close: Report) -> str:
    """Say who closed."""
    return CLOSERS.get(close["by"], printable(str(close["by"])))


def close_line(close: Report) -> str:
    """Say who closed connections, how many of them, with which code and why."""
    code = f", code {close['code']}" if close["code"] is not None else ""
    reason = f": {printable(close['reason'])}" if close["reason"] else ""
    return f"{close['count']:,} closed by {closer(close)}{code}{reason}"


def numbers(found: Report) -> str:
    """Say how evenly the numbers of the replies were drawn."""
    seen = "all 100" if found["seen"] == 100 else f"{found['seen']} of 100"
    told = (
        f"{seen} values in {found['replies']:,} {'reply' if found['replies'] == 1 else 'replies'}"
    )
    if found["p_value"] is None:
        return told
    return f"{told}, chi-squared {found['chi_squared']:.1f}, p-value {found['p_value']:.3g}"
