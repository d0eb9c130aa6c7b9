"""The course of a run: what happened in each second."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from cli_client.ledger.ledger import Ledger

__all__ = ["Second", "Standing", "Timeline", "two_digits"]


@dataclass
class Second:
    """What happened in one second of a run. Latencies are in microseconds, with their counts."""

    sent: int = 0
    answered: int = 0
    errors: int = 0
    latencies: Counter[int] = field(default_factory=Counter)

    def add(self, other: "Second") -> None:
        """Take in what happened elsewhere in the same second."""
        self.sent += other.sent
        self.answered += other.answered
        self.errors += other.errors
        self.latencies += other.latencies


@dataclass
class Standing:
    """How far a run is, and what happened since it was asked before."""

    elapsed: float = 0.0
    sent: int = 0
    answered: int = 0
    verified: int = 0
    errors: int = 0
    total: int | None = None
    recent: Counter[int] = field(default_factory=Counter)
    """Latencies since it was asked before, in microseconds."""


class Timeline:
    """Takes down the seconds of a run.

    A latency is told to two digits here, as what is kept grows with the time.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.seconds: list[Second] = []
        self._ledger = ledger
        self._before = (0, 0, 0)

    def note(self, elapsed: float) -> Standing:
        """Take down what happened since this was called before, and return how far the run is."""
        ledger = self._ledger
        now = (ledger.sent, ledger.answered, ledger.errors.count)
        sent, answered, errors = (a - b for a, b in zip(now, self._before, strict=True))
        self._before = now
        shown = ledger.corrected or ledger.latencies
        recent = shown.pour()
        if ledger.corrected is not None:
            ledger.latencies.pour()
        while len(self.seconds) <= int(elapsed):
            self.seconds.append(Second())
        self.seconds[int(elapsed)].add(Second(sent, answered, errors, two_digits(recent)))
        return Standing(
            elapsed=elapsed,
            sent=ledger.sent,
            answered=ledger.answered,
            verified=ledger.verified,
            errors=ledger.errors.count,
            total=ledger.total,
            recent=recent,
        )


def two_digits(counts: Mapping[int, int]) -> Counter[int]:
    """Return the counts of values with each value cut to its first two digits."""
    coarse: Counter[int] = Counter()
    for value, times in counts.items():
        size = 10 ** max(0, len(str(value)) - 2)
        coarse[value // size * size] += times
    return coarse
