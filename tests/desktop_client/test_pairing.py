"""Which reply belongs to which request."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_client.pairing import Check, Kind, Message, Pairing, one_line, size_of


def waiting_for(check: Check, *requests: Message) -> Pairing:
    pairing = Pairing(check)
    for request in requests:
        pairing.add(request, 1.0)
    return pairing


@pytest.mark.parametrize(
    ("check", "message", "number"),
    [
        (Check.NUMBER, "one: 7", 7),
        (Check.ECHO, "one", None),
        (Check.NUMBER, "one: 100", 100),
    ],
)
def test_a_right_reply_ends_the_waiting_of_its_request(
    check: Check, message: Message, number: int | None
) -> None:
    pairing = waiting_for(check, "two", "one")
    arrival = pairing.receive(message, 3.5)
    assert arrival.kind is Kind.REPLY
    assert arrival.waiting is not None
    assert (arrival.waiting.request, arrival.number) == ("one", number)
    assert arrival.round_trip == 2.5
    assert len(pairing) == 1


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (Check.NUMBER, "two: 7"),
        (Check.NUMBER, "one: 0"),
        (Check.NUMBER, "one"),
        (Check.NUMBER, b"one: 7"),
        (Check.NUMBER, ""),
        (Check.ECHO, "one: 7"),
        (Check.ECHO, b"one"),
        (Check.ECHO, "One"),
    ],
)
def test_another_message_is_unexpected_and_the_request_waits_on(
    check: Check, message: Message
) -> None:
    pairing = waiting_for(check, "one")
    arrival = pairing.receive(message, 2.0)
    assert arrival.kind is Kind.UNEXPECTED
    assert "“one”" in arrival.why
    assert len(pairing) == 1


def test_a_binary_request_has_a_binary_reply() -> None:
    pairing = waiting_for(Check.NUMBER, b"\xff", "x")
    assert pairing.receive(b"\xff: 9", 2.0).number == 9
    assert pairing.receive(b"x: 9", 2.0).kind is Kind.UNEXPECTED
    assert "ff: N" in waiting_for(Check.NUMBER, b"\xff").receive("no", 2.0).why


def test_a_message_without_a_waiting_request_is_unsolicited() -> None:
    pairing = waiting_for(Check.NUMBER, "one")
    assert pairing.receive("one: 7", 2.0).kind is Kind.REPLY
    assert pairing.receive("one: 7", 2.0).kind is Kind.UNSOLICITED


def test_of_equal_requests_the_oldest_has_the_reply() -> None:
    pairing = Pairing(Check.ECHO)
    first, second = pairing.add("x", 1.0), pairing.add("x", 2.0)
    assert pairing.receive("x", 3.0).waiting is first
    assert pairing.oldest is second


def test_a_request_that_was_given_up_has_no_reply() -> None:
    pairing = Pairing(Check.ECHO)
    first = pairing.add("x", 1.0)
    assert first is not None
    pairing.give_up(first)
    pairing.give_up(first)
    assert first not in pairing
    assert pairing.receive("x", 3.0).kind is Kind.UNSOLICITED


def test_without_checking_nothing_waits() -> None:
    pairing = waiting_for(Check.NUMBER, "one")
    pairing.check = Check.OFF
    assert pairing.add("two", 1.0) is None
    assert len(pairing) == 0
    assert pairing.receive("one: 7", 2.0).kind is Kind.MESSAGE


def test_another_check_keeps_the_waiting_requests() -> None:
    pairing = waiting_for(Check.NUMBER, "one")
    pairing.check = Check.ECHO
    assert pairing.receive("one", 2.0).kind is Kind.REPLY


@given(st.lists(st.sampled_from(["a", "b", "a: 1", b"a"])), st.randoms())
def test_in_whatever_order_replies_come_each_request_has_its_own(
    requests: list[Message], random: object
) -> None:
    pairing = waiting_for(Check.NUMBER, *requests)
    replies = [
        request + b": 5" if isinstance(request, bytes) else f"{request}: 5" for request in requests
    ]
    random.shuffle(replies)  # type: ignore[attr-defined]
    answered: Counter[Message] = Counter()
    for reply in replies:
        arrival = pairing.receive(reply, 2.0)
        assert arrival.kind is Kind.REPLY
        assert arrival.waiting is not None
        answered[arrival.waiting.request] += 1
    assert answered == Counter(requests)
    assert len(pairing) == 0


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("plain", "plain"),
        ("a\nb\r\nc\td\x00\x7f", "a⏎b⏎c⇥d␀␡"),
        ("x" * 30, "xxxxxxxxxx … xxxxxxxxxx"),
        (b"\x00\xff", "00 ff"),
        (bytes(30), "00 00 00 … 00 00 00"),
    ],
)
def test_a_message_fits_a_line(message: Message, line: str) -> None:
    assert one_line(message, 20) == line


@given(st.text(), st.integers(6, 80))
def test_no_text_breaks_the_line(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit + 3
    assert len(line.splitlines()) <= 1 or "\x85" in line or "\x1c" in text


@pytest.mark.parametrize(("message", "size"), [("a", 1), ("ü", 2), ("🎲", 4), (b"abc", 3)])
def test_the_size_of_a_message_is_that_of_its_payload(message: Message, size: int) -> None:
    assert size_of(message) == size
