"""A server that does what a plan says, well or badly, and keeps its own books of it."""

import asyncio
import contextlib
import json
import random
import re
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation import frames
from tests.simulation.frames import BINARY, CLOSE, PING, PONG, TEXT, encode

RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)

TICK = 1e-5
"""Seconds by which a timer may be early; the virtual clock counts whole microseconds."""

Odds = tuple[tuple[str, float], ...]
"""Names with their probabilities; what is left over is the usual course."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the server behaves. Times are in seconds, those of the clock from its start."""

    expect: str = "number"
    binary: bool = False
    first_opens: bool = True
    """Whether the very first handshake succeeds whatever the odds."""
    openings: Odds = ()
    """How handshakes fail."""
    refusing: tuple[float, float, str] | None = None
    """From when to when each handshake fails, and how."""
    delay: tuple[float, float] = (0.0, 0.0)
    """The shortest and the longest time that a reply takes."""
    stalls: tuple[tuple[float, float], ...] = ()
    """From when to when the server does nothing at all."""
    in_order: bool = True
    """Whether replies come in the order of the requests, however long each takes."""
    parts: int = 0
    """How many messages come before the last one of each answer; for a service with keys."""
    greeting: bytes = b""
    logins: Odds | None = None
    """How logins fail; None if there is no login."""
    push_every: float = 0.0
    pushed: bytes = b'{"push": %d}'
    repeat_every: float = 0.0
    """How often the latest reply is sent again, for ever."""
    replies: Odds = ()
    """What is wrong with replies."""
    hold: float = 0.5
    """How long a reply is held that others pass."""
    ends: tuple[str, ...] = ()
    """How connections end, one of these for each that does."""
    end_after: tuple[int, int] | None = None
    """After how many replies a connection ends, at least and at most."""
    end_odds: float = 1.0
    """The probability that a connection ends so."""
    most_ends: int = 1_000_000
    """How many connections end so at most."""
    drain: tuple[float, float, str] | None = None
    """From when, one after another in which time, how all connections end that were open then."""
    poison: int | None = None
    """The request at which each connection ends, by its place among those that first came."""
    close_answer: str = "at once"
    """How the client's Close frame is answered."""
    chop: bool = False
    """Whether what is sent arrives in pieces."""
    drip: int = 0
    """Bytes per second at most; 0: no limit."""
    ping_every: float = 0.0


@dataclass
class Message:
    """A message that the server sent."""

    opcode: int
    payload: bytes
    end: int
    """How many bytes the connection has carried with it."""
    what: str


@dataclass
class Book:
    """What the server knows of one connection."""

    port: int
    began: float
    opening: str = ""
    """How the handshake was answered: "open", or the way in which it failed."""
    head_end: int = 0
    """How many bytes the connection has carried with the whole 101; 0: there was none."""
    refusal_end: int = 0
    """How many bytes a whole refusal has; 0: there was none."""
    messages: list[Message] = field(default_factory=list)
    requests: list[tuple[float, bytes]] = field(default_factory=list)
    """What came, with its time."""
    close: tuple[int, int, str] | None = None
    """The end of the server's Close frame in the stream, its code and its reason."""
    close_is_answer: bool = False
    breach: int | None = None
    """The end of what broke the protocol, in the stream."""
    client_close: tuple[float, int] | None = None
    """When the client's Close frame came, and with which code."""
    ended: str = ""
    """How the server ended the connection."""


class Server:
    """Listens, and has a book for each connection."""

    def __init__(self, plan: Plan, rng: random.Random) -> None:
        self.plan = plan
        self.rng = rng
        self.books: dict[int, Book] = {}
        self.live: list[ServerConnection] = []
        self.openings = 0
        self.ends = 0
        self.known: dict[bytes, int] = {}
        """The requests that came, in their order."""
        self._born: float | None = None
        self._drained = False

    async def start(self, host: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: ServerConnection(self), host, port)
        return int(self._listening.sockets[0].getsockname()[1])

    def stop(self) -> None:
        self._listening.close()
        for connection in [*self.live]:
            connection.abort()

    def now(self) -> float:
        """Seconds since the first connection came."""
        now = asyncio.get_running_loop().time()
        if self._born is None:
            self._born = now
            if self.plan.drain is not None:
                asyncio.get_running_loop().call_later(self.plan.drain[0], self._drain)
        return now - self._born

    def frozen_until(self) -> float:
        """Return the end of the stall that lasts now, or 0."""
        now = self.now()
        ends = (end for start, end in self.plan.stalls if start <= now < end - TICK)
        return max(ends, default=0.0)

    def draw(self, odds: Odds) -> str:
        """Return one of the names, or nothing."""
        value = self.rng.random()
        for name, probability in odds:
            value -= probability
            if value < 0:
                return name
        return ""

    def opening(self) -> str:
        """Return how the next handshake goes."""
        self.openings += 1
        if self.openings == 1 and self.plan.first_opens:
            return "open"
        if self.plan.refusing is not None:
            start, end, how = self.plan.refusing
            if start <= self.now() < end:
                return how
        return self.draw(self.plan.openings) or "open"

    def _drain(self) -> None:
        assert self.plan.drain is not None
        _, spacing, how = self.plan.drain
        loop = asyncio.get_running_loop()
        for place, connection in enumerate([*self.live]):
            loop.call_later(place * spacing, connection.end, how)


class ServerConnection(asyncio.Protocol):
    """One connection: answers the handshake, then each request as the plan has it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._plan = server.plan
        self._rng = server.rng
        self._head = b""
        self._input = frames.Messages()
        self._state = "opening"  # then: open, mute, gone
        self._offset = 0
        self._answered = 0
        self._logged_in = server.plan.logins is None
        self._outgoing: deque[tuple[float, bytes | Callable[[], None]]] = deque()
        self._pumping = False
        self._free_at = 0.0
        self._owed: deque[tuple[float, bytes]] = deque()
        """The requests to be answered, each with the time for it."""
        self._next_due = 0.0
        self._working = False
        self._held: bytes | None = None
        self._latest: Message | None = None
        self._frozen: list[bytes] = []
        low_high = self._plan.end_after
        self._end_after: int | None = None
        if low_high is not None and self._rng.random() < self._plan.end_odds:
            self._end_after = self._rng.randint(*low_high)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        port = transport.get_extra_info("peername")[1]
        self.book = Book(port, self._server.now())
        self._server.books[port] = self.book
        self._server.live.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = "gone"
        if self in self._server.live:
            self._server.live.remove(self)

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        until = self._server.frozen_until()
        if until or self._frozen:
            if not self._frozen:
                self._loop.call_later(until - self._server.now(), self._thaw)
            self._frozen.append(data)
        elif self._state == "opening":
            self._head += data
            if b"\r\n\r\n" in self._head:
                head, _, rest = self._head.partition(b"\r\n\r\n")
                self._state = "answering"
                self._answer_handshake(head.decode())
                if rest:
                    self._take(rest)
        elif self._state != "gone":
            self._take(data)

    def _thaw(self) -> None:
        until = self._server.frozen_until()
        if until:
            self._loop.call_later(until - self._server.now(), self._thaw)
            return
        data, self._frozen = b"".join(self._frozen), []
        if self._state != "gone":
            self.data_received(data)

    # The handshake.

    def _answer_handshake(self, head: str) -> None:
        how = self.book.opening = self._server.opening()
        found = re.search(r"(?im)^sec-websocket-key: *(\S+)", head)
        assert found is not None
        name, _, argument = how.partition(" ")
        if name == "open":
            self._open(frames.accept(found[1]))
        elif name == "slow":
            self._loop.call_later(float(argument), self._open, frames.accept(found[1]))
        elif name == "wrong-accept":
            self._open(frames.accept("x" * 24))
        elif name == "http":
            self._write(
                f"HTTP/1.1 {argument} No\r\nServer: simulated\r\nContent-Length: 0\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            self.book.refusal_end = self._offset
            self._later(0.0, self._transport.close)
        elif name == "garbage":
            self._write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            self.book.refusal_end = self._offset
            self._later(0.0, self._transport.close)
        elif name == "half":
            self._write(b"HTTP/1.1 101 Switching Pro")
            self._later(0.0, self._transport.close)
        elif name == "cut":
            self._transport.close()
        elif name == "reset":
            self.reset()
        elif name == "behind-101":
            self._open(frames.accept(found[1]))
            self._later(0.0, self._transport.close)
            self.book.ended = "fin"
        else:
            assert name == "silent", how

    def _open(self, accept: str) -> None:
        if self._state == "gone":
            return
        self._write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        self.book.head_end = self._offset
        self._state = "open"
        plan = self._plan
        if plan.greeting:
            self._send(plan.greeting, "greeting")
        if plan.push_every:
            self._loop.call_later(plan.push_every * self._rng.random(), self._push)
        if plan.repeat_every:
            self._loop.call_later(plan.repeat_every, self._repeat)
        if plan.ping_every:
            self._loop.call_later(plan.ping_every, self._ping)
        if self._end_after == 0:
            self._end_as_planned()

    # What comes.

    def _take(self, data: bytes) -> None:
        for opcode, payload, _ in self._input.feed(data):
            if opcode == CLOSE:
                code = int.from_bytes(payload[:2], "big") if payload else 1005
                self.book.client_close = (self._server.now(), code)
                self._answer_close(payload)
            elif opcode == PING:
                if self._state in ("open", "mute"):
                    self._write(encode(PONG, payload))
            elif opcode in (TEXT, BINARY):
                self._take_request(payload)

    def _take_request(self, payload: bytes) -> None:
        server = self._server
        if not self._logged_in:
            self._log_in()
            return
        self.book.requests.append((self._loop.time(), payload))
        place = server.known.setdefault(payload, len(server.known))
        if self._state != "open":
            return
        if self._plan.poison == place:
            self._end_as_planned()
            return
        delay = self._rng.uniform(*self._plan.delay)
        if not self._plan.in_order:
            self._loop.call_later(delay, self._answer_out_of_order, payload)
            return
        self._next_due = max(self._next_due, self._loop.time() + delay)
        self._owed.append((self._next_due, payload))
        self._answer_what_is_due()

    def _answer_what_is_due(self) -> None:
        if self._working:
            return
        while self._owed and self._state == "open":
            until = self._server.frozen_until()
            due = self._loop.time() + until - self._server.now() if until else self._owed[0][0]
            if due > self._loop.time() + TICK:
                self._working = True
                self._loop.call_at(due, self._work_on)
                break
            self._answer(self._owed.popleft()[1])

    def _log_in(self) -> None:
        assert self._plan.logins is not None
        how = self._server.draw(self._plan.logins)
        if how == "refuse":
            self._send(b'{"id": "login", "error": {"code": 401}}', "refusal")
        elif how != "silent":
            self._logged_in = True
            self._send(b'{"id": "login", "result": true}', "hello")

    def _answer_out_of_order(self, payload: bytes) -> None:
        until = self._server.frozen_until()
        if until:
            self._loop.call_later(until - self._server.now(), self._answer_out_of_order, payload)
        elif self._state == "open":
            self._answer(payload)

    def _work_on(self) -> None:
        self._working = False
        self._answer_what_is_due()

    def _answer(self, payload: bytes) -> None:
        self._answer_with(self._server.draw(self._plan.replies), payload)
        self._answered += 1
        if self._end_after is not None and self._answered >= self._end_after:
            self._end_as_planned()

    def _answer_with(self, fault: str, payload: bytes) -> None:
        right = self._right(payload)
        kind = BINARY if self._plan.binary else TEXT
        if fault == "drop":
            return
        if fault == "hold":
            self._loop.call_later(self._plan.hold, self._send, right, "right")
            return
        if fault == "swap" and self._held is None:
            self._held = right
            return
        if fault == "stray":
            others = [one for one in self._server.live if one is not self and one.may_push]
            if others:
                self._rng.choice(others)._send(right, "stray")
            return
        if fault == "longer":
            self._send(right + b"?", "wrong")
        elif fault == "range":
            self._send(self._out_of_range(payload), "wrong")
        elif fault == "letter":
            self._send(b"\x01" + right[1:], "wrong")
        elif fault == "short":
            self._send(right[: len(payload) // 2], "wrong")
        elif fault == "kind":
            self._send(right, "wrong", TEXT if kind == BINARY else BINARY)
        elif fault == "encoding":
            self._send(b"\xff" + right[1:], "wrong")
        elif fault == "breach":
            self._breach()
            return
        else:
            for _ in range(self._plan.parts):
                self._send(right.replace(b"true", b"false"), "part")
            if fault == "forge":
                self._send(b"forged %d" % self._rng.randrange(1000), "push")
            self._send(right, "right")
            if fault == "twice":
                self._send(right, "twice")
        if self._held is not None:
            held, self._held = self._held, None
            self._send(held, "right")

    def _out_of_range(self, payload: bytes) -> bytes:
        if self._plan.expect == "key":
            return b'{"id": %d, "error": {"code": 7}}' % json.loads(payload)["id"]
        return payload + b": 101"

    def _right(self, payload: bytes) -> bytes:
        if self._plan.expect == "key":
            result = self._rng.randint(1, 100)
            return b'{"id": %d, "result": %d, "done": true}' % (json.loads(payload)["id"], result)
        if self._plan.expect == "number":
            return payload + b": %d" % self._rng.randint(1, 100)
        return payload

    def _answer_close(self, payload: bytes) -> None:
        how = self._plan.close_answer
        if self.book.close is not None or self._state in ("black hole", "gone"):
            if self.book.close is not None:
                self._later(0.0, self._transport.close)
            return
        if self._state == "opening":
            return
        if how == "at once" or how == "no fin":
            self.book.close_is_answer = True
            self._close(payload)
            if how == "at once":
                self._later(0.0, self._transport.close)
        elif how == "late":
            self._loop.call_later(0.05, self._answer_close_late, payload)
        elif how == "after replies":
            if self._owed:
                # What is owed may be overdue, to a server that ends the connection or stands still.
                due = max(self._owed[-1][0], self._loop.time())
                self._loop.call_at(due + 1e-3, self._answer_close, payload)
            else:
                self._answer_close_late(payload)
        elif how == "cut":
            self._later(0.0, self._transport.close)
        elif how == "reset":
            self.reset()
        else:
            assert how == "never", how

    def _answer_close_late(self, payload: bytes) -> None:
        if self._state != "gone" and self.book.close is None:
            self.book.close_is_answer = True
            self._close(payload)
            self._later(0.0, self._transport.close)

    # What goes out beside replies.

    def _push(self) -> None:
        if self.is_open:
            if self.may_push:
                self._send(self._plan.pushed % self._rng.randrange(10**6), "push")
            self._loop.call_later(self._plan.push_every, self._push)

    def _repeat(self) -> None:
        if self.is_open:
            if self._latest is not None and not self._server.frozen_until():
                self._send(self._latest.payload, "repeated", self._latest.opcode)
            self._loop.call_later(self._plan.repeat_every, self._repeat)

    def _ping(self) -> None:
        if self.is_open:
            self._write(encode(PING, b"there?"))
            self._loop.call_later(self._plan.ping_every, self._ping)

    # Ends.

    @property
    def is_open(self) -> bool:
        return self._state == "open"

    @property
    def may_push(self) -> bool:
        return self.is_open and self._logged_in and not self._server.frozen_until()

    def _end_as_planned(self) -> None:
        if self._server.ends < self._plan.most_ends and self._plan.ends:
            self._server.ends += 1
            self.end(self._rng.choice(self._plan.ends))

    def end(self, how: str) -> None:
        """End the connection, or what is good about it."""
        if self._state != "open":
            if self._state in ("opening", "answering"):
                self._transport.abort()
            return
        self.book.ended = how
        name, _, argument = how.partition(" ")
        if name == "close":
            reason = b"" if argument == "1005" else b"planned"
            code = b"" if argument == "1005" else int(argument).to_bytes(2, "big")
            self._close(code + reason)
            self._loop.call_later(1.0, self.abort)
        elif name == "fin":
            self._state = "ending"
            self._later(0.0, self._transport.close)
        elif name == "half-frame":
            self._state = "ending"
            self._write(encode(TEXT, b"cut in the middle")[:9])
            self._later(0.0, self._transport.close)
        elif name == "reset":
            self.reset()
        elif name == "breach":
            self._breach()
        elif name == "mute":
            self._state = "mute"
        elif name == "deaf":
            self._state = "black hole"
            self._transport.pause_reading()
        else:
            assert name == "black", how
            self._state = "black hole"

    def abort(self) -> None:
        self._state = "gone"
        self._transport.abort()

    def reset(self) -> None:
        """Have the sender see a reset, and lose what is on its way."""
        self._state = "gone"
        connected: Any = self._transport.get_extra_info("socket")
        queue = getattr(connected, "_write_queue", None)
        if queue is None:
            with contextlib.suppress(AttributeError, OSError):
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        else:

            def refuse(*arguments: Any) -> Any:
                raise ConnectionResetError(104, "Connection reset by peer")

            queue.write_eof()
            queue.read = refuse
        self._transport.abort()

    def _breach(self) -> None:
        choices = (
            encode(TEXT, b"reserved", reserved=True),
            encode(0x3, b"unknown opcode"),
            encode(frames.CONTINUATION, b"of nothing"),
            encode(PING, b"split", final=False),
            encode(PING, bytes(126)),
            encode(CLOSE, b"\x03"),
            encode(CLOSE, (1005).to_bytes(2, "big")),
            encode(CLOSE, (999).to_bytes(2, "big")),
            encode(TEXT, b"a", final=False) + encode(TEXT, b"b"),
            bytes([0x81, 0x81, 1, 2, 3, 4, 5]),
        )
        # In one piece: the sender may notice at the first byte.
        breach = self._rng.choice(choices)
        self._offset += len(breach)
        self._later(0.0, breach)
        self._state = "ending"
        self.book.breach = self._offset
        self._loop.call_later(1.0, self.abort)

    def _close(self, payload: bytes) -> None:
        self._write(encode(CLOSE, payload))
        self._state = "ending"
        code = int.from_bytes(payload[:2], "big") if payload else 1005
        self.book.close = (self._offset, code, payload[2:].decode())

    # Output, in order, whole or in pieces, at once or by and by.

    def _send(self, payload: bytes, what: str, opcode: int | None = None) -> None:
        if self._state != "open":
            return
        if opcode is None:
            opcode = BINARY if self._plan.binary else TEXT
        if self._plan.chop and len(payload) > 1 and self._rng.random() < 0.3:
            cut = self._rng.randrange(len(payload))
            self._write(encode(opcode, payload[:cut], final=False))
            if self._rng.random() < 0.3:
                self._write(encode(PING, b"between"))
            self._write(encode(frames.CONTINUATION, payload[cut:]))
        else:
            self._write(encode(opcode, payload))
        message = Message(opcode, payload, self._offset, what)
        self.book.messages.append(message)
        if what in ("right", "twice"):
            self._latest = message

    def _write(self, data: bytes) -> None:
        self._offset += len(data)
        if self._plan.drip and len(data) > 200:
            step = max(1, self._plan.drip // 20)
            for start in range(0, len(data), step):
                piece = data[start : start + step]
                self._later(len(piece) / self._plan.drip, piece)
        elif self._plan.chop and len(data) > 1 and self._rng.random() < 0.2:
            cut = self._rng.randrange(1, len(data))
            self._later(0.0, data[:cut])
            self._later(self._rng.choice((0.0, 0.001, 0.02)), data[cut:])
        else:
            self._later(0.0, data)

    def _later(self, delay: float, what: bytes | Callable[[], None]) -> None:
        """Do something after all that is already waiting, and this number of seconds later."""
        self._free_at = max(self._free_at, self._loop.time()) + delay
        self._outgoing.append((self._free_at, what))
        self._pump()

    def _pump(self) -> None:
        if self._pumping:
            return
        while self._outgoing and self._outgoing[0][0] <= self._loop.time() + TICK:
            what = self._outgoing.popleft()[1]
            if callable(what):
                what()
            elif not self._transport.is_closing():
                self._transport.write(what)
        if self._outgoing:
            self._pumping = True
            self._loop.call_at(self._outgoing[0][0], self._pump_again)

    def _pump_again(self) -> None:
        self._pumping = False
        self._pump()
