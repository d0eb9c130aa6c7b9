"""The event loop of both ends: the fastest one that the platform has."""

import asyncio
import sys

__all__ = ["new_event_loop"]


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a uvloop (winloop on Windows) event loop, or asyncio's own if neither is installed."""
    try:
        if sys.platform == "win32":
            import winloop as fast_loop
        else:
            import uvloop as fast_loop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = fast_loop.new_event_loop()
    return loop
