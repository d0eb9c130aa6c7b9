"""The course of a run: what happened in each second, or in each few seconds of a long run."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from cli_client.ledger.ledger import Ledger

__all__ = ["Second", "Seconds", "Standing", "Timeline"]

LONGEST = 600
"""Spans that are kept at most: ten minutes by the second. A page draws half as many."""


@dataclass
class Second:
    """What happened in one second of a run, or in a span of several.

    Latencies are in microseconds, rounded to three digits, with their counts.
    """

    sent: int = 0
    answered: int = 0
    errors: int = 0
    latencies: Counter[int] = field(default_factory=Counter)

    def add(self, other: "Second") -> None:
        """Take in what happened elsewhere in the same time."""
        self.sent += other.sent
        self.answered += other.answered
        self.errors += other.errors
        self.latencies += other.latencies


class Seconds:
    """What happened in each second of a run.

    When there are too many of them, each two become one span: so the memory has a bound, however
    long the run lasts.
    """

    def __init__(self) -> None:
        self.step = 1
        """Seconds from one span to the next."""
        self._spans: list[Second] = []

    def __len__(self) -> int:
        return len(self._spans)

    def __iter__(self) -> Iterator[Second]:
        return iter(self._spans)

    def add(self, elapsed: float, happened: Second) -> None:
        """Take down what happened at a time, in seconds since the start of the run."""
        while elapsed // self.step >= LONGEST:
            self._merge_pairs()
        place = int(elapsed // self.step)
        self._spans += [Second() for _ in range(place + 1 - len(self._spans))]
        self._spans[place].add(happened)

    def add_all(self, other: "Seconds", later: float) -> None:
        """Take in the seconds of a run that began this many seconds later."""
        while self.step < other.step:
            self._merge_pairs()
        for place, span in enumerate(other):
            self.add(later + place * other.step, span)

    def _merge_pairs(self) -> None:
        self.step *= 2
        spans, self._spans = self._spans, []
        for place, span in enumerate(spans):
            if place % 2:
                self._spans[-1].add(span)
            else:
                self._spans.append(span)


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
    """Latencies since it was asked before, in microseconds, rounded to three digits."""


class Timeline:
    """Takes down the seconds of a run."""

    def __init__(self, ledger: Ledger) -> None:
        self.seconds = Seconds()
        self._ledger = ledger
        self._before = (0, 0, 0)

    def note(self, elapsed: float) -> Standing:
        """Take down what happened since this was called before, and return how far the run is."""
        ledger = self._ledger
        now = (ledger.sent, ledger.answered, ledger.errors.count)
        sent, answered, errors = (a - b for a, b in zip(now, self._before, strict=True))
        self._before = now
        recent = (ledger.corrected or ledger.latencies).take_interval()
        self.seconds.add(elapsed, Second(sent, answered, errors, recent))
        return Standing(
            elapsed=elapsed,
            sent=ledger.sent,
            answered=ledger.answered,
            verified=ledger.verified,
            errors=ledger.errors.count,
            total=ledger.total,
            recent=recent,
        )
