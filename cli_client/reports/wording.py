"""How the outputs word what a report has, so that a figure reads the same in all of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli_client.ledger.figures import FAULTS, SELDOM
from wire.text import printable

if TYPE_CHECKING:
    from cli_client.reports.schema import (
        CheckResult,
        Close,
        Equation,
        Failure,
        Handshakes,
        Numbers,
        Report,
        Stall,
    )

__all__ = [
    "LONG",
    "check_line",
    "close_line",
    "close_reason",
    "closer",
    "equation",
    "equation_parts",
    "failure_line",
    "faults",
    "gaps",
    "lost",
    "milliseconds",
    "number",
    "numbers",
    "plural",
    "printable",
    "rate",
    "stall_line",
    "total",
    "unfinished",
    "verdict",
]

LONG = 1.0
"""Seconds of an outage or a silence from which a person notices it: it is named on the screen."""

CLOSERS = {"server": "the server", "client": "the client", "network": "nobody"}


ONE = {
    "parts": "part",
    "pushes": "push",
    "greetings": "greeting",
    "hello_replies": "hello reply",
}
"""How a single message is called, where that differs."""


def plural(count: int, noun: str) -> str:
    """Return '1 reconnect', '2 reconnects'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def number(value: float) -> str:
    """Return a figure with four digits or, if larger, all that are before the point."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def rate(value: float) -> str:
    """Return a rate with three digits or, if larger, all that are before the point."""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def verdict(report: "Report") -> str:
    """Return the verdict in capitals."""
    return report["verdict"].upper()


def total(report: "Report") -> str:
    """Return what a run came to: '9,998 of 10,000 replies right'."""
    ledger = report["ledger"]
    what = "counted, not matched" if report["settings"].get("expect") == "any" else "right"
    return f"{ledger['verified']:,} of {ledger['requests']:,} replies {what}"


def equation(found: "Equation") -> str:
    """Return an equation: '10 = 9 verified + 0 wrong + 1 missing + 0 never sent'."""
    return "".join(text for _, text in equation_parts(found))


def equation_parts(found: "Equation") -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each part of an equation.

    What seldom occurs is left out if it did not occur.
    """
    sign = "=" if found["holds"] else "≠"
    yield "", f"{found['total']:,} {sign} "
    terms = [(name, n) for name, n in found["terms"].items() if n or name not in SELDOM]
    for place, (name, count) in enumerate(terms):
        words = ONE[name] if count == 1 and name in ONE else name.replace("_", " ")
        yield name, f"{' + ' if place else ''}{count:,} {words}"


def milliseconds(value: float | None) -> str:
    """Return milliseconds without their unit, in at most seven characters up to an hour."""
    if value is None:
        return "–"
    decimals = 3 if value < 0.1 else 2 if value < 100 else 1 if value < 1000 else 0
    return f"{value:.{decimals}f}"


def faults(report: "Report") -> list[str]:
    """Return each fault that occurred, as in '2 missing'."""
    ledger = report["ledger"]
    return [f"{ledger[name]:,} {name.replace('_', ' ')}" for name in FAULTS if ledger[name]]


def lost(report: "Report") -> str:
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


def gaps(report: "Report") -> Iterator[str]:
    """Yield the times in which nothing came, if they were long."""
    outage, outages = report["outage_max_s"], report["outage_total_s"]
    if outage >= LONG:
        in_all = f", {outages:.2f} s in all" if outages > outage else ""
        yield f"no connection was open for {outage:.2f} s{in_all}"
    if report["silence_max_s"] >= LONG:
        yield f"no reply came for {report['silence_max_s']:.2f} s while requests waited for one"


def stall_line(stall: "Stall") -> str:
    """Say when and for how long the sender's own process stood still."""
    touched = plural(stall["requests"], "request")
    return (
        f"the sender itself stood still for {stall['length_s']:.2f} s at second "
        f"{stall['at_s']:.1f}, which touched {touched}"
    )


def check_line(check: "CheckResult") -> str:
    """Say what a check asked for and what it found."""
    value = check["value"]
    found = "not measured" if value is None else f"{number(value)} {check['unit']}"
    return f"{check['check']}: {found}".rstrip()


def unfinished(handshakes: "Handshakes") -> str:
    """Say how many attempts to connect the end of the run came upon; empty if none."""
    count = handshakes["unfinished"]
    return f"{plural(count, 'handshake')} under way at the end" if count else ""


def failure_line(failure: "Failure") -> str:
    """Say how many attempts to connect failed, in which step and why."""
    phase = f" ({failure['phase']})" if failure["phase"] else ""
    return f"{failure['count']:,} failed{phase}: {printable(failure['reason'])}"


def closer(close: "Close") -> str:
    """Say who closed."""
    return CLOSERS[close["by"]]


def close_reason(close: "Close") -> str:
    """Say why connections ended; nothing if they did so in order and without a reason."""
    return printable(close["reason"] if close["by"] == "server" else close["words"])


def close_line(close: "Close") -> str:
    """Say who closed connections, how many of them, with which code and why."""
    why = f": {close_reason(close)}" if close_reason(close) else ""
    if close["by"] == "network":
        return f"{close['count']:,} ended without a closing handshake{why}"
    return f"{close['count']:,} closed by {closer(close)}, code {close['code']}{why}"


def numbers(found: "Numbers") -> str:
    """Say how evenly the numbers of the replies were drawn."""
    seen = "all 100" if found["seen"] == 100 else f"{found['seen']} of 100"
    replies = "reply" if found["replies"] == 1 else "replies"
    values = f"{seen} values in {found['replies']:,} {replies}"
    if found["p_value"] is None or found["chi_squared"] is None:
        return values
    return f"{values}, chi-squared {found['chi_squared']:.1f}, p-value {found['p_value']:.3g}"
