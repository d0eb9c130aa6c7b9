"""Reports to read: of runs with each verdict, and of one that never connected."""

import itertools
from typing import Any

from hdrh.histogram import HdrHistogram

Report = dict[str, Any]

PERCENTILES = (50, 90, 95, 99, 99.9)


def passing() -> Report:
    """A report of 10,000 right replies within three seconds."""
    latencies = [200 + 7 * (i % 101) + (i % 977 == 0) * 4000 for i in range(10_000)]
    return {
        "schema": 2,
        "tool": "wsroll-send 0.1.0",
        "environment": {"python": "cpython 3.11.7", "frames": "C"},
        "verdict": "pass",
        "reasons": [],
        "unverified": ["listened 10 ms for late replies"],
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
        "messages": messages(received=10_000, verified=10_000),
        "equations": equations(
            {"verified": 10_000, "wrong": 0, "missing": 0, "never_sent": 0},
            messages(verified=10_000),
        ),
        "attempts": {"reconnects": 0, "in_flight_when_lost": 0, "resent": 0},
        "handshakes": {"tried": 1, "opened": 1, "failed": 0, "unfinished": 0, "failures": []},
        "outage_max_s": 0.0,
        "outage_total_s": 0.0,
        "silence_max_s": 0.02,
        "elapsed_s": 2.5,
        "rate": 4000.0,
        **distribution(latencies),
        "raw_latency_ms": None,
        "stalls": [],
        "latency_without_stalls_ms": None,
        "connections": {
            "opened": 1,
            "reconnects": 0,
            "given_up": 0,
            "unanswered_closes": 0,
            "breaches": 0,
            "closes": [close("client", 1000, ended_by_us=True)],
        },
        "numbers": {"replies": 10_000, "seen": 100, "chi_squared": 97.3, "p_value": 0.53},
        "sender": {
            "cpu": 0.71,
            "processes": 1,
            "event_loop_lag_ms": {"p99": 0.4, "max": 2.2},
            "schedule_lag_ms": None,
        },
        "missing_shares": [],
        "errors": [],
        "error_count": 0,
        "warnings": [],
        "checks": [],
        "timeline_step_s": 1,
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
        "reasons": ["1 wrong", "2 missing", "11 never sent", "1 duplicate", "3 out of order"],
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
        "messages": messages(
            received=9_990, verified=9_986, wrong=1, duplicate=1, late=1, unsolicited=1
        ),
        "equations": equations(
            {"verified": 9_986, "wrong": 1, "missing": 2, "never_sent": 11},
            messages(verified=9_986, wrong=1, duplicate=1, late=1, unsolicited=1),
            received=9_990,
        ),
        "attempts": {"reconnects": 2, "in_flight_when_lost": 128, "resent": 128},
        "handshakes": {
            "tried": 12,
            "opened": 6,
            "failed": 4,
            "unfinished": 2,
            "failures": [
                {"phase": "handshake", "reason": f"HTTP 503 from {HOSTILE}", "count": 3},
                {"phase": "tcp", "reason": "no answer in 10 s", "count": 1},
            ],
        },
        "outage_max_s": 1.25,
        "outage_total_s": 1.75,
        "silence_max_s": 2.5,
        "stalls": [{"at_s": 2.1, "length_s": 0.75, "requests": 12}],
        "elapsed_s": 4.25,
        "rate": 2349.9,
        **corrected,
        "raw_latency_ms": {name: value / 2 for name, value in corrected["latency_ms"].items()},
        "latency_without_stalls_ms": {
            name: value / 3 for name, value in corrected["latency_ms"].items()
        },
        "connections": {
            "opened": 6,
            "reconnects": 2,
            "given_up": 1,
            "unanswered_closes": 1,
            "breaches": 0,
            "closes": [
                close("network", 1006, words="reset by the peer"),
                close("server", 1011, reason=HOSTILE),
                close("client", 1000, count=4, ended_by_us=True),
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


def recovered() -> Report:
    """A report of 10,000 right replies, though a server went away and came back."""
    report = passing()
    return {
        **report,
        "verdict": "recovered",
        "reasons": ["5 handshakes failed", "8 connections lost", "512 sent again"],
        "attempts": {"reconnects": 8, "in_flight_when_lost": 512, "resent": 512},
        "handshakes": {
            "tried": 21,
            "opened": 16,
            "failed": 5,
            "unfinished": 0,
            "failures": [{"phase": "tcp", "reason": "connection refused", "count": 5}],
        },
        "connections": {
            **report["connections"],
            "opened": 16,
            "reconnects": 8,
            "closes": [
                close("network", 1006, count=8, words="reset by the peer"),
                close("client", 1000, count=8, ended_by_us=True),
            ],
        },
    }


def interrupted() -> Report:
    """A report of a run that Ctrl-C ended."""
    report = passing()
    return {
        **report,
        "verdict": "interrupted",
        "reasons": ["the run was interrupted"],
        "interrupted": True,
        "ledger": {**report["ledger"], "requests": 20_000, "never_sent": 10_000},
        "equations": equations(
            {"verified": 10_000, "wrong": 0, "missing": 0, "never_sent": 10_000},
            messages(verified=10_000),
        ),
    }


def unopened() -> Report:
    """A report of a run whose first connection did not open."""
    report = passing()
    return {
        **report,
        "verdict": "fail",
        "reasons": ["10,000 never sent"],
        "unverified": [],
        "ledger": {**report["ledger"], "verified": 0, "never_sent": 10_000},
        "messages": messages(),
        "equations": equations(
            {"verified": 0, "wrong": 0, "missing": 0, "never_sent": 10_000}, messages()
        ),
        "handshakes": {
            "tried": 1,
            "opened": 0,
            "failed": 1,
            "unfinished": 0,
            "failures": [{"phase": "tcp", "reason": "connection refused", "count": 1}],
        },
        "elapsed_s": 0.0,
        "rate": 0.0,
        "silence_max_s": 0.0,
        "latency_ms": None,
        "histogram": [],
        "hdr": HdrHistogram(1, 3_600_000_000, 3).encode().decode(),
        "connections": {**report["connections"], "opened": 0, "closes": []},
        "numbers": {"replies": 0, "seen": 0, "chi_squared": None, "p_value": None},
        "errors": [{"message": "cannot connect: connection refused", "count": 1}],
        "error_count": 1,
        "timeline": [second(0, 0, 0, p50_ms=None, p99_ms=None, max_ms=None)],
    }


HOSTILE = '\x1b[2J<script>alert("out of\nnumbers")</script>\u202e&amp;'
"""What a server may put into a text that is shown: control characters, direction marks, markup."""


def close(
    by: str,
    code: int,
    *,
    reason: str = "",
    words: str = "",
    ended_by_us: bool = False,
    count: int = 1,
) -> Report:
    """Connections that ended alike."""
    return {
        "by": by,
        "code": code,
        "reason": reason,
        "words": words,
        "ended_by_us": ended_by_us,
        "count": count,
    }


def messages(**counts: int) -> Report:
    """The messages of a run."""
    names = (
        *("received", "verified", "wrong", "duplicate", "late", "unsolicited"),
        *("greetings", "parts", "pushes", "hello_replies"),
    )
    return {name: counts.get(name, 0) for name in names}


def equations(fates: Report, terms: Report, received: int | None = None) -> list[Report]:
    """The two equations of a run; received is the sum of the terms if it is not given."""
    terms = {name: count for name, count in terms.items() if name != "received"}
    total = sum(terms.values()) if received is None else received
    return [
        {"name": "requests", "total": sum(fates.values()), "terms": fates, "holds": True},
        {
            "name": "received",
            "total": total,
            "terms": terms,
            "holds": total == sum(terms.values()),
        },
    ]


def distribution(microseconds: list[int]) -> Report:
    """The parts of a report that have its latencies."""
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


def second(number: int, sent: int, answered: int, **others: float | None) -> Report:
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
