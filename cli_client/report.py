"""What a run came to: for programs as plain data, for people as a few lines."""

from typing import Any

from cli_client.ledger import SHOWN_ERRORS
from cli_client.run import Run

__all__ = ["make_report", "summary"]


def make_report(run: Run) -> dict[str, Any]:
    """Return the figures of a run. Times end in their unit; rates are messages per second."""
    ledger = run.ledger
    elapsed = run.elapsed
    return {
        "verdict": "pass" if ledger.passed else "fail",
        "url": run.settings.url,
        "window": run.settings.window,
        # Late replies would come after the closing handshake: there the connection ends.
        "ledger": {**ledger.fates(), "late": 0},
        "elapsed_s": elapsed,
        "rate": ledger.settled / elapsed if elapsed else 0.0,
        "latency_ms": ledger.latencies.summary(),
        "errors": [{"message": error, "count": 1} for error in ledger.errors],
        "error_count": ledger.error_count,
    }


def summary(report: dict[str, Any]) -> str:
    """Return a report as lines for a person."""
    ledger, latency = report["ledger"], report["latency_ms"]
    lines = [
        f"{ledger['verified']} of {ledger['requests']} replies right"
        f" in {report['elapsed_s']:.2f} s, {report['rate']:.0f} messages/s",
        "latency "
        + ", ".join(f"{name} {latency[name]:.2f} ms" for name in ("p50", "p90", "p99", "max")),
    ]
    faults = [
        f"{count} {name.replace('_', ' ')}"
        for name, count in ledger.items()
        if count and name not in ("requests", "verified")
    ]
    if faults:
        lines.append(", ".join(faults))
    lines += [f"error: {error['message']}" for error in report["errors"]]
    if report["error_count"] > SHOWN_ERRORS:
        lines.append(f"and {report['error_count'] - SHOWN_ERRORS} more errors")
    return "\n".join(lines)
