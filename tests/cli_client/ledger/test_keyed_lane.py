"""A keyed lane: which fate each request and which name each message gets."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from msgspec import structs

from cli_client.ledger.keyed_lane import KeyedLane
from cli_client.ledger.lanes import Lanes
from cli_client.ledger.ledger import Ledger, Request
from cli_client.ledger.service import keyed_expectation
from cli_client.settings import Settings


class Service:
    """A ledger and the lanes of some connections, with time that stands at what it is set to."""

    def __init__(self, connections: int = 1, memory: int = 65_536, **options: Any) -> None:
        self.settled: list[tuple[str, int]] = []
        expectation = keyed_expectation(Settings(id="/id", **options))
        self.ledger = Ledger(
            None,
            expectation,
            paced=False,
            on_verified=lambda replies: None,
            on_settled=lambda fate, _, request, *rest: self.settled.append((fate, request.number)),
        )
        self.lanes = Lanes(self.ledger, memory, held=64)
        self.lane, *self.others = [
            KeyedLane(self.lanes, number) for number in range(1, connections + 1)
        ]
        self.now = 0.0

    def send(self, *ids: Any, lane: KeyedLane | None = None, attempt: int = 1) -> None:
        requests = [
            Request(id_, b'{"id":%d}' % id_, self.now, self.now, attempt, id_) for id_ in ids
        ]
        self.ledger.note_sent(len(requests), self.now)
        (lane or self.lane).send(requests)

    def receive(self, *messages: Any, lane: KeyedLane | None = None) -> None:
        payloads = [
            message if isinstance(message, bytes) else json.dumps(message).encode()
            for message in messages
        ]
        (lane or self.lane).receive(payloads, self.now)

    @property
    def counts(self) -> dict[str, int]:
        ledger = self.ledger
        fates = Counter(verified=ledger.verified, wrong=ledger.wrong, missing=ledger.missing)
        return dict(+fates + +ledger.messages)

    @property
    def errors(self) -> str:
        return "\n".join(message for message, _ in self.ledger.errors.listed())


def test_replies_in_any_order_are_verified() -> None:
    service = Service()
    service.send(1, 2, 3)
    service.receive({"id": 3}, {"id": 1})
    service.receive({"id": 2})
    assert service.counts == {"verified": 3, "out_of_order": 2}
    assert service.lane.is_empty
    assert not service.ledger.errors.count


def test_the_order_is_a_fault_if_it_must_be_kept() -> None:
    service = Service(ordered=True)
    service.send(1, 2)
    service.receive({"id": 2}, {"id": 1})
    assert service.counts == {"verified": 2, "out_of_order": 1}
    assert "its reply came after that to a later one" in service.errors


def test_a_reply_that_breaks_a_rule_is_wrong() -> None:
    service = Service(require=("/result",))
    service.send(1)
    service.receive({"id": 1, "error": "no"})
    assert service.counts == {"wrong": 1}
    assert "the rule /result does not hold: there is nothing" in service.errors


def test_a_repeated_reply_is_a_duplicate() -> None:
    service = Service()
    service.send(1)
    service.receive({"id": 1}, {"id": 1})
    service.receive({"id": 1})
    assert service.counts == {"verified": 1, "duplicate": 2}


def test_the_repeat_of_a_wrong_reply_is_a_duplicate() -> None:
    service = Service(require=("/result",))
    service.send(1)
    service.receive({"id": 1}, {"id": 1, "result": 1})
    assert service.counts == {"wrong": 1, "duplicate": 1}


def test_the_repeat_of_an_answer_long_ago_is_unsolicited() -> None:
    service = Service(memory=3)
    service.send(1, 2, 3, 4)
    service.receive(*({"id": id_} for id_ in (1, 2, 3, 4)))
    service.receive({"id": 1}, {"id": 2})
    assert service.counts == {"verified": 4, "unsolicited": 1, "duplicate": 1}


def test_a_key_may_be_used_again_once_it_is_answered() -> None:
    service = Service()
    for _ in range(3):
        service.send(7)
        service.receive({"id": 7})
    assert service.counts == {"verified": 3}


def test_a_reply_after_its_time_is_late() -> None:
    service = Service()
    service.send(1)
    service.lane.time_out(10, 10, "no reply came for 10 s")
    service.receive({"id": 1})
    assert service.counts == {"missing": 1, "late": 1}


def test_each_request_has_a_time_out_of_its_own() -> None:
    service = Service()
    service.send(1)
    service.now = 9.0
    service.send(2)
    assert service.lane.oldest_sent_at == 0.0
    service.lane.time_out(10.0, 10.0, "no reply came for 10 s")
    assert service.lane.oldest_sent_at == 9.0
    service.receive({"id": 2})
    assert service.counts == {"missing": 1, "verified": 1}


def test_a_request_that_was_overtaken_long_ago_is_given_up() -> None:
    service = Service()
    service.send(1, 2)
    service.receive({"id": 2})
    service.send(3)
    service.lane.time_out_overtaken(9.0, 10.0, at_end=True)
    assert service.counts == {"verified": 1}
    service.lane.time_out_overtaken(11.0, 10.0, at_end=True)
    assert service.counts == {"verified": 1, "missing": 1}
    assert service.lane.in_flight == 1


def test_a_reply_on_another_connection_strayed() -> None:
    service = Service(connections=3)
    service.send(1, 2, lane=service.others[1])
    service.receive({"id": 1})
    assert service.counts == {"unsolicited": 1}
    assert "it strayed from connection 3 to connection 1" in service.errors
    # It still knows after more has been sent.
    service.send(3, lane=service.others[0])
    service.receive({"id": 3}, {"id": 2})
    assert service.counts == {"unsolicited": 3}
    assert "from connection 2" in service.errors
    service.receive({"id": 3}, lane=service.others[0])
    service.receive({"id": 3})
    assert service.counts == {"unsolicited": 4, "verified": 1}


def test_the_same_key_may_be_in_flight_on_two_connections() -> None:
    service = Service(connections=2)
    service.send(1)
    service.send(1, lane=service.others[0])
    service.receive({"id": 1})
    service.receive({"id": 1}, lane=service.others[0])
    assert service.counts == {"verified": 2}


@pytest.mark.parametrize("message", [{"event": 1}, {"id": 5, "event": 1}, {"id": None, "event": 1}])
def test_a_message_that_fits_a_rule_of_pushes_is_one(message: dict[str, Any]) -> None:
    service = Service(push=("/tick", "/event"))
    service.send(1)
    service.receive(message)
    assert service.counts == {"pushes": 1}
    assert not service.ledger.errors.count


def test_a_message_with_the_key_of_a_request_is_its_reply_and_no_push() -> None:
    service = Service(push=("/event",))
    service.send(1)
    service.receive({"id": 1, "event": 1}, {"id": 1, "event": 1})
    assert service.counts == {"verified": 1, "duplicate": 1}


def test_any_other_message_is_unsolicited() -> None:
    service = Service(push=("/event",))
    service.send(1)
    service.receive({"id": 9}, {"id": None}, {}, b"text", b"\xff")
    assert service.counts == {"unsolicited": 5}
    assert service.lane.in_flight == 1
    assert "(see --greeting)" in service.errors


def test_a_push_does_not_make_up_for_a_lost_reply() -> None:
    service = Service(push=("/event",))
    service.send(1, 2)
    service.receive({"id": 1}, {"event": 1})
    service.lane.give_up(1, "the run is over")
    assert service.counts == {"verified": 1, "pushes": 1, "missing": 1}


def test_an_answer_of_several_messages_has_parts() -> None:
    service = Service(final="/done", require=("!/error",))
    service.send(1, 2)
    service.receive({"id": 1}, {"id": 2}, {"id": 1}, {"id": 1, "done": 1})
    assert service.counts == {"verified": 1, "parts": 3}
    service.receive({"id": 2, "error": 1})
    assert service.counts == {"verified": 1, "parts": 3, "wrong": 1}
    service.receive({"id": 2, "done": 1}, {"id": 1})
    assert service.counts == {"verified": 1, "parts": 3, "wrong": 1, "duplicate": 2}


def test_what_is_in_flight_on_a_lost_connection_comes_back() -> None:
    service = Service(connections=2)
    service.send(1, 2, 3)
    service.receive({"id": 2})
    lost = service.lane.handle_lost(1, "it closed")
    assert [request.number for request in lost] == [1, 3]
    service.others[0].send([structs.replace(request, attempt=2) for request in lost])
    assert service.others[0].resent == 2
    service.receive({"id": 1}, {"id": 3}, lane=service.others[0])
    assert service.others[0].resent == 0
    assert service.counts == {"verified": 3}


def test_numbers_are_keys_by_their_value_and_texts_are_not() -> None:
    service = Service()
    service.send(1, 2)
    service.receive(b'{"id":1.0}', b'{"id":2e0}')
    assert service.counts == {"verified": 2}
    service.send(3)
    service.receive({"id": "3"}, {"id": True})
    assert service.counts == {"verified": 2, "unsolicited": 2}


class AnyTraffic(RuleBasedStateMachine):
    """Whatever a service does, the books that are kept here and the ledger agree."""

    requests = Bundle("requests")

    @initialize()
    def begin(self) -> None:
        self.service = Service(connections=2, push=("/event",), require=("!/error",))
        self.lanes = [self.service.lane, *self.service.others]
        self.where: dict[int, KeyedLane] = {}
        self.answered: dict[int, KeyedLane] = {}
        self.given_up: dict[int, KeyedLane] = {}
        self.expected: Counter[str] = Counter()
        self.received = 0
        self.next = 0

    @rule(target=requests, on=st.integers(0, 1))
    def send(self, on: int) -> int:
        self.next += 1
        self.service.send(self.next, lane=self.lanes[on])
        self.where[self.next] = self.lanes[on]
        return self.next

    @rule(request=requests, on=st.integers(0, 1), wrong=st.booleans())
    def reply(self, request: int, on: int, wrong: bool) -> None:
        lane = self.lanes[on]
        if self.where.get(request) is lane:
            del self.where[request]
            self.answered[request] = lane
            self.expected["wrong" if wrong else "verified"] += 1
        elif self.answered.get(request) is lane:
            self.expected["duplicate"] += 1
        elif self.given_up.get(request) is lane:
            self.expected["late"] += 1
        else:
            self.expected["unsolicited"] += 1
        self.receive({"id": request, "error": 1} if wrong else {"id": request}, lane)

    @rule(on=st.integers(0, 1), fits=st.booleans(), key=st.none() | st.just(-1))
    def push(self, on: int, fits: bool, key: int | None) -> None:
        self.expected["pushes" if fits else "unsolicited"] += 1
        self.receive({"id": key, "event" if fits else "tick": 1}, self.lanes[on])

    @rule(on=st.integers(0, 1))
    def time_out(self, on: int) -> None:
        self.lanes[on].time_out(1, 0, "no reply")
        for request in [one for one, lane in self.where.items() if lane is self.lanes[on]]:
            self.given_up[request] = self.where.pop(request)
            self.expected["missing"] += 1

    @rule(on=st.integers(0, 1))
    def die(self, on: int) -> None:
        """The connection dies; a new one takes its place and what was in flight."""
        dead = self.lanes[on]
        lost = dead.handle_lost(1, "it died")
        self.lanes[on] = KeyedLane(self.service.lanes, dead.number + 2)
        assert sorted(request.number for request in lost) == sorted(
            one for one, lane in self.where.items() if lane is dead
        )
        if lost:
            self.lanes[on].send([structs.replace(one, attempt=one.attempt + 1) for one in lost])
        self.where.update({request.number: self.lanes[on] for request in lost})

    def receive(self, message: dict[str, Any], lane: KeyedLane) -> None:
        self.received += 1
        self.service.receive(message, lane=lane)

    @invariant()
    def books_agree(self) -> None:
        counts = {kind: n for kind, n in self.service.counts.items() if kind != "out_of_order"}
        assert counts == dict(self.expected)
        assert sum(lane.in_flight for lane in self.lanes) == len(self.where)
        names = ("verified", "wrong", "duplicate", "late", "unsolicited", "pushes")
        assert sum(counts.get(name, 0) for name in names) == self.received
        faults = sum(counts.get(name, 0) for name in (*names[1:5], "missing"))
        assert self.service.ledger.errors.count == faults


AnyTraffic.TestCase.settings = settings(max_examples=60, deadline=None)
TestAnyTraffic = AnyTraffic.TestCase


@given(st.permutations(range(200)))
def test_a_sound_service_raises_no_fault_in_whatever_order(order: list[int]) -> None:
    service = Service()
    service.send(*range(200))
    service.receive(*({"id": id_} for id_ in order))
    assert service.ledger.verified == 200
    assert not service.ledger.errors.count
