"""The cases of the self-test: what is broken, and what the sender must report of it.

No checker can see one fault, so it is not among them: a number that became another one from 1 to
100. Only the server knows which it drew.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Final, Literal

from cli_client.faults import doormen, mischief, service
from cli_client.faults.mischief import DELAY, PUSHES
from cli_client.faults.proxy import Doorman, Mischief, let_in
from cli_client.faults.service import Service
from cli_client.ledger.numbers import ENOUGH
from cli_client.settings import Settings

__all__ = ["CLEAN", "FAULTS", "REQUEST", "SOME", "SOUND", "Case"]

REQUEST = b"Request 250"
"""The request whose reply is tampered with."""

SOME: Final = None
"""A count above 0 that depends on time."""

TIMEOUT = 0.7
"""Seconds; more than DELAY, and as little as a busy machine allows."""

USUAL = Settings(messages=500)
IMPATIENT = Settings(messages=500, timeout=TIMEOUT)
"""For the faults that only show in a time-out."""
ONE_BY_ONE = Settings(messages=500, window=1, retries=1)

PACED = Settings(
    messages=None, rate=1000, duration=0.5, window=10, timeout=TIMEOUT, connect_timeout=TIMEOUT
)
CALLS = Settings(
    messages=500,
    template=service.TEMPLATE,
    expect="key",
    id="/id",
    require=("/result",),
    resend=False,
    timeout=TIMEOUT,
)
"""For the service."""
WITH_PUSHES = dataclasses.replace(CALLS, push=("/method",))
WITH_LOGIN = dataclasses.replace(
    CALLS,
    greeting="/method=welcome",
    hellos=(service.LOGIN,),
    hello_replies=("/result=true",),
)

LOST = ("in_flight_when_lost",)
OPENED_AGAIN = ("reconnects", *LOST)
SENT_AGAIN = ("resent", *OPENED_AGAIN)
"""The counts that are above 0 after a connection died, as far as the sender went on."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something that is broken, and what the report of a run with it must be."""

    name: str
    verdict: Literal["pass", "recovered", "fail"] = "fail"
    mischief: Mischief = mischief.leave_alone
    doorman: Doorman = let_in
    service: Service | None = None
    """What the sender talks to in place of the private server behind the fault proxy."""
    ledger: dict[str, int | None] = field(default_factory=dict)
    """The counts of faults that are not 0; SOME if the count depends on time."""
    says: tuple[str, ...] = ()
    """What the report says of it; each of its errors contains one of these."""
    attempts: tuple[str, ...] = ()
    """What happened to connections and handshakes; all else did not."""
    slowest_ms: float = 0.0
    """What the longest latency is at least."""
    settings: Settings = USUAL


CLEAN = Case(name="none", verdict="pass")

SOUND = (
    CLEAN,
    Case(
        name="delay within the time-out",
        mischief=mischief.delay,
        verdict="pass",
        slowest_ms=DELAY * 1000 * 0.99,
    ),
    Case(
        name="one number over and over",
        mischief=mischief.repeat_a_number,
        says=("the numbers in the replies are not evenly spread",),
        verdict="pass",
        settings=Settings(messages=2 * ENOUGH),
    ),
    Case(
        name="service: replies swapped",
        service=Service(service.swap),
        verdict="pass",
        ledger={"out_of_order": 1},
        settings=CALLS,
    ),
    Case(
        name="service: push it may send",
        service=Service(service.push_too),
        verdict="pass",
        settings=WITH_PUSHES,
    ),
    Case(
        name="service: greeting and login",
        service=Service(greets=True, token="letmein"),
        verdict="pass",
        settings=WITH_LOGIN,
    ),
)
"""Runs in which each request gets its own right reply in time: they must pass."""

FAULTS = (
    Case(
        name="reply dropped",
        mischief=mischief.drop,
        ledger={"missing": 1},
        says=("Request 250 got no reply: ",),
        settings=IMPATIENT,
    ),
    Case(
        name="reply duplicated",
        mischief=mischief.duplicate,
        ledger={"duplicate": 1},
        says=("Request 250: a duplicate reply",),
    ),
    Case(
        name="two replies swapped",
        mischief=mischief.swap,
        ledger={"out_of_order": 1},
        says=("Request 250: its reply came after that to a later one",),
    ),
    Case(
        name="reply on another connection",
        mischief=mischief.stray,
        ledger={"missing": 1, "unsolicited": 1},
        says=("Request 250: its reply strayed to connection ", "Request 250 got no reply: "),
        settings=Settings(messages=500, timeout=TIMEOUT, connections=2),
    ),
    Case(
        name="reply to no request",
        mischief=mischief.forge,
        ledger={"unsolicited": 1},
        says=("Nobody asked for this: a message that nobody asked for",),
    ),
    Case(
        name="pushes between replies",
        mischief=mischief.push,
        ledger={"unsolicited": PUSHES},
        says=("a message that nobody asked for",),
    ),
    Case(
        name="greeting",
        doorman=doormen.greet,
        ledger={"unsolicited": 1},
        says=("a greeting: the server speaks first on each connection",),
    ),
    Case(
        name="reply lost, another without end",
        mischief=mischief.repeat_the_next,
        ledger={"missing": 1, "duplicate": SOME},
        says=("Request 250 got no reply: ", "Request 251: a duplicate reply"),
        settings=IMPATIENT,
    ),
    Case(
        name="reply after the time-out",
        mischief=mischief.withhold,
        ledger={"missing": 1, "late": 1},
        says=("Request 250: its reply came late", "Request 250 got no reply: "),
        settings=IMPATIENT,
    ),
    Case(
        name="letter changed",
        mischief=mischief.change_a_byte,
        ledger={"wrong": 1},
        says=("Request 250: expected a reply to 'Request 250', got 'Reqtest 250: ",),
    ),
    Case(
        name="text that is not UTF-8",
        mischief=mischief.break_utf8,
        ledger={"wrong": 1},
        says=("Request 250: the reply is not valid UTF-8 at byte 3",),
    ),
    Case(
        name="reply cut short",
        mischief=mischief.truncate,
        ledger={"wrong": 1},
        says=("Request 250: expected a reply to 'Request 250', got 'Request'",),
    ),
    Case(
        name="number out of range",
        mischief=mischief.raise_the_number,
        ledger={"wrong": 1},
        says=("Request 250: expected ': ' and a number from 1 to 100",),
    ),
    Case(
        name="binary in place of text",
        mischief=mischief.make_binary,
        ledger={"wrong": 1},
        says=("Request 250: expected text, got a binary message",),
    ),
    Case(
        name="frame that breaks the protocol",
        mischief=mischief.set_a_reserved_bit,
        says=("the server broke the protocol: reserved bits must be 0",),
        attempts=(*SENT_AGAIN, "breaches"),
    ),
    Case(
        name="connection cut between frames",
        mischief=mischief.cut_between_frames,
        says=("ended without a closing handshake",),
        verdict="recovered",
        attempts=SENT_AGAIN,
    ),
    Case(
        name="connection cut inside a frame",
        mischief=mischief.end_inside_a_frame,
        says=("ended without a closing handshake",),
        verdict="recovered",
        attempts=SENT_AGAIN,
    ),
    Case(
        name="connection cut, no resending",
        mischief=mischief.end_between_frames,
        ledger={"missing": 1},
        says=("Request 250 got no reply: the peer closed the connection",),
        attempts=OPENED_AGAIN,
        settings=Settings(messages=500, window=1, resend=False),
    ),
    Case(
        name="connection gone silent",
        mischief=mischief.go_silent,
        says=(f"no reply came for {TIMEOUT:g} s, nor a pong",),
        verdict="recovered",
        attempts=SENT_AGAIN,
        settings=IMPATIENT,
    ),
    Case(
        name="connection closed, code 1011",
        mischief=mischief.close_as_broken,
        says=("closed by the server, code 1011: out of numbers",),
        verdict="recovered",
        attempts=SENT_AGAIN,
    ),
    Case(
        name="connections drained",
        mischief=mischief.drain,
        verdict="recovered",
        says=("closed by the server, code 1012: restarting",),
        attempts=SENT_AGAIN,
        settings=Settings(messages=10_000, connections=5, window=8),
    ),
    Case(
        name="refusals after a death",
        mischief=mischief.cut_between_frames,
        doorman=doormen.refuse_after_mischief,
        ledger={"missing": 1, "never_sent": 249},
        says=("HTTP 503", "ended without a closing handshake"),
        attempts=(*LOST, "given_up", "failed_handshakes"),
        settings=ONE_BY_ONE,
    ),
    Case(
        name="connection closed, code 1008",
        mischief=mischief.close_as_unwanted,
        ledger={"missing": 1, "never_sent": 249},
        says=("the server closed the connection with code 1008 not that",),
        attempts=(*LOST, "given_up"),
        settings=ONE_BY_ONE,
    ),
    Case(
        name="handshakes refused",
        doorman=doormen.refuse_some,
        verdict="recovered",
        says=("HTTP 503",),
        attempts=("failed_handshakes",),
        settings=Settings(messages=500, connections=5),
    ),
    Case(
        name="handshakes cut",
        doorman=doormen.cut_some,
        verdict="recovered",
        says=("it closed the connection before it had answered",),
        attempts=("failed_handshakes",),
        settings=Settings(messages=500, connections=5),
    ),
    Case(
        name="wrong Sec-WebSocket-Accept",
        doorman=doormen.accept_one_wrongly,
        says=("invalid Sec-WebSocket-Accept header",),
        attempts=("failed_handshakes", "breaches"),
        settings=Settings(messages=500, connections=3),
    ),
    Case(
        name="server that stalls at the end",
        mischief=mischief.go_silent,
        doorman=doormen.ignore_after_mischief,
        ledger={"missing": 10, "never_sent": 240},
        says=(
            "requests were not sent: ",
            "it could not be sent again",
            f"no reply came for {TIMEOUT:g} s, nor a pong",
        ),
        attempts=LOST,
        settings=PACED,
    ),
    Case(
        name="service: push and a lost reply",
        service=Service(service.push_in_its_place),
        ledger={"missing": 1},
        says=("got no reply",),
        settings=WITH_PUSHES,
    ),
    Case(
        name="service: push not announced",
        service=Service(service.push_too),
        ledger={"unsolicited": 1},
        says=("a message that nobody asked for",),
        settings=CALLS,
    ),
    Case(
        name="service: wrong id",
        service=Service(service.change_the_id),
        ledger={"missing": 1, "unsolicited": 1},
        says=("got no reply", "a message that nobody asked for"),
        settings=CALLS,
    ),
    Case(
        name="service: id twice",
        service=Service(service.reply_twice),
        ledger={"duplicate": 1},
        says=("a duplicate reply",),
        settings=CALLS,
    ),
    Case(
        name="service: error, not a result",
        service=Service(service.fail),
        ledger={"wrong": 1},
        says=("the rule /result does not hold",),
        settings=CALLS,
    ),
    Case(
        name="service: login refused",
        service=Service(greets=True, token="another"),
        ledger={"never_sent": 500, "unsolicited": 1},
        says=("expected the reply to the hello",),
        attempts=("failed_handshakes",),
        settings=WITH_LOGIN,
    ),
    Case(
        name="service: greeting not announced",
        service=Service(greets=True),
        ledger={"unsolicited": 1},
        says=("the server speaks first on each connection",),
        settings=CALLS,
    ),
)
