"""The report of a run: all its figures as plain data. ``docs/report.md`` describes it."""

import importlib.metadata
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from cli_client.ledger.figures import ATTEMPTS, BESIDES
from cli_client.ledger.latency import Latencies, interval_summary
from cli_client.ledger.numbers import spread
from cli_client.ledger.result import HandshakeKey, Result
from cli_client.ledger.verdict import Equation, equations, judge
from cli_client.reports import schema
from cli_client.reports.schema import Report
from cli_client.reports.wording import rate as rate_text
from cli_client.secrets import conceal, hide
from cli_client.settings import Settings
from wire import frames

if TYPE_CHECKING:
    from cli_client.reports.checks import Check

__all__ = ["make_report"]

UNLIKELY = 0.001
"""The p-value below which numbers are called uneven."""

LONG_ENOUGH = 1.0
"""Seconds from which on a run shows the sender's own limits."""

BUSY = 0.9
"""Cores of a process from which on it has no reserve: its latencies grow with its queue."""

LATE_MS = 20.0
"""Milliseconds of the sender's own delay that a person would notice in a latency."""


REPEATED = ("handshakes", "connections", "errors", "warnings", "unverified", "missing_shares")
"""The parts of a report that may have what a server said."""


def make_report(
    settings: Settings,
    result: Result,
    started_at: str,
    checks: "Sequence[Check]" = (),
) -> Report:
    """Return the figures of a run, judged.

    Args:
        settings: The settings of the run.
        result: What came of it.
        started_at: The date and time of its start (ISO 8601).
        checks: What must hold besides.

    Raises:
        ValueError: If a check needs the histogram and it cannot be decoded.
    """
    measured = hide(_measured(settings, result, started_at), settings.variables)
    given = settings.given_secrets(result.subprotocols)
    measured |= {name: conceal(measured[name], given) for name in REPEATED}
    report = cast(Report, measured)
    report["checks"] = [check.judge(report) for check in checks]
    verdict = judge(result, all(check["passed"] for check in report["checks"]), settings.strict)
    report["verdict"] = verdict.name
    report["reasons"] = [*verdict.reasons]
    return report


def _measured(settings: Settings, result: Result, started_at: str) -> Report:
    elapsed = result.elapsed
    answered = result.fates["verified"] + result.fates["wrong"]
    by_fate, by_name = equations(result)
    rate = answered / elapsed if elapsed else 0.0
    shown = result.corrected or result.latencies
    without_stalls = result.latencies_without_stalls
    settings_shown = settings.for_report(result.subprotocols)
    report: Report = {
        "schema": schema.SCHEMA,
        "tool": f"wsroll-send {importlib.metadata.version('wsroll')}",
        "environment": {
            "python": f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}",
            "frames": frames.LANGUAGE,
        },
        "verdict": "fail",
        "reasons": [],
        "unverified": [*result.unverified],
        "interrupted": result.interrupted,
        "started_at": started_at,
        "url": settings_shown["url"],
        "settings": settings_shown,
        "ledger": cast(
            schema.Ledger,
            {"requests": by_fate.total, **by_fate.parts}
            | {name: result.messages[name] for name in BESIDES},
        ),
        "messages": cast(schema.Messages, {"received": by_name.total, **by_name.parts}),
        "equations": [_equation(by_fate), _equation(by_name)],
        "attempts": cast(schema.Attempts, {name: result.attempts[name] for name in ATTEMPTS}),
        "handshakes": _handshakes(result),
        "connections": _connections(result),
        "outage_max_s": result.outage_max,
        "outage_total_s": result.outage_total,
        "silence_max_s": result.silence_max,
        "elapsed_s": elapsed,
        "rate": rate,
        "latency_ms": _latency(shown),
        "raw_latency_ms": None if result.corrected is None else _latency(result.latencies),
        "stalls": [
            {"at_s": stall.at, "length_s": stall.length, "requests": stall.requests}
            for stall in result.stalls
        ],
        "latency_without_stalls_ms": None if without_stalls is None else _latency(without_stalls),
        "histogram": cast(list[schema.Bucket], shown.bars()),
        "hdr": shown.encode().decode(),
        "numbers": _numbers(result) if settings.expect == "number" else None,
        "sender": {
            "cpu": result.cpu,
            "processes": result.processes,
            "event_loop_lag_ms": _lag(result.loop_lag),
            "schedule_lag_ms": None if result.schedule_lag is None else _lag(result.schedule_lag),
        },
        "missing_shares": [*result.missing_shares],
        "errors": [
            {"message": message, "count": count} for message, count in result.errors.listed()
        ],
        "error_count": result.errors.count,
        "warnings": [*result.warnings],
        "checks": [],
        "timeline_step_s": result.seconds.step,
        "timeline": [*_timeline(result)],
    }
    report["warnings"] += _warnings(settings, report)
    return report


def _equation(found: Equation) -> schema.Equation:
    return {
        "name": found.name,
        "total": found.total,
        "terms": found.parts,
        "holds": found.holds,
    }


def _handshakes(result: Result) -> schema.Handshakes:
    failures: list[schema.Failure] = [
        {"phase": key.phase, "reason": key.reason, "count": count}
        for key, count in result.handshakes.most_common()
        if key.outcome == "failed"
    ]
    failed = sum(failure["count"] for failure in failures)
    unfinished = result.handshakes[HandshakeKey("unfinished")]
    return {
        "tried": result.opened + failed + unfinished,
        "opened": result.opened,
        "failed": failed,
        "unfinished": unfinished,
        "failures": failures,
    }


def _connections(result: Result) -> schema.Connections:
    attempts = result.attempts
    return {
        "opened": result.opened,
        "reconnects": attempts["reconnects"],
        "given_up": attempts["connections_given_up"],
        "unanswered_closes": attempts["unanswered_closes"],
        "breaches": attempts["breaches"],
        "closes": [
            {
                "by": close.by,
                "code": close.code,
                "reason": close.reason,
                "words": close.words,
                "ended_by_us": close.ended_by_us,
                "count": count,
            }
            for close, count in result.closes.most_common()
        ],
    }


def _latency(latencies: Latencies) -> schema.Latency | None:
    return cast(schema.Latency | None, latencies.summary())


def _numbers(result: Result) -> schema.Numbers:
    return cast(schema.Numbers, spread(result.numbers))


def _lag(latencies: Latencies) -> schema.Lag:
    summary = latencies.summary() or {"p99": 0.0, "max": 0.0}
    return {"p99": summary["p99"], "max": summary["max"]}


def _timeline(result: Result) -> Iterator[schema.Second]:
    for place, span in enumerate(result.seconds):
        latency = interval_summary(span.latencies)
        yield {
            "second": place * result.seconds.step,
            "sent": span.sent,
            "answered": span.answered,
            "errors": span.errors,
            "p50_ms": latency["p50"],
            "p99_ms": latency["p99"],
            "max_ms": latency["max"],
        }


def _warnings(settings: Settings, report: Report) -> Iterator[str]:
    p_value = report["numbers"] and report["numbers"]["p_value"]
    if p_value is not None and p_value < UNLIKELY:
        yield (
            f"the numbers in the replies are not evenly spread (p = {p_value:.2g}): a generator is "
            "stuck, or replies are repeated on the way"
        )
    if report["elapsed_s"] < LONG_ENOUGH:
        return
    sender, schedule = report["sender"], report["sender"]["schedule_lag_ms"]
    late = max(sender["event_loop_lag_ms"]["p99"], schedule["p99"] if schedule else 0.0)
    if sender["cpu"] > BUSY:
        yield (
            f"the sender was the bottleneck: it used {sender['cpu']:.2f} of a core. "
            "--processes spreads it over more"
        )
    elif late > LATE_MS:
        yield (
            f"the sender itself ran late (p99 {late:.0f} ms), "
            "so the latencies are not the server's alone"
        )
    rate = report["rate"]
    if settings.rate is not None and rate < 0.95 * settings.rate and not settings.ramp:
        yield (
            f"{rate_text(settings.rate)} requests/s were asked for, {rate_text(rate)}/s were "
            "answered"
        )
