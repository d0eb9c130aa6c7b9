"""The table of faults: what the proxy does, and what the sender has to report of it.

One fault is out of reach of any checker, so it is not among them: a number that became another one
from 1 to 100. Only the server knows which it drew.
"""

from dataclasses import dataclass, field

from cli_client.faults import mischief
from cli_client.faults.mischief import DELAY
from cli_client.faults.proxy import Mischief
from cli_client.ledger.numbers import ENOUGH
from cli_client.settings import Settings

__all__ = ["CLEAN", "FAULTS", "REQUEST", "Case"]

REQUEST = b"Request 250"
"""The request whose reply is tampered with."""

USUAL = Settings(messages=500)
IMPATIENT = Settings(messages=500, timeout=1.0)
"""For the faults that show in a time-out alone."""

LOST = ("in_flight_when_lost",)
OPENED_AGAIN = ("reconnects", *LOST)
SENT_AGAIN = ("resent", *OPENED_AGAIN)
"""What a connection that died left behind, as far as the sender went on."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fault, and what the report of a run with it has to be."""

    name: str
    mischief: Mischief
    ledger: dict[str, int] = field(default_factory=dict)
    """The faults that the ledger counts, and no others."""
    says: tuple[str, ...] = ()
    """What is found in the errors, warnings and closes; of the errors, each has one of these."""
    passes: bool = False
    attempts: tuple[str, ...] = ()
    """The counts of attempts that are not 0."""
    slowest_ms: float = 0.0
    """What the longest latency is at least."""
    settings: Settings = USUAL


CLEAN = Case(name="none", mischief=mischief.leave_alone, passes=True)

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
        says=("Request 250: a reply too many",),
    ),
    Case(
        name="two replies swapped",
        mischief=mischief.swap,
        ledger={"out_of_order": 1},
        says=("Request 250: its reply came behind that to a later one",),
    ),
    Case(
        name="reply on another connection",
        mischief=mischief.stray,
        ledger={"missing": 1, "unsolicited": 1},
        says=("Request 250: its reply strayed to connection ", "Request 250 got no reply: "),
        settings=Settings(messages=500, timeout=1.0, connections=2),
    ),
    Case(
        name="reply to no request",
        mischief=mischief.forge,
        ledger={"unsolicited": 1},
        says=("a reply that nobody asked for: Nobody asked for this",),
    ),
    Case(
        name="delay within the time-out",
        mischief=mischief.delay,
        passes=True,
        slowest_ms=DELAY * 1000 * 0.99,
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
        name="one number over and over",
        mischief=mischief.repeat_a_number,
        says=("the numbers in the replies are not evenly spread",),
        passes=True,
        settings=Settings(messages=2 * ENOUGH),
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
        attempts=SENT_AGAIN,
    ),
    Case(
        name="connection cut between frames",
        mischief=mischief.cut_between_frames,
        says=("closed by the network, code 1006",),
        passes=True,
        attempts=SENT_AGAIN,
    ),
    Case(
        name="connection cut inside a frame",
        mischief=mischief.end_inside_a_frame,
        says=("closed by the network, code 1006",),
        passes=True,
        attempts=SENT_AGAIN,
    ),
    Case(
        name="connection cut, no resending",
        mischief=mischief.end_between_frames,
        ledger={"missing": 1},
        says=("Request 250 got no reply: the connection was lost",),
        attempts=OPENED_AGAIN,
        settings=Settings(messages=500, window=1, resend=False),
    ),
    Case(
        name="connection gone silent",
        mischief=mischief.go_silent,
        says=("no reply came for 1 s, nor a pong",),
        passes=True,
        attempts=SENT_AGAIN,
        settings=IMPATIENT,
    ),
    Case(
        name="connection closed, code 1011",
        mischief=mischief.close_as_broken,
        says=("closed by the server, code 1011: out of numbers",),
        passes=True,
        attempts=SENT_AGAIN,
    ),
    Case(
        name="connection closed, code 1008",
        mischief=mischief.close_as_unwanted,
        ledger={"missing": 1, "never_sent": 249},
        says=("the server closed the connection with code 1008 not that",),
        attempts=LOST,
        settings=Settings(messages=500, window=1),
    ),
)
