"""What a connection does with more messages in one read than can be named in a moment."""

import asyncio
import time
from typing import Any, cast

from cli_client.engine.clocks import LoopWatch
from cli_client.engine.connection import Brake, Connection
from cli_client.engine.introduction import Introductions
from cli_client.ledger.expectation import expectation
from cli_client.ledger.lane import Lane
from cli_client.ledger.lanes import Lanes
from cli_client.ledger.ledger import Ledger
from cli_client.settings import Settings
from tests.cli_client.engine.test_protocol import connected

MESSAGES = 80_000
FLOOD = b"\x81\x01x" * MESSAGES


class Transport:
    """A transport that keeps whether it reads."""

    reads = True

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Flooded:
    """An open connection, on which a flood of messages comes."""

    def __init__(self, *, stopped_after: int) -> None:
        self.taken = 0
        self.times: set[float] = set()
        self.transport = Transport()
        self._stopped_after = stopped_after
        self._brake = Brake()
        ledger = Ledger(10, expectation("number", binary=False), paced=False, on_verified=print)
        protocol, _ = connected()
        self.connection = Connection(
            protocol,
            (),
            window=1,
            lane=Lane(Lanes(ledger, 10, 10), 1),
            introduction=Introductions(Settings()).make(1, ledger),
            take=cast(Any, None),
            on_messages=self._take,
            watch=LoopWatch(time.perf_counter, lambda begin, end: None, lambda: None),
            brake=self._brake,
        )
        self.connection._transport = cast(asyncio.Transport, self.transport)
        self.connection.opened.set_result(None)
        self.connection.introduced.set_result(None)

    def _take(self, connection: Connection, messages: list[bytes], now: float) -> None:
        self.taken += len(messages)
        self.times.add(now)
        self._brake.pulled = self.taken >= self._stopped_after


def test_an_interrupt_in_the_middle_of_a_read_is_heeded() -> None:
    async def main() -> None:
        flooded = Flooded(stopped_after=1)
        flooded.connection.data_received(FLOOD)
        assert 0 < flooded.taken < MESSAGES / 10
        assert flooded.connection.received == flooded.taken, "what is not named does not count"

    asyncio.run(main())


def test_all_messages_of_a_read_came_at_one_time_and_give_others_their_turn() -> None:
    async def main() -> None:
        flooded = Flooded(stopped_after=MESSAGES + 1)
        flooded.connection.data_received(FLOOD)
        assert flooded.taken == flooded.connection.received == MESSAGES
        assert len(flooded.times) == 1
        assert not flooded.transport.reads
        await asyncio.sleep(0)
        assert flooded.transport.reads

    asyncio.run(main())
