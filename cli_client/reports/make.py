"""The report of a run: all its figures as plain data. ``docs/report.md`` describes it."""

import importlib.metadata
from typing import Any

from cli_client.ledger.latency import interval_summary
from cli_client.ledger.numbers import spread
from cli_client.ledger.result import Result
from cli_client.settings import Settings

__all__ = ["make_report"]

SCHEMA = 1

UNLIKELY = 0.001
"""The p-value below which numbers are called uneven."""

LONG_ENOUGH = 1.0
"""Seconds from which on a run tells something about the sender's own limits."""
BUSY = 0.9
LATE_MS = 20.0


def make_report(settings: Settings, result: Result, started_at: str) -> dict[str, Any]:
    """Return the figures of a run. Times end in their unit; rates are per second.

    Args:
        settings: The settings of the run.
        result: What came of it.
        started_at: The date and time of its start (ISO 8601).
    """
    elapsed = result.elapsed
    fates = result.fates
    answered = fates["verified"] + fates["wrong"]
    shown = result.corrected or result.latencies
    numbers = spread(result.numbers) if settings.expect == "number" else None
    sender = {
        "cpu": result.cpu / elapsed if elapsed else 0.0,
        "processes": result.processes,
        "event_loop_lag_ms": _lag(result.loop_lag.summary()),
        "schedule_lag_ms": None
        if result.schedule_lag is None
        else _lag(result.schedule_lag.summary()),
    }
    rate = answered / elapsed if elapsed else 0.0
    return {
        "schema": SCHEMA,
        "tool": f"wsroll-send {importlib.metadata.version('wsroll')}",
        "verdict": "pass" if result.passed and not result.interrupted else "fail",
        "interrupted": result.interrupted,
        "started_at": started_at,
        "url": settings.for_report()["url"],
        "settings": settings.for_report(),
        "ledger": {name: fates[name] for name in _FATES},
        "attempts": {name: result.attempts[name] for name in _ATTEMPTS},
        "elapsed_s": elapsed,
        "rate": rate,
        "latency_ms": shown.summary(),
        "raw_latency_ms": None if result.corrected is None else result.latencies.summary(),
        "histogram": shown.bars(),
        "hdr": shown.encode().decode(),
        "connections": {
            "opened": result.opened,
            "reconnects": result.attempts["reconnects"],
            "closes": [
                {"by": key.by, "code": key.code, "reason": key.reason, "count": count}
                for key, count in result.closes.most_common()
            ],
        },
        "numbers": numbers,
        "sender": sender,
        "errors": [{"message": message, "count": count} for message, count in result.errors.told()],
        "error_count": result.errors.count,
        "warnings": [*result.warnings, *_warnings(settings, result, rate, numbers, sender)],
        "checks": [],
        "timeline": [
            {
                "second": number,
                "sent": second.sent,
                "answered": second.answered,
                "errors": second.errors,
                **{f"{name}_ms": ms for name, ms in interval_summary(second.latencies).items()},
            }
            for number, second in enumerate(result.seconds)
        ],
    }


_FATES = (
    *("requests", "verified", "wrong", "missing", "never_sent"),
    *("duplicate", "out_of_order", "unsolicited", "late"),
)
_ATTEMPTS = ("reconnects", "in_flight_when_lost", "resent")


def _lag(summary: dict[str, float]) -> dict[str, float]:
    return {name: summary[name] for name in ("p99", "max")}


def _warnings(
    settings: Settings,
    result: Result,
    rate: float,
    numbers: dict[str, float | None] | None,
    sender: dict[str, Any],
) -> list[str]:
    warnings = []
    made_of_template = settings.file is None and settings.corpus is None
    if made_of_template and "{i}" not in settings.template and settings.expect != "any":
        warnings.append(
            "the template has no {i}, so all requests are alike: a lost, repeated or misplaced "
            "reply may not show"
        )
    p_value = None if numbers is None else numbers["p_value"]
    if p_value is not None and p_value < UNLIKELY:
        warnings.append(
            f"the numbers in the replies are not evenly spread (p = {p_value:.2g}): a generator is "
            "stuck, or replies are repeated on the way"
        )
    if result.elapsed < LONG_ENOUGH:
        return warnings
    lag = sender["event_loop_lag_ms"]["p99"]
    late = (sender["schedule_lag_ms"] or {"p99": 0.0})["p99"]
    if sender["cpu"] > BUSY:
        warnings.append(
            f"the sender was the bottleneck: it used {sender['cpu']:.2f} of a core. "
            "--processes spreads it over more"
        )
    elif max(lag, late) > LATE_MS:
        warnings.append(
            f"the sender itself ran late (p99 {max(lag, late):.0f} ms), "
            "so the latencies are not the server's alone"
        )
    if settings.rate is not None and rate < 0.95 * settings.rate and not settings.ramp:
        warnings.append(
            f"{settings.rate:,.0f} requests/s were asked for, {rate:,.0f}/s were answered"
        )
    return warnings
