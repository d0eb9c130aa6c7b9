"""The pace of an open loop: when each request is due, whether or not replies come.

With a ramp the rate grows evenly from nothing, so that the number of requests due by a time grows
with its square; from the end of the ramp on it is constant.
"""

import math
from dataclasses import dataclass

__all__ = ["Pace"]


@dataclass(frozen=True)
class Pace:
    """So many requests per second, after so many seconds of growing."""

    rate: float
    ramp: float = 0.0

    def due(self, place: int) -> float:
        """Return when a request is due, in seconds from the start; the first has place 0."""
        in_ramp = self.rate * self.ramp / 2
        if place < in_ramp:
            return math.sqrt(2 * place * self.ramp / self.rate)
        return self.ramp + (place - in_ramp) / self.rate

    def count(self, elapsed: float) -> int:
        """Return how many requests are due by a time, in seconds from the start."""
        if elapsed < self.ramp:
            return int(self.rate * elapsed**2 / (2 * self.ramp)) + 1
        return int(self.rate * (elapsed - self.ramp / 2)) + 1
