"""Whether the numbers in the replies are what a fair die of 100 sides would show.

Pearson's chi-squared test of the even spread, with 99 degrees of freedom. A p-value near 0 says
that a fair generator would hardly ever be so uneven, as where one is stuck or replies are repeated.
"""

import math
from collections.abc import Mapping

from wire.exchange import HIGHEST, LOWEST

__all__ = ["ENOUGH", "p_value", "spread"]

ENOUGH = 1000
"""The fewest replies for the test: ten of each number."""


def spread(numbers: Mapping[int, int]) -> dict[str, float | None]:
    """Return how many numbers there were, how many different ones, and how evenly they spread."""
    replies = sum(numbers.values())
    sides = range(LOWEST, HIGHEST + 1)
    found: dict[str, float | None] = {
        "replies": replies,
        "seen": len(numbers),
        "chi_squared": None,
        "p_value": None,
    }
    if replies >= ENOUGH:
        even = replies / len(sides)
        chi_squared = sum((numbers.get(side, 0) - even) ** 2 / even for side in sides)
        found |= {"chi_squared": chi_squared, "p_value": p_value(chi_squared, len(sides) - 1)}
    return found


def p_value(chi_squared: float, freedom: int) -> float:
    """Return the chance of so large a chi-squared or a larger one, for odd degrees of freedom.

    By the finite sum for the incomplete gamma function at half-integers (Abramowitz and Stegun,
    Handbook of Mathematical Functions, 26.4.4).
    """
    half = chi_squared / 2
    if half <= 0:
        return 1.0
    terms = (
        math.exp((k + 0.5) * math.log(half) - half - math.lgamma(k + 1.5))
        for k in range((freedom - 1) // 2)
    )
    return min(1.0, math.erfc(math.sqrt(half)) + math.fsum(terms))
