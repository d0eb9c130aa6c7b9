"""Waiting inside a coroutine for what the window shall show."""

import asyncio
from collections.abc import Callable

__all__ = ["until"]

PATIENCE = 20.0


async def until(condition: Callable[[], object]) -> None:
    """Return once a condition is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 -- widgets have no awaitable
            await asyncio.sleep(0.005)
