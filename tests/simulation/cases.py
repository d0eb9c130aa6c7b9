"""Runs with a name: faults that were seen, in the sender or in this simulation."""

from dataclasses import dataclass

from cli_client.settings import Settings
from tests.simulation.drawing import MANY, Scenario
from tests.simulation.server import Plan


@dataclass(frozen=True)
class Case:
    """A scenario and the verdict that is due to it."""

    name: str
    verdict: str
    settings: Settings
    plan: Plan
    interrupt_at: float | None = None
    seed: int = 0

    @property
    def scenario(self) -> Scenario:
        return Scenario(self.settings, self.plan, self.interrupt_at, self.seed)


CASES = (
    Case("a sound server", "pass", Settings(messages=500, connections=5), Plan()),
    Case(
        "half of the handshakes fail",
        "recovered",
        Settings(messages=200, connections=20),
        Plan(openings=(("http 503", 0.2), ("cut", 0.2))),
    ),
    Case(
        "a wrong Sec-WebSocket-Accept now and then",
        "fail",
        Settings(messages=200, connections=20),
        Plan(openings=(("wrong-accept", 0.3),)),
    ),
    Case(
        "nine of ten connections end and every new one is refused",
        "fail",
        Settings(messages=None, duration=5.0, rate=100.0, connections=10, retries=3),
        Plan(
            ends=("close 1001",),
            end_after=(5, 10),
            most_ends=9,
            refusing=(0.01, 1000.0, "http 503"),
        ),
    ),
    Case(
        "a server frozen in the last third of a paced run",
        "fail",
        Settings(messages=None, rate=200.0, duration=6.0, timeout=0.5),
        Plan(stalls=((4.0, 7.0),)),
    ),
    Case(
        "a server frozen for a moment in a paced run",
        "pass",
        Settings(messages=None, rate=200.0, duration=3.0, timeout=2.0),
        Plan(stalls=((1.0, 1.5),)),
    ),
    Case(
        "a server frozen from the start",
        "fail",
        Settings(messages=None, rate=1000.0, duration=1.0, timeout=0.5, retries=1),
        Plan(stalls=((0.01, 1000.0),)),
    ),
    Case(
        "every second message breaks the protocol",
        "fail",
        Settings(messages=50, window=1),
        Plan(ends=("breach",), end_after=(1, 1)),
    ),
    Case(
        "a server that never answers Close",
        "recovered",
        Settings(messages=50, connections=3, close_timeout=0.5),
        Plan(close_answer="never"),
    ),
    Case(
        "forty connections are drained one after another",
        "recovered",
        Settings(messages=3000, connections=40, window=8, retries=3),
        Plan(delay=(0.01, 0.1), drain=(0.1, 0.02, "close 1001")),
    ),
    Case(
        "connections that end without an answer, over and over",
        "fail",
        Settings(messages=50, retries=3),
        Plan(ends=("close 1000",), end_after=(0, 0)),
    ),
    Case(
        "a request that ends each connection takes no other along",
        "fail",
        Settings(messages=64, window=64, retries=3, timeout=1.0),
        Plan(poison=20, ends=("fin",), delay=(0.01, 0.01)),
    ),
    Case(
        "slow echoes with pushes in between",
        "fail",
        Settings(messages=300, connections=3, window=10, expect="echo", timeout=5.0),
        Plan(expect="echo", delay=(0.5, 1.0), push_every=0.05),
    ),
    Case(
        "replies that take about as long as the time-out",
        "fail",
        Settings(messages=100, rate=50.0, connections=8, timeout=1.0, resend=False),
        Plan(delay=(0.3, 1.5)),
    ),
    Case(
        "a reply lost while others are far apart",
        "fail",
        Settings(messages=20, rate=2.0, timeout=1.0),
        Plan(replies=(("drop", 0.2),), delay=(0.1, 0.4)),
    ),
    Case(
        "a greeting and a wrong reply at the end",
        "fail",
        Settings(messages=20, window=4, timeout=1.0),
        Plan(greeting=b"welcome", replies=(("letter", 0.2),)),
    ),
    Case(
        "one lost reply",
        "fail",
        Settings(messages=500, timeout=2.0),
        Plan(replies=(("drop", 0.002),)),
    ),
    Case(
        "one request unanswered and a duplicate for ever",
        "fail",
        Settings(messages=20, timeout=1.0),
        Plan(repeat_every=0.3, replies=(("drop", 0.1),)),
    ),
    Case(
        "a lasting black hole",
        "fail",
        Settings(messages=None, rate=50.0, duration=3.0, timeout=1.0, connect_timeout=1.0),
        Plan(ends=("black",), end_after=(3, 3), refusing=(0.1, 10_000.0, "silent")),
    ),
    Case(
        "more pushes than replies",
        "fail",
        Settings(messages=200, connections=20, timeout=0.5),
        Plan(push_every=0.025, replies=(("drop", 0.1),)),
    ),
    Case(
        "a message comes as an earlier request that was overtaken times out",
        "fail",
        Settings(messages=None, rate=50.0, duration=2.0, timeout=1.0, linger=0.0),
        Plan(delay=(0.01, 0.03), push_every=0.3, replies=(("drop", 0.3),)),
        seed=43366,
    ),
    Case(
        "a message comes before the only request that is lost is sent",
        "fail",
        Settings(messages=150, rate=100.0, ramp=0.5, connections=3, window=16, timeout=0.4),
        Plan(delay=(0.0, 0.02), push_every=0.3, repeat_every=0.3, replies=(("drop", 0.05),)),
        seed=309003,
    ),
    Case(
        "a server that speaks first",
        "fail",
        Settings(messages=50, connections=2),
        Plan(greeting=b"welcome"),
    ),
    Case(
        "a reply larger than the path is fast",
        "pass",
        Settings(messages=3, size=12_000, expect="echo", window=1, timeout=1.0),
        Plan(expect="echo", drip=5_000),
    ),
    Case(
        "an interrupt while the server keeps the sender waiting for its Close frame",
        "interrupted",
        Settings(messages=10, linger=0.0, close_timeout=30.0),
        Plan(close_answer="never"),
        interrupt_at=1.0,
    ),
    Case(
        "an interrupt while the server does not end the connection after Close",
        "interrupted",
        Settings(messages=10, linger=0.0, close_timeout=30.0),
        Plan(close_answer="no fin"),
        interrupt_at=1.0,
    ),
    Case(
        "an interrupt while the sender listens for late replies",
        "interrupted",
        Settings(messages=10, linger=30.0),
        Plan(),
        interrupt_at=1.0,
    ),
    Case(
        "a run ends while handshakes are under way",
        "fail",
        Settings(messages=10, connections=4, max_time=0.5),
        Plan(openings=(("silent", 1.0),)),
    ),
    Case(
        "a handshake is nearly out of time when a run without a connection ends",
        "fail",
        Settings(
            messages=None,
            duration=1.0,
            rate=50.0,
            connections=5,
            window=5,
            connect_timeout=0.3,
            timeout=1.0,
            linger=0.3,
        ),
        Plan(delay=(0.0, 0.02), stalls=((0.2, 3.2),)),
        seed=700355,
    ),
    Case(
        "the server breaks the protocol in a stall, and owes replies as it gets our Close",
        "fail",
        Settings(
            messages=None,
            duration=1.0,
            rate=250.0,
            window=16,
            retries=0,
            resend=False,
            connect_timeout=0.3,
            timeout=1.0,
            linger=0.3,
        ),
        Plan(
            delay=(0.0, 0.02),
            stalls=((0.5171652228081385, 0.7775805898791704),),
            replies=(("breach", 1 / 60), ("encoding", 1 / 60), ("letter", 1 / 60)),
            close_answer="after replies",
        ),
        seed=4007913,
    ),
    Case(
        "a run with a duration whose first connections are silent about the login",
        "fail",
        Settings(
            messages=None,
            duration=1.0,
            rate=100.0,
            expect="key",
            template='{"id":{i}}',
            id="/id",
            hellos=('{"id":"login","method":"login"}',),
            hello_replies=("/result=true",),
            connect_timeout=1.0,
            timeout=0.4,
        ),
        Plan(expect="key", logins=(("silent", 0.9),)),
    ),
    Case(
        "deaths that no request suffers from",
        "recovered",
        Settings(messages=500, connections=5, window=8),
        Plan(ends=("fin", "reset", "half-frame", "close 1011"), end_after=(5, 20)),
    ),
    Case(
        "each connection lives for a few replies alone",
        "recovered",
        Settings(messages=300, window=16, retries=2),
        Plan(ends=("close 1012",), end_after=(3, 6), most_ends=MANY),
    ),
)
