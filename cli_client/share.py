"""A share: the part of a run that one process does."""

from dataclasses import dataclass

__all__ = ["Share"]


@dataclass(frozen=True)
class Share:
    """Which numbers of a run a process has: those that leave ``index`` when divided by ``of``."""

    index: int = 0
    of: int = 1

    def count(self, total: int) -> int:
        """Return how many of the numbers below a total are in the share."""
        return max(0, -(-(total - self.index) // self.of))

    def part(self, amount: int) -> int:
        """Return the share of a number of equal things, such as connections."""
        return amount // self.of + (self.index < amount % self.of)
