"""Which message is the reply to which request, told directly to a lane."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from cli_client.ledger.expectation import Expectation as Expected
from cli_client.ledger.expectation import OtherKind, expectation
from cli_client.ledger.lane import HELD_BYTES, Lane, Lanes
from cli_client.ledger.ledger import Ledger, Request

LIMIT = 10.0


def right(number: int) -> bytes:
    return b"Request %d: 7" % number


@dataclass
class Run:
    """Some lanes, and what they handed over."""

    expected: Expected = field(default_factory=lambda: expectation("number", binary=False))
    memory: int = 1000
    held: int = 64
    connections: int = 1
    verified: list[bytes] = field(default_factory=list)
    fates: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger = Ledger(
            None,
            self.expected,
            paced=False,
            on_verified=self.verified.extend,
            on_settled=self._settle,
        )
        self.lanes = Lanes(self.ledger, self.memory, self.held)
        self.lane, *self.others = [
            Lane(self.lanes, number) for number in range(1, self.connections + 1)
        ]

    def _settle(
        self, fate: str, connection: int, request: Request, reply: bytes | None, now: float
    ) -> None:
        assert request.number not in self.fates, "a request has one fate"
        self.fates[request.number] = fate

    def send(self, *numbers: int, lane: Lane | None = None, attempt: int = 1) -> None:
        requests = [Request(n, b"Request %d" % n, 0.0, 0.0, attempt) for n in numbers]
        if attempt == 1:
            self.ledger.note_sent(len(requests), 0.0)
        (lane or self.lane).send(requests)

    def receive(self, *messages: bytes, at: float = 1.0) -> None:
        self.lane.receive(list(messages), at)

    @property
    def counts(self) -> dict[str, int]:
        """All that is not 0."""
        ledger = self.ledger
        fates = {"verified": ledger.verified, "wrong": ledger.wrong, "missing": ledger.missing}
        return {name: count for name, count in (fates | ledger.messages).items() if count}

    @property
    def errors(self) -> str:
        return "\n".join(message for message, _ in self.ledger.errors.listed())


def test_right_replies_in_order_are_verified() -> None:
    run = Run()
    run.send(0, 1, 2)
    run.receive(right(0), right(1))
    assert run.lane.in_flight == 1
    run.receive(right(2))
    assert run.counts == {"verified": 3}
    assert run.verified == [right(0), right(1), right(2)]
    assert run.lane.is_empty
    assert run.ledger.errors.count == 0


def test_a_reply_that_comes_twice_is_a_duplicate() -> None:
    run = Run()
    run.send(0, 1)
    run.receive(right(0), right(0), right(1))
    run.receive(right(1))
    assert run.counts == {"verified": 2, "duplicate": 2}
    assert "Request 0: a duplicate reply" in run.errors


def test_a_reply_after_a_later_one_is_verified_and_out_of_order() -> None:
    run = Run()
    run.send(0, 1, 2)
    run.receive(right(1), right(0), right(2))
    assert run.counts == {"verified": 3, "out_of_order": 1}
    assert run.verified == [right(1), right(0), right(2)]


def test_a_request_that_was_overtaken_times_out_by_itself() -> None:
    run = Run()
    run.send(0, 1)
    run.receive(right(1))
    run.lane.time_out_overtaken(LIMIT, LIMIT, at_end=True)
    assert run.counts == {"verified": 1}
    run.lane.time_out_overtaken(LIMIT + 0.1, LIMIT, at_end=True)
    assert run.counts == {"verified": 1, "missing": 1}
    assert "Request 0 got no reply: none in 10 s, though a later one got its own" in run.errors


def test_requests_overtaken_by_too_many_are_missing() -> None:
    run = Run(memory=2)
    run.send(*range(10))
    run.receive(right(9))
    assert run.counts == {"verified": 1, "missing": 7}
    assert run.fates[6] == "missing"


def test_a_reply_to_a_request_given_up_is_late() -> None:
    run = Run()
    run.send(0)
    run.lane.time_out(1.0, 1.0, "no reply came for 1 s")
    run.receive(right(0))
    assert run.counts == {"missing": 1, "late": 1}


def test_each_request_has_a_time_out_of_its_own() -> None:
    run = Run()
    run.send(0)
    run.lane.send([Request(1, b"Request 1", 9.0, 9.0)])
    run.ledger.note_sent(1, 9.0)
    assert run.lane.oldest_sent_at == 0.0
    run.lane.time_out(10.0, LIMIT, "no reply came for 10 s")
    assert run.fates == {0: "missing"}
    assert run.lane.oldest_sent_at == 9.0
    run.receive(right(1))
    assert run.counts == {"missing": 1, "verified": 1}


def test_a_message_that_begins_with_a_request_in_flight_is_its_wrong_reply() -> None:
    run = Run()
    run.send(1, 12)
    run.receive(b"Request 12: 101")
    assert run.fates == {12: "wrong"}
    run.receive(b"Request 1")
    assert run.fates == {12: "wrong", 1: "wrong"}
    assert run.counts == {"wrong": 2}


def test_a_number_that_goes_on_is_another_number() -> None:
    run = Run()
    run.send(5, 6, 7, 8, 9)
    run.receive(b"Request 99999: 7", right(6))
    assert run.fates[5] == "wrong"
    assert 9 not in run.fates


def test_an_empty_request_is_not_the_beginning_of_everything() -> None:
    run = Run(expectation("echo", binary=False))
    run.ledger.note_sent(1, 0.0)
    run.lane.send([Request(0, b"", 0.0, 0.0)])
    run.receive(b"news")
    run.receive(b"")
    assert run.counts == {"verified": 1, "unsolicited": 1}


def test_a_message_in_a_gap_is_the_wrong_reply_that_is_lacking_there() -> None:
    run = Run()
    run.send(0, 1, 2, 3)
    run.receive(right(0), b"noise", right(2), right(3))
    assert run.counts == {"verified": 3, "wrong": 1}
    assert run.fates[1] == "wrong"


def test_of_two_messages_in_a_gap_of_one_the_second_is_unsolicited() -> None:
    run = Run()
    run.send(0, 1, 2)
    run.receive(right(0), b"noise", b"more noise", right(2))
    assert run.counts == {"verified": 2, "wrong": 1, "unsolicited": 1}


def test_a_message_between_right_replies_is_unsolicited() -> None:
    run = Run()
    run.send(0, 1, 2)
    run.receive(right(0), b"news")
    assert run.counts == {"verified": 1}, "it may yet turn out to stand in a gap"
    run.receive(right(1), right(2))
    assert run.counts == {"verified": 3, "unsolicited": 1}
    assert "news: a message that nobody asked for" in run.errors


def test_pushes_between_slow_replies_settle_nothing() -> None:
    run = Run(expectation("echo", binary=False))
    for number in range(10):
        run.send(number)
        run.receive(b"tick", b"tick")
        run.receive(b"Request %d" % number)
    assert run.counts == {"verified": 10, "unsolicited": 20}


def test_the_one_message_left_when_a_request_times_out_is_its_wrong_reply() -> None:
    run = Run()
    run.send(0, 1)
    run.receive(b"noise")
    run.lane.time_out(20.0, LIMIT, "no reply came for 10 s")
    assert run.fates == {0: "wrong", 1: "missing"}
    run.send(2, 3)
    run.receive(right(3), b"noise")
    run.lane.time_out_overtaken(30.0, LIMIT, at_end=True)
    assert run.fates[2] == "wrong"


def test_a_message_that_may_stand_in_a_later_gap_is_no_reply_to_an_overtaken_request() -> None:
    run = Run()
    run.send(0, 1, 2)
    run.receive(right(1), b"news")
    run.lane.time_out_overtaken(20.0, LIMIT, at_end=True)
    assert run.fates == {0: "missing", 1: "verified"}
    run.receive(right(2))
    assert run.counts == {"verified": 2, "missing": 1, "unsolicited": 1}


def test_a_message_is_no_reply_to_an_overtaken_request_while_more_is_to_be_sent() -> None:
    run = Run()
    run.send(0, 1)
    run.receive(right(1), b"news")
    run.lane.time_out_overtaken(20.0, LIMIT, at_end=False)
    run.send(2)
    run.receive(right(2))
    assert run.counts == {"verified": 2, "missing": 1, "unsolicited": 1}


def test_a_message_left_is_the_reply_to_the_request_in_flight_before_one_overtaken() -> None:
    run = Run()
    run.send(0, 1, 2)
    run.receive(right(1), b"noise")
    run.lane.time_out_overtaken(20.0, LIMIT, at_end=True)
    run.lane.time_out(20.0, LIMIT, "no reply came for 10 s")
    assert run.fates == {0: "missing", 1: "verified", 2: "wrong"}


def test_a_message_that_came_before_a_request_was_sent_is_not_its_reply() -> None:
    run = Run()
    run.send(0, 1)
    run.receive(right(1), b"news")
    run.send(2, 3)
    run.receive(right(3))
    assert run.counts == {"verified": 2, "unsolicited": 1}
    run.receive(b"news")
    run.send(4)
    run.lane.time_out(20.0, LIMIT, "no reply came for 10 s")
    assert run.fates == {1: "verified", 3: "verified", 4: "missing"}


def test_of_several_messages_left_when_a_request_times_out_none_is_its_reply() -> None:
    run = Run()
    run.send(0)
    run.receive(b"tick", b"tick")
    run.lane.time_out(20.0, LIMIT, "no reply came for 10 s")
    assert run.counts == {"missing": 1, "unsolicited": 2}


def test_a_message_before_the_first_right_reply_is_called_a_greeting() -> None:
    run = Run()
    run.receive(b"Welcome")
    run.send(0)
    run.receive(b"How are you?", right(0), b"Goodbye")
    assert run.counts == {"verified": 1, "unsolicited": 3}
    assert "Welcome: a greeting: the server speaks first on each connection" in run.errors
    assert "Goodbye: a message that nobody asked for" in run.errors


def test_a_reply_on_another_connection_is_unsolicited_there() -> None:
    run = Run(connections=3)
    run.send(0, lane=run.lane)
    run.send(1, lane=run.others[0])
    run.others[1].receive([right(1)], 1.0)
    assert run.counts == {"unsolicited": 1}
    assert "Request 1: its reply strayed to connection 3, it was sent on 2" in run.errors
    run.others[0].receive([right(1)], 1.0)
    run.others[1].receive([right(1)], 1.0)
    assert run.counts == {"verified": 1, "unsolicited": 2}
    assert "Request 1: 7: a greeting" in run.errors, "it is not in flight anywhere any more"


def test_a_connection_that_sends_nothing_until_then_is_asked_too() -> None:
    run = Run(connections=3)
    run.send(0, lane=run.lane)
    run.others[0].receive([right(0)], 1.0)
    run.send(1, lane=run.others[1])
    run.others[0].receive([right(1)], 1.0)
    assert "Request 1: its reply strayed to connection 2, it was sent on 3" in run.errors


def test_a_message_of_the_other_kind_is_wrong_whatever_it_says() -> None:
    run = Run()
    run.send(0, 1)
    run.receive(OtherKind(right(0)), right(1))
    assert run.counts == {"verified": 1, "wrong": 1}
    assert "expected text, got a binary message" in run.errors


def test_what_was_in_flight_on_a_connection_that_died_goes_back() -> None:
    run = Run()
    run.send(0, 1, 2, 3)
    run.receive(right(1), b"noise")
    lost = run.lane.handle_lost(2.0, "the connection was lost")
    assert [request.number for request in lost] == [2, 3]
    # What was overtaken is known to be lost; the noise took the place of nothing.
    assert run.counts == {"verified": 1, "missing": 1, "unsolicited": 1}
    assert run.lane.is_empty
    assert not list(run.lanes)


def test_the_end_of_a_run_is_no_fault_of_what_is_in_flight() -> None:
    run = Run()
    run.send(0, 1)
    run.lane.give_up(2.0, None)
    assert run.counts == {"missing": 2}
    assert run.ledger.errors.count == 0


def test_equal_requests_are_answered_one_by_one() -> None:
    run = Run(expectation("echo", binary=False))
    run.ledger.note_sent(3, 0.0)
    run.lane.send([Request(number, b"same", 0.0, 0.0) for number in range(3)])
    run.receive(b"same", b"noise", b"same", b"same", b"same")
    assert run.counts == {"verified": 3, "duplicate": 1, "unsolicited": 1}


def test_without_a_key_each_message_belongs_to_the_oldest_request() -> None:
    run = Run(expectation("any", binary=False))
    run.send(0, 1, 2)
    run.receive(b"one", b"tw\xff", b"three", b"four")
    assert run.fates == {0: "verified", 1: "wrong", 2: "verified"}
    assert run.counts == {"verified": 2, "wrong": 1, "unsolicited": 1}


def test_only_so_many_messages_are_held() -> None:
    run = Run(held=3)
    run.send(0)
    run.receive(*[b"tick"] * 10)
    assert run.counts == {"unsolicited": 7}
    run.receive(b"x" * HELD_BYTES)
    assert run.counts == {"unsolicited": 10}
    run.receive(right(0))
    assert run.counts == {"verified": 1, "unsolicited": 11}


def test_a_lane_knows_how_many_requests_have_been_sent_before() -> None:
    run = Run()
    run.send(0, 1, attempt=2)
    run.send(2)
    assert run.lane.resent == 2
    run.receive(right(0))
    assert run.lane.resent == 1
    run.receive(b"Request 1: 0", right(2))
    assert run.lane.resent == 0


def test_a_push_is_named_even_if_it_could_be_a_reply() -> None:
    pushing = replace(expectation("echo", binary=False), is_push=lambda message: message == b"news")
    run = Run(pushing)
    run.send(0, 1)
    run.receive(b"news", b"Request 0", b"news", b"Request 1")
    assert run.counts == {"verified": 2, "pushes": 2}


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 5)),
        st.tuples(st.just("answer"), st.integers(1, 6)),
        st.tuples(st.just("wrong"), st.integers(0, 5)),
        st.tuples(st.just("repeat"), st.integers(0, 9)),
        st.tuples(st.just("lose"), st.integers(0, 5)),
        st.tuples(st.just("swap"), st.integers(0, 5)),
        st.tuples(st.just("push"), st.integers(1, 3)),
        st.tuples(st.just("die"), st.just(0)),
        st.tuples(st.just("time out"), st.just(0)),
        st.tuples(st.just("overtaken time out"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(ACTIONS, st.sampled_from(["number", "echo"]), st.integers(1, 4))
def test_whatever_happens_the_ledger_balances_and_no_fault_goes_uncounted(
    actions: list[tuple[str, int]], kind: Any, memory: int
) -> None:
    """A server with books of its own; each message goes out by itself or with others."""
    run = Run(expectation(kind, binary=False), memory=memory * 10)
    ending = b": 7" if kind == "number" else b""
    owed: list[int] = []
    replied: list[int] = []
    outgoing: list[bytes] = []
    sent = received = faults = again = 0

    def flush() -> None:
        nonlocal received
        if outgoing:
            run.receive(*outgoing)
            received += len(outgoing)
            outgoing.clear()

    def of(number: int) -> bytes:
        return b"Request %d" % number + ending

    for action, amount in actions:
        match action:
            case "send":
                flush()
                run.send(*range(sent, sent + amount))
                owed += range(sent, sent + amount)
                sent += amount
            case "answer":
                outgoing += map(of, owed[:amount])
                replied += owed[:amount]
                del owed[:amount]
            case "wrong" if owed:
                outgoing.append(of(owed.pop(amount % len(owed))) + b"!")
                faults += 1
            case "repeat" if replied:
                outgoing.append(of(replied[-1 - amount % len(replied)]))
                faults += 1
            case "lose" if owed:
                owed.pop(amount % len(owed))
                faults += 1
            case "swap" if len(owed) > 1:
                place = amount % (len(owed) - 1)
                owed[place : place + 2] = reversed(owed[place : place + 2])
                faults += 1
            case "push":
                outgoing += [b"news"] * amount
                faults += amount
            case "die":
                flush()
                lost = run.lane.handle_lost(5.0, "the connection was lost")
                run.lane = Lane(run.lanes, run.lane.number + 1)
                again += len(lost)
                if lost:
                    run.lane.send([structs.replace(request, attempt=2) for request in lost])
                owed, replied = [request.number for request in lost], []
            case "time out":
                flush()
                faults += bool(run.lane.in_flight)
                run.lane.time_out(6.0, 0.0, "no reply came for 10 s")
            case "overtaken time out":
                flush()
                run.lane.time_out_overtaken(20.0, LIMIT, at_end=True)
    flush()
    faults += bool(owed)
    run.lane.give_up(30.0, "the run is over")
    ledger = run.ledger
    assert run.lane.is_empty
    assert run.lane.resent == 0
    # Requests by fate, and messages by name.
    assert ledger.verified + ledger.wrong + ledger.missing == sent == len(run.fates)
    others = sum(ledger.messages.values()) - ledger.messages["out_of_order"]
    assert ledger.verified + ledger.wrong + others == received
    assert len(run.verified) == ledger.verified
    # No fault goes uncounted, and a clean path raises none.
    assert bool(ledger.errors.count) == bool(faults)


@pytest.mark.parametrize("kind", ["number", "echo"])
def test_a_look_up_costs_the_same_with_10_000_in_flight(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in steps rather than in time: hashing and comparing payloads is what would grow."""
    steps: Callable[[int], int] = lambda count: _steps(kind, count)  # noqa: E731
    assert steps(10_000) < 3 * steps(100)


def _steps(kind: Any, count: int) -> int:
    import sys

    run = Run(expectation(kind, binary=False), memory=65_536)
    run.send(*range(10_000, 10_000 + count))
    run.receive(b"news")  # from here on by key
    lines = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for number in range(10_000, 10_050):
            run.receive(b"news", b"Request %d" % number + (b": 7" if kind == "number" else b""))
    finally:
        sys.settrace(before)
    return lines
