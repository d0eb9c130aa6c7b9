"""What a run left: plain counts and histograms, which add up over processes and machines."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from cli_client.ledger.errors import Errors
from cli_client.ledger.latency import Latencies
from cli_client.ledger.timeline import Seconds

__all__ = ["CloseKey", "HandshakeKey", "Phase", "Result", "Stall"]

Phase = Literal["", "name", "tcp", "tls", "proxy", "handshake", "hello"]
"""The step in which an attempt to connect failed."""


class HandshakeKey(NamedTuple):
    """How an attempt to connect ended. Equal ones are counted together."""

    outcome: Literal["opened", "failed", "unfinished"]
    """Unfinished: it was under way when the run ended, which is nobody's failure."""
    phase: Phase = ""
    reason: str = ""


class CloseKey(NamedTuple):
    """How a connection ended. Equal ones are counted together."""

    by: Literal["server", "client", "network"]
    code: int
    """The close code (RFC 6455, section 7.4); 1006 if there was no Close frame."""
    reason: str
    """The reason in the Close frame; if we gave up, why."""
    words: str
    """Who ended it and why, in words."""
    ended_by_us: bool
    """Whether the run ended the connection because it was over."""


class Stall(NamedTuple):
    """A time in which the sender's own process stood still."""

    at: float
    """Its beginning, in seconds from the start of the run."""
    length: float
    """Seconds."""
    requests: int
    """How many requests were in flight or due meanwhile."""


@dataclass
class Result:
    """The outcome of a run, or of a share of it. Times are in seconds."""

    ordered: bool = True
    """Whether a reply out of order is a fault."""
    fates: Counter[str] = field(default_factory=Counter)
    """requests, verified, wrong, missing, never_sent."""
    messages: Counter[str] = field(default_factory=Counter)
    """received (counted by the protocol as it completes a message), duplicate, late, unsolicited,
    parts, pushes, greetings, hello_replies; out_of_order besides."""
    attempts: Counter[str] = field(default_factory=Counter)
    """reconnects, in_flight_when_lost, resent, connections_given_up, unanswered_closes,
    breaches."""
    opened: int = 0
    handshakes: Counter[HandshakeKey] = field(default_factory=Counter)
    closes: Counter[CloseKey] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)
    corrected: Latencies | None = None
    numbers: Counter[int] = field(default_factory=Counter)
    errors: Errors = field(default_factory=Errors)
    warnings: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    """What was not verified, in words."""
    missing_shares: list[str] = field(default_factory=list)
    """The shares whose results are lost, in words."""
    unopened: str = ""
    """Why not even the first connection opened, and what to do; empty if it did."""
    unwritten: list[str] = field(default_factory=list)
    """What could not be written, and why, in words."""
    subprotocols: set[str] = field(default_factory=set)
    """Those that the server chose."""
    interrupted: bool = False
    started: float | None = None
    """When it began to send, by the monotonic clock of its machine; None if it never did."""
    elapsed: float = 0.0
    cpu: float = 0.0
    """Cores in use on average until the last request was settled; the most of any process."""
    processes: int = 1
    loop_lag: Latencies = field(default_factory=Latencies)
    schedule_lag: Latencies | None = None
    seconds: Seconds = field(default_factory=Seconds)
    outage_max: float = 0.0
    """The longest time, within the run, in which no connection was open."""
    outage_total: float = 0.0
    """All such times together; of several shares, of the one that had most."""
    silence_max: float = 0.0
    """The longest time without a reply while a request was in flight or owed."""
    stalls: list[Stall] = field(default_factory=list)
    latencies_without_stalls: Latencies | None = None
    """The latencies of the requests that no stall touched; None if there was no stall."""

    @property
    def passed(self) -> bool:
        """Whether every request got its right reply, and nothing else came."""
        return self.fates["verified"] == self.fates["requests"] and not self.errors.count

    def add(self, other: "Result") -> None:
        """Take in the result of another share of the same run."""
        self.fates.update(other.fates)
        self.messages.update(other.messages)
        self.attempts.update(other.attempts)
        self.opened += other.opened
        self.handshakes.update(other.handshakes)
        self.closes.update(other.closes)
        self._add_stalls(other)
        self.latencies.add(other.latencies)
        self.loop_lag.add(other.loop_lag)
        for mine, others in (
            (self.corrected, other.corrected),
            (self.schedule_lag, other.schedule_lag),
        ):
            if mine is not None and others is not None:
                mine.add(others)
        self.numbers.update(other.numbers)
        self.errors.add(other.errors)
        for mine_told, others_told in (
            (self.warnings, other.warnings),
            (self.unverified, other.unverified),
            (self.missing_shares, other.missing_shares),
            (self.unwritten, other.unwritten),
        ):
            mine_told += [text for text in others_told if text not in mine_told]
        self.unopened = self.unopened or other.unopened
        self.outage_max = max(self.outage_max, other.outage_max)
        self.outage_total = max(self.outage_total, other.outage_total)
        self.silence_max = max(self.silence_max, other.silence_max)
        self.subprotocols |= other.subprotocols
        self.interrupted = self.interrupted or other.interrupted
        self.cpu = max(self.cpu, other.cpu)
        self.processes += other.processes
        self._add_times(other)

    def _add_stalls(self, other: "Result") -> None:
        if self.latencies_without_stalls is not None or other.latencies_without_stalls is not None:
            without = Latencies()
            for result in (self, other):
                without.add(
                    result.corrected or result.latencies
                    if result.latencies_without_stalls is None
                    else result.latencies_without_stalls
                )
            self.latencies_without_stalls = without
        started = self._earlier(other)
        self.stalls = sorted(
            stall._replace(at=stall.at + result.later(started))
            for result in (self, other)
            for stall in result.stalls
        )

    def _add_times(self, other: "Result") -> None:
        """Take in the times of another share, which may have begun earlier or later."""
        started, seconds = self._earlier(other), Seconds()
        for result in (self, other):
            seconds.add_all(result.seconds, result.later(started))
        self.elapsed = max(result.later(started) + result.elapsed for result in (self, other))
        self.started, self.seconds = started, seconds

    def later(self, started: float | None) -> float:
        """Return how many seconds after this moment it began; 0 if it never did."""
        return 0.0 if self.started is None or started is None else self.started - started

    def _earlier(self, other: "Result") -> float | None:
        """Return when the first of two shares began; None if neither did."""
        starts = [result.started for result in (self, other) if result.started is not None]
        return min(starts, default=None)
