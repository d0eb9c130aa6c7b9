"""A small JSON-RPC service for the self-test, which does one thing wrong with one of its replies.

It is not the private server behind the fault proxy: its requests have ids, so that replies may come
in any order and pushes between them, and it may greet and ask for a login first.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

__all__ = ["LOGIN", "TEMPLATE", "Quirk", "Service", "request_of"]

TEMPLATE = '{"jsonrpc":"2.0","id":{i},"method":"double"}'
"""The template of requests to the service."""

LOGIN = '{"jsonrpc":"2.0","id":"login","method":"login","params":["letmein"]}'
"""What is sent first where the service asks for a login."""

ODD_ID = 250
"""The id of the request whose reply is not sent as usual."""


def request_of(reply: bytes) -> object:
    """Return the id of the request that a reply answers, or None if it has none."""
    try:
        return json.loads(reply).get("id")
    except (ValueError, AttributeError):
        return None


Send = Callable[[dict[str, Any]], Awaitable[None]]
"""Sends a message, with the version of the protocol added."""

Quirk = Callable[[int, Send], Awaitable[None]]
"""Replies to the request with the odd id, or to the one after it."""


async def reply_as_usual(number: int, send: Send) -> None:
    """Send the right reply."""
    await send({"id": number, "result": 2 * number})


async def swap(number: int, send: Send) -> None:
    """Send the reply after that to the next request."""
    if number == ODD_ID + 1:
        await reply_as_usual(number, send)
        await reply_as_usual(ODD_ID, send)


async def push_too(number: int, send: Send) -> None:
    """Push a message before the reply."""
    if number == ODD_ID:
        await _push(send)
    await reply_as_usual(number, send)


async def push_in_its_place(number: int, send: Send) -> None:
    """Push a message, and lose the reply."""
    if number == ODD_ID:
        await _push(send)
    else:
        await reply_as_usual(number, send)


async def change_the_id(number: int, send: Send) -> None:
    """Send the reply with the id of no request."""
    await send({"id": -number if number == ODD_ID else number, "result": 2 * number})


async def reply_twice(number: int, send: Send) -> None:
    """Send the reply twice."""
    await reply_as_usual(number, send)
    if number == ODD_ID:
        await reply_as_usual(number, send)


async def fail(number: int, send: Send) -> None:
    """Send an error in place of the result."""
    if number == ODD_ID:
        await send({"id": number, "error": {"code": -32603, "message": "out of numbers"}})
    else:
        await reply_as_usual(number, send)


async def _push(send: Send) -> None:
    await send({"method": "tick", "params": {}})


class Service:
    """Doubles numbers by JSON-RPC.

    Args:
        quirk: How the odd request and the one after it are replied to.
        greets: Whether it sends a message first.
        token: What the login must contain; None if there is no login.
    """

    def __init__(
        self,
        quirk: Quirk = reply_as_usual,
        *,
        greets: bool = False,
        token: str | None = None,
    ) -> None:
        self._quirk = quirk
        self._greets = greets
        self._token = token

    async def start(self) -> str:
        """Listen on a free port, and return the URL."""
        self._server: Server = await serve(self._talk, "127.0.0.1", 0, compression=None)
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}/"

    async def stop(self) -> None:
        """End all connections."""
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, connection: ServerConnection) -> None:
        async def send(message: dict[str, Any]) -> None:
            await connection.send(json.dumps({"jsonrpc": "2.0"} | message))

        try:
            if self._greets:
                await send({"method": "welcome"})
            if self._token is not None and not await self._log_in(connection, send):
                return
            async for text in connection:
                number = json.loads(text)["id"]
                odd = number in (ODD_ID, ODD_ID + 1)
                await (self._quirk if odd else reply_as_usual)(number, send)
        except ConnectionClosed:
            pass  # the sender has had enough

    async def _log_in(self, connection: ServerConnection, send: Send) -> bool:
        """Wait for the login, reply to it, and return whether it is right."""
        login = json.loads(await connection.recv())
        right: bool = login.get("params") == [self._token]
        outcome = {"result": True} if right else {"error": {"code": 401, "message": "who?"}}
        await send({"id": login["id"]} | outcome)
        return right
