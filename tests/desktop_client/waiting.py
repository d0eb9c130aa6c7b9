"""What tests wait for and look at: the window's changes, the children of a process."""

import asyncio
import subprocess
from collections.abc import Callable

__all__ = ["children", "until"]

PATIENCE = 20.0


async def until(condition: Callable[[], object]) -> None:
    """Return once a condition is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 -- widgets have no awaitable
            await asyncio.sleep(0.005)


def children(pid: int, command: str = "python") -> list[int]:
    """Return the Python processes that a process has started."""
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=", "-o", "args=", "--ppid", str(pid)],
        capture_output=True,
        text=True,
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if command in line]
