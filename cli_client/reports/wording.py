"""How the outputs word what a report has, so that a figure reads the same in all of them."""

from typing import Any

__all__ = [
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
]

Report = dict[str, Any]
"""A report as it is read from JSON; docs/report.schema.json describes it."""

FAULTS = ("wrong", "missing", "never_sent", "duplicate", "out_of_order", "unsolicited", "late")
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
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def number(value: float) -> str:
    """Return a figure with six digits or, if larger, all that are before the point."""
    return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.0f}"


def milliseconds(value: float) -> str:
    """Return milliseconds without their unit, in at most seven characters up to an hour."""
    decimals = 3 if value < 0.1 else 2 if value < 100 else 1 if value < 1000 else 0
    return f"{value:.{decimals}f}"


def faults(report: Report) -> list[str]:
    """Return each fault that occurred, as in '2 missing'."""
    ledger = report["ledger"]
    return [f"{ledger[name]} {name.replace('_', ' ')}" for name in FAULTS if ledger[name]]


def lost(report: Report) -> str:
    """Say what was in flight when a connection died, and what became of it; or nothing."""
    attempts = report["attempts"]
    in_flight, resent = attempts["in_flight_when_lost"], attempts["resent"]
    parts = []
    if in_flight:
        again = "sent again" if resent == in_flight else f"{resent or 'none'} sent again"
        parts.append(f"in flight when the connection died: {in_flight}, {again}")
    elif resent:
        parts.append(f"{resent} sent again")
    if attempts["reconnects"]:
        parts.append(plural(attempts["reconnects"], "reconnect"))
    return "; ".join(parts)


def check_line(check: Report) -> str:
    """Say what a check asked for and what it found."""
    value = check["value"]
    return f"{check['check']}: {'not measured' if value is None else number(value)}"


def closer(close: Report) -> str:
    """Say who closed."""
    return CLOSERS.get(close["by"], printable(str(close["by"])))


def close_line(close: Report) -> str:
    """Say who closed connections, how many of them, with which code and why."""
    code = f", code {close['code']}" if close["code"] is not None else ""
    reason = f": {printable(close['reason'])}" if close["reason"] else ""
    return f"{close['count']} closed by {closer(close)}{code}{reason}"


def numbers(found: Report) -> str:
    """Say how evenly the numbers of the replies were drawn."""
    seen = f"{plural(found['seen'], 'different value')} of 100 in {found['replies']} replies"
    if found["p_value"] is None:
        return seen
    return f"{seen}, chi-squared {found['chi_squared']:.1f}, p-value {found['p_value']:.3g}"
