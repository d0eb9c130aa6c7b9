"""Reports to read: of a run in which all was right, and of one in which nearly all went wrong."""

import itertools
from typing import Any

from hdrh.histogram import HdrHistogram

Report = dict[str, Any]

PERCENTILES = (50, 90, 95, 99, 99.9)


def passing() -> Report:
    """A report of 10,000 right replies within three seconds."""
    latencies = [200 + 7 * (i % 101) + (i % 977 == 0) * 4000 for i in range(10_000)]
    return {
        "schema": 1,
        "tool": "wsroll-send 0.1.0",
        "verdict": "pass",
        "interrupted": False,
        "started_at": "2026-11-24T14:30:00+00:00",
        "url": "ws://localhost:8765/",
        "settings": {
            "url": "ws://localhost:8765/",
            "messages": 10_000,
            "connections": 1,
            "window": 64,
            "template": "Request {i}",
            "cacert": None,
            "headers": [],
        },
        "ledger": {
            "requests": 10_000,
            "verified": 10_000,
            "wrong": 0,
            "missing": 0,
            "never_sent": 0,
            "duplicate": 0,
            "out_of_order": 0,
            "unsolicited": 0,
            "late": 0,
        },
        "attempts": {"reconnects": 0, "in_flight_when_lost": 0, "resent": 0},
        "elapsed_s": 2.5,
        "rate": 4000.0,
        **distribution(latencies),
        "raw_latency_ms": None,
        "connections": {
            "opened": 1,
            "reconnects": 0,
            "closes": [{"by": "client", "code": 1000, "reason": "", "count": 1}],
        },
        "numbers": {"replies": 10_000, "seen": 100, "chi_squared": 97.3, "p_value": 0.53},
        "sender": {
            "cpu": 0.71,
            "processes": 1,
            "event_loop_lag_ms": {"p99": 0.4, "max": 2.2},
            "schedule_lag_ms": None,
        },
        "errors": [],
        "error_count": 0,
        "warnings": [],
        "checks": [],
        "timeline": [
            second(0, sent=4100, answered=4036),
            second(1, sent=3900, answered=3950),
            second(2, sent=2000, answered=2014),
        ],
    }


def failing() -> Report:
    """A report of a run at a rate with every fault, two lost connections and a hostile server."""
    report = passing()
    latencies = [300 + 11 * (i % 113) + (i % 401 == 0) * 90_000 for i in range(9_986)]
    corrected = distribution(latencies)
    return {
        **report,
        "verdict": "fail",
        "settings": {**report["settings"], "connections": 4, "rate": 4000.0},
        "ledger": {
            "requests": 10_000,
            "verified": 9_986,
            "wrong": 1,
            "missing": 2,
            "never_sent": 11,
            "duplicate": 1,
            "out_of_order": 3,
            "unsolicited": 1,
            "late": 1,
        },
        "attempts": {"reconnects": 2, "in_flight_when_lost": 128, "resent": 128},
        "elapsed_s": 4.25,
        "rate": 2349.9,
        **corrected,
        "raw_latency_ms": {name: value / 2 for name, value in corrected["latency_ms"].items()},
        "connections": {
            "opened": 6,
            "reconnects": 2,
            "closes": [
                {"by": "network", "code": 1006, "reason": "", "count": 1},
                {"by": "server", "code": 1011, "reason": HOSTILE, "count": 1},
                {"by": "client", "code": 1000, "reason": "", "count": 4},
            ],
        },
        "numbers": {"replies": 9_986, "seen": 7, "chi_squared": 1234.5, "p_value": 1.5e-12},
        "sender": {
            "cpu": 0.98,
            "processes": 1,
            "event_loop_lag_ms": {"p99": 8.4, "max": 92.0},
            "schedule_lag_ms": {"p99": 12.5, "max": 90.0},
        },
        "errors": [
            {"message": "Request 5: its reply came after that to a later one", "count": 3},
            {"message": f"Request 9: expected a number, got {HOSTILE}", "count": 1},
        ],
        "error_count": 7,
        "warnings": ["the sender used 0.98 of a core: what was measured may be the sender."],
        "checks": [
            {"check": "p99<5ms", "value": 1.536, "unit": "ms", "passed": True},
            {"check": "missing==0", "value": 2, "unit": "", "passed": False},
            {"check": "raw_p99<1ms", "value": None, "unit": "ms", "passed": False},
        ],
        "timeline": [
            second(0, sent=4000, answered=3990),
            second(1, sent=2500, answered=2400, errors=4, max_ms=91.5),
            second(2, sent=1200, answered=1250, errors=2, p99_ms=40.0, max_ms=91.5),
            second(3, sent=2200, answered=2240, errors=1),
            second(4, sent=89, answered=107),
        ],
    }


HOSTILE = '\x1b[2J<script>alert("out of\nnumbers")</script>\u202e&amp;'
"""What a server may put into a text that is shown: control characters, direction marks, markup."""


def distribution(microseconds: list[int]) -> Report:
    """The parts of a report that tell its latencies."""
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for value in microseconds:
        histogram.record_value(value)
    bounds = [0.1 * 2**step for step in range(12)]
    return {
        "latency_ms": {
            "min": min(microseconds) / 1000,
            "mean": sum(microseconds) / len(microseconds) / 1000,
            **{f"p{p}": histogram.get_value_at_percentile(p) / 1000 for p in PERCENTILES},
            "max": max(microseconds) / 1000,
        },
        "histogram": [
            {
                "from_ms": low,
                "to_ms": high,
                "count": sum(low <= value / 1000 < high for value in microseconds),
            }
            for low, high in itertools.pairwise(bounds)
        ],
        "hdr": histogram.encode().decode(),
    }


def second(number: int, sent: int, answered: int, **others: float) -> Report:
    """A second of the timeline."""
    latencies = {"p50_ms": 0.55, "p99_ms": 0.9, "max_ms": 4.2}
    return {
        "second": number,
        "sent": sent,
        "answered": answered,
        "errors": 0,
        **latencies,
        **others,
    }
