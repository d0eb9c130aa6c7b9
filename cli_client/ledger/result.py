"""What a run left: plain counts and histograms, which add up over processes and machines."""

from collections import Counter
from dataclasses import dataclass, field

from cli_client.ledger.errors import Errors
from cli_client.ledger.latency import Latencies
from cli_client.ledger.timeline import Second

__all__ = ["CloseKey", "Result"]

CloseKey = tuple[str, int, str]
"""Who closed a connection, with which code, for which reason."""


@dataclass
class Result:
    """The outcome of a run, or of a share of it. Times are in seconds."""

    fates: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    """reconnects, in_flight_when_lost, resent."""
    opened: int = 0
    closes: Counter[CloseKey] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)
    corrected: Latencies | None = None
    numbers: Counter[int] = field(default_factory=Counter)
    errors: Errors = field(default_factory=Errors)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False
    started: float = 0.0
    """When it began to send, in seconds since 1970."""
    elapsed: float = 0.0
    cpu: float = 0.0
    """Processor seconds of the process that used most."""
    processes: int = 1
    loop_lag: Latencies = field(default_factory=Latencies)
    schedule_lag: Latencies | None = None
    seconds: list[Second] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every request got its right reply, and nothing else came."""
        return self.fates["verified"] == self.fates["requests"] and not self.errors.count

    def add(self, other: "Result") -> None:
        """Take in the result of another share of the same run."""
        self.fates.update(other.fates)
        self.attempts.update(other.attempts)
        self.opened += other.opened
        self.closes.update(other.closes)
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
        self.warnings += [text for text in other.warnings if text not in self.warnings]
        self.interrupted = self.interrupted or other.interrupted
        self.cpu = max(self.cpu, other.cpu)
        self.processes += other.processes
        self._add_times(other)

    def _add_times(self, other: "Result") -> None:
        """Take in the times of another share, which may have begun earlier or later."""
        started = min(self.started, other.started)
        ended = max(self.started + self.elapsed, other.started + other.elapsed)
        seconds: list[Second] = []
        for result in (self, other):
            first = int(result.started - started)
            while len(seconds) < first + len(result.seconds):
                seconds.append(Second())
            for place, second in enumerate(result.seconds, first):
                seconds[place].add(second)
        self.started, self.elapsed, self.seconds = started, ended - started, seconds
