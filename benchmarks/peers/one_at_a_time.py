"""The client that the websockets documentation teaches: it sends, then waits for the reply.

Run as ``python one_at_a_time.py URL MESSAGES asyncio|uvloop``.
"""

import asyncio
import re
import sys

import uvloop
from websockets.asyncio.client import connect

ENDING = re.compile(r": ([1-9][0-9]?|100)")


async def main(url: str, messages: int) -> None:
    """Send each request, check its reply and print it."""
    async with connect(url) as websocket:
        for number in range(messages):
            request = f"Request {number}"
            await websocket.send(request)
            reply = await websocket.recv()
            assert isinstance(reply, str)
            if not reply.startswith(request) or not ENDING.fullmatch(reply, len(request)):
                raise SystemExit(f"the reply to {request} is wrong: {reply}")
            print(f"Response for {reply}")


if __name__ == "__main__":
    url, messages, loop = sys.argv[1:]
    run = uvloop.run if loop == "uvloop" else asyncio.run
    run(main(url, int(messages)))
