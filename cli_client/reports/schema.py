"""The report as plain data. ``docs/report.schema.json`` describes each field to other programs.

Names end in their unit: ``_s`` is seconds, ``_ms`` milliseconds; a name without one is a count.
"""

from typing import Annotated, Any, Final, Literal, TypedDict

from msgspec import Meta

from cli_client.ledger.verdict import VerdictName

__all__ = [
    "SCHEMA",
    "CheckResult",
    "Close",
    "Environment",
    "Equation",
    "Lag",
    "Latency",
    "Numbers",
    "Report",
    "Second",
    "Sender",
]

SCHEMA: Final = 2
"""The number of this form. It grows when a field goes or changes its meaning."""

Count = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]


class Ledger(TypedDict):
    """What became of each request, and which replies came as they should not."""

    requests: Count
    verified: Count
    wrong: Count
    missing: Count
    never_sent: Count
    duplicate: Count
    out_of_order: Count
    unsolicited: Count
    late: Count


class Messages(TypedDict):
    """What each message that came was."""

    received: Count
    verified: Count
    wrong: Count
    duplicate: Count
    late: Count
    unsolicited: Count
    greetings: Count
    parts: Count
    pushes: Count
    hello_replies: Count


class Equation(TypedDict):
    """A count, and the counts, made elsewhere, that must add up to it."""

    name: str
    total: Count
    terms: dict[str, Count]
    holds: bool


class Attempts(TypedDict):
    """What lost connections cost."""

    reconnects: Count
    in_flight_when_lost: Count
    resent: Count


class Handshakes(TypedDict):
    """The attempts to connect."""

    tried: Count
    opened: Count
    failed: Count
    unfinished: Count
    failures: list["Failure"]


class Failure(TypedDict):
    """Attempts to connect that failed alike."""

    phase: str
    reason: str
    count: Count


class Connections(TypedDict):
    """The connections that opened."""

    opened: Count
    reconnects: Count
    given_up: Count
    unanswered_closes: Count
    breaches: Count
    closes: list["Close"]


class Close(TypedDict):
    """Connections that ended alike."""

    by: Literal["server", "client", "network"]
    code: int | None
    reason: str
    words: str
    ended_by_us: bool
    count: Count


Latency = TypedDict(
    "Latency",
    {
        "min": Amount,
        "mean": Amount,
        "p50": Amount,
        "p90": Amount,
        "p95": Amount,
        "p99": Amount,
        "p99.9": Amount,
        "max": Amount,
    },
)


class Bucket(TypedDict):
    """How many latencies lie between two limits."""

    from_ms: Amount
    to_ms: Amount
    count: Count


class Stall(TypedDict):
    """A time in which the sender's own process stood still."""

    at_s: Amount
    length_s: Amount
    requests: Count


class Numbers(TypedDict):
    """How evenly the numbers of the replies were drawn."""

    replies: Count
    seen: Count
    chi_squared: Amount | None
    p_value: Amount | None


class Lag(TypedDict):
    """How much later than asked something happened, in milliseconds."""

    p99: Amount
    max: Amount


class Sender(TypedDict):
    """How the sender itself kept up."""

    cpu: Amount
    processes: Count
    event_loop_lag_ms: Lag
    schedule_lag_ms: Lag | None


class CountedError(TypedDict):
    """Errors that differ in their request alone."""

    message: str
    count: Count


class CheckResult(TypedDict):
    """A check and what it found."""

    check: str
    value: float | None
    unit: str
    passed: bool


class Second(TypedDict):
    """What happened in one second, or in ``timeline_step_s`` of them. The latencies may be None."""

    second: Count
    sent: Count
    answered: Count
    errors: Count
    p50_ms: Amount | None
    p99_ms: Amount | None
    max_ms: Amount | None


class Environment(TypedDict):
    """What the sender ran on."""

    python: str
    frames: Literal["C", "Python"]


class Report(TypedDict):
    """All figures of a run."""

    schema: int
    tool: str
    environment: Environment
    verdict: VerdictName
    reasons: list[str]
    unverified: list[str]
    interrupted: bool
    started_at: str
    url: str
    settings: dict[str, Any]
    ledger: Ledger
    messages: Messages
    equations: list[Equation]
    attempts: Attempts
    handshakes: Handshakes
    connections: Connections
    outage_max_s: Amount
    outage_total_s: Amount
    silence_max_s: Amount
    elapsed_s: Amount
    rate: Amount
    latency_ms: Latency | None
    raw_latency_ms: Latency | None
    stalls: list[Stall]
    latency_without_stalls_ms: Latency | None
    histogram: list[Bucket]
    hdr: str
    numbers: Numbers | None
    sender: Sender
    missing_shares: list[str]
    errors: list[CountedError]
    error_count: Count
    warnings: list[str]
    checks: list[CheckResult]
    timeline_step_s: Annotated[int, Meta(ge=1)]
    timeline: list[Second]
