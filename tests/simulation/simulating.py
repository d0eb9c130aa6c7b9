"""One simulated run: the engine against a drawn server, and its report against the account."""

import asyncio
import contextlib
import dataclasses
import random
import signal
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Self

from cli_client.engine.clocks import StopWatch
from cli_client.engine.pacing import Pace
from cli_client.engine.run import Run
from cli_client.ledger.ledger import Request
from cli_client.ledger.result import Result
from cli_client.ledger.timeline import Standing
from tests.simulation.account import Account
from tests.simulation.drawing import Scenario
from tests.simulation.holding import hold
from tests.simulation.server import Server
from tests.simulation.wire import HOST, PORT, RealLoop, VirtualLoop, Wire

__all__ = ["Outcome", "simulate"]

PATIENCE = 10
"""Seconds of processor time after which a run that turns in circles is stopped."""

SLACK = 0.002
REAL_SLACK = 0.5
"""Seconds by which the report and the wire may read a moment apart; over real sockets, for a
machine that is busy with other things.
"""

FINEST, LONGEST = 0.0002, 0.1
"""Seconds between two ticks at least and at most."""


@dataclass
class Outcome:
    """What a simulated run came to."""

    scenario: Scenario
    problems: list[str] = field(default_factory=list)
    result: Result | None = None
    account: Account | None = None
    fates: dict[bytes, list[tuple[str, float]]] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)
    lasted: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether the account left no choice for any message."""
        return self.account is not None and self.account.exact

    def differences(self) -> list[str]:
        """Return in words where the report and the account differ."""
        assert self.account is not None
        assert self.result is not None
        return hold(self.scenario, self.account, self.result, self.fates, self.answers, self.lasted)


class LoopTicker:
    """Ticks whenever a request is due, by a timer of the event loop."""

    def __init__(self, pace: Pace, stopwatch: StopWatch) -> None:
        self._pace = pace
        self._stopwatch = stopwatch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    async def wait(self) -> None:
        elapsed = self._stopwatch.elapsed
        due = self._pace.due(self._pace.count(elapsed))
        await asyncio.sleep(max(FINEST, min(due - elapsed, LONGEST)))


class Stuck(BaseException):
    """A run that does not let time pass."""


def simulate(scenario: Scenario, *, really: bool = False) -> Outcome:
    """Do a run, and hold its report against the server's books.

    Args:
        scenario: What is run.
        really: Whether over real sockets and the real clock, not in virtual time.
    """
    outcome = Outcome(scenario)
    wire = Wire()
    server = Server(scenario.plan, random.Random(scenario.seed + 1))
    outcome.fates = fates = defaultdict(list)
    loop = (RealLoop if really else VirtualLoop)(wire, server.stop)
    began = loop.time()

    def note_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        outcome.problems.append(f"in the event loop: {context.get('exception', context)!r}")

    def note_fate(
        fate: str, connection: int, request: Request, reply: bytes | None, now: float
    ) -> None:
        fates[request.payload].append((fate, now))

    def watch(standing: Standing) -> bool:
        return scenario.interrupt_at is None or loop.time() - began < scenario.interrupt_at

    async def main() -> Result:
        port = await server.start(HOST, 0 if really else PORT)
        settings = dataclasses.replace(scenario.settings, url=f"ws://{HOST}:{port}/")
        run = Run(
            settings,
            outcome.answers.extend,
            watch,
            on_settled=note_fate,
            clock=loop.time,
            ticker=LoopTicker,
            random=random.Random(scenario.seed + 2),
        )
        return await asyncio.wait_for(run.run(), 10_000)

    loop.set_exception_handler(note_exception)
    with _stopped_when_stuck(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                outcome.result = runner.run(main())
                outcome.lasted = loop.time() - began
        except Stuck:
            outcome.problems.append(f"stuck at {loop.time():.3f} s of virtual time")
        except Exception as error:
            outcome.problems.append(f"{type(error).__name__}: {error}")
    if outcome.result is not None:
        outcome.account = Account(
            scenario.settings,
            server,
            wire,
            began + outcome.lasted,
            REAL_SLACK if really else SLACK,
        )
        outcome.problems += outcome.differences()
    return outcome


@contextlib.contextmanager
def _stopped_when_stuck() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Stuck

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
