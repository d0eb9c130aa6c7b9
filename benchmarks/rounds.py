"""Rounds: every task is done by everybody once a round, so that a noisy minute falls on all alike.

Each round starts with somebody else, since the first one meets the coldest machine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.peers import Peer
from benchmarks.results import Samples

__all__ = ["Plan", "Sample"]

Sample = Callable[[str, str], dict[str, float]]
"""Does a task for a name and returns the figures; none if it is not for that name."""


@dataclass(frozen=True)
class Plan:
    """How much to measure, and of which peers."""

    rounds: int
    seconds: float
    """For each point of the load generator."""
    fraction: float
    """Of the messages that the senders send."""
    only: tuple[str, ...]
    """Parts of the names of those to measure; all if there are none."""
    report: Callable[[str], None]

    def messages(self, amount: int) -> int:
        """Return how many messages to send in place of the full amount."""
        return max(1, round(amount * self.fraction))

    def choose(self, peers: Sequence[Peer]) -> list[Peer]:
        """Return those to measure, with those that are missing."""
        return [
            peer
            for peer in peers
            if not self.only or any(part.lower() in peer.name.lower() for part in self.only)
        ]

    def measure(
        self, tasks: Sequence[str], names: Sequence[str], sample: Sample, failed: dict[str, str]
    ) -> Samples:
        """Return the samples of each figure and name.

        Who fails is entered in ``failed``, which may have names from the start, and left out from
        then on.
        """
        samples: Samples = {}
        for number in range(self.rounds):
            self.report(f"round {number + 1} of {self.rounds}")
            shift = number % max(1, len(names))
            for task in tasks:
                for name in (*names[shift:], *names[:shift]):
                    if name in failed:
                        continue
                    try:
                        figures = sample(task, name)
                    except (RuntimeError, OSError) as error:
                        failed[name] = f"{task}: {error}"
                        self.report(f"{name} failed: {failed[name]}")
                        continue
                    for figure, value in figures.items():
                        samples.setdefault(figure, {}).setdefault(name, []).append(value)
                        self.report(f"{name:34} {figure:32} {value:14,.3f}")
        return samples
