"""Reading a report file, which may be anything that somebody names on the command line."""

import json
import math
from pathlib import Path
from typing import Any

from cli_client.reports.wording import FAULTS, LATENCIES, Report, printable

__all__ = ["SCHEMA", "load"]


SCHEMA = 1
"""The number of the report's form, as in docs/report.schema.json."""

LATENCY = dict.fromkeys(LATENCIES, float)

NEEDED: Report = {
    "tool": str,
    "verdict": str,
    "started_at": str,
    "url": str,
    "settings": {},
    "ledger": dict.fromkeys(("requests", "verified", *FAULTS), int),
    "attempts": dict.fromkeys(("reconnects", "in_flight_when_lost", "resent"), int),
    "elapsed_s": float,
    "rate": float,
    "latency_ms": LATENCY,
}
"""The fields that are read of a file, by their kinds."""

KINDS = {str: "a text", int: "a whole number", float: "a number"}


def load(path: Path) -> Report:
    """Return the report in a file.

    Raises:
        ValueError: If there is none; the message is one line and names the file.
    """
    name = printable(str(path))
    try:
        report = json.loads(path.read_bytes(), parse_constant=_refuse)
    except OSError as error:
        raise ValueError(f"cannot read {name}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ValueError(f"{name} is no report: it is not JSON.") from None
    if not isinstance(report, dict) or "schema" not in report:
        raise ValueError(f"{name} is no report: it has no schema number.")
    if report["schema"] != SCHEMA or isinstance(report["schema"], bool):
        number = printable(str(report["schema"]))[:20]
        raise ValueError(f"{name} has schema {number}; this version reads {SCHEMA}.")
    needed = NEEDED
    if report.get("raw_latency_ms") is not None:
        needed = {**NEEDED, "raw_latency_ms": LATENCY}
    missing = _missing(report, needed)
    if missing:
        raise ValueError(f"{name} is no report: {missing}.")
    return report


def _refuse(constant: str) -> None:
    """Refuse NaN and the infinities, which JSON does not have."""
    raise ValueError(constant)


def _missing(value: Any, needed: Any, name: str = "") -> str:
    """Return what is wrong with a value, or nothing."""
    if isinstance(needed, dict):
        if not isinstance(value, dict):
            return f"{name} is no object"
        prefix = f"{name}." if name else ""
        found = (_missing(value.get(key), kind, prefix + key) for key, kind in needed.items())
        return next(filter(None, found), "")
    if needed is float and type(value) is int:
        value = float(value) if abs(value) < 1e300 else math.inf
    right = isinstance(value, needed) and not isinstance(value, bool)
    if not right or (needed is float and not math.isfinite(value)) or (needed is int and value < 0):
        return f"{name} is not {KINDS[needed]}"
    return ""
