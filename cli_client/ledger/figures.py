"""The names of the figures of a run, in the order in which every output shows them."""

from typing import Final, Literal

__all__ = [
    "ATTEMPTS",
    "BESIDES",
    "FATES",
    "FAULTS",
    "LATENCIES",
    "LEDGER",
    "MESSAGES",
    "PERCENTILES",
    "SELDOM",
]

Fate = Literal["verified", "wrong", "missing", "never_sent"]
FATES: Final[tuple[Fate, ...]] = ("verified", "wrong", "missing", "never_sent")
"""What can become of a request. These add up to the requests."""

Beside = Literal["duplicate", "out_of_order", "unsolicited", "late"]
BESIDES: Final[tuple[Beside, ...]] = ("duplicate", "out_of_order", "unsolicited", "late")
"""Replies that came as they should not. An out-of-order reply is verified all the same."""

LedgerName = Literal["requests", Fate, Beside]
LEDGER: Final[tuple[LedgerName, ...]] = ("requests", *FATES, *BESIDES)

FAULTS: Final[tuple[Literal[Fate, Beside], ...]] = ("wrong", "missing", "never_sent", *BESIDES)
"""What is zero in a run without a fault."""

Usual = Literal["verified", "wrong", "duplicate", "late", "unsolicited"]
Seldom = Literal["greetings", "parts", "pushes", "hello_replies"]
SELDOM: Final[tuple[Seldom, ...]] = ("greetings", "parts", "pushes", "hello_replies")
"""The messages that come only where an option announces them."""
MESSAGES: Final[tuple[Literal[Usual, Seldom], ...]] = (
    *("verified", "wrong", "duplicate", "late", "unsolicited"),
    *SELDOM,
)
"""What a message can be. These add up to the messages received."""

Attempt = Literal["reconnects", "in_flight_when_lost", "resent"]
ATTEMPTS: Final[tuple[Attempt, ...]] = ("reconnects", "in_flight_when_lost", "resent")
"""What lost connections cost."""

Percentile = Literal["p50", "p90", "p95", "p99", "p99.9"]
PERCENTILES: Final[tuple[Percentile, ...]] = ("p50", "p90", "p95", "p99", "p99.9")
"""The percentiles that every output shows."""

LatencyName = Literal["min", "mean", Percentile, "max"]
LATENCIES: Final[tuple[LatencyName, ...]] = ("min", "mean", *PERCENTILES, "max")
