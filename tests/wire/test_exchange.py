"""The contract of the exchange, held to the same table of cases as the page's JavaScript."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.exchange import HIGHEST, LOWEST, WrongReplyError, check_reply, make_reply

CASES = json.loads((Path(__file__).parent.parent / "contract.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_a_reply_is_right_exactly_when_the_table_says_so(case: dict[str, str | int | None]) -> None:
    request, reply = str(case["request"]).encode(), str(case["reply"]).encode()
    if case["number"] is None:
        with pytest.raises(WrongReplyError):
            check_reply(request, reply)
    else:
        assert check_reply(request, reply) == case["number"]


@given(st.binary())
def test_every_reply_that_is_made_is_right(request: bytes) -> None:
    assert LOWEST <= check_reply(request, make_reply(request)) <= HIGHEST


@given(st.binary(), st.binary())
def test_a_checked_reply_is_the_request_and_the_number(request: bytes, reply: bytes) -> None:
    try:
        number = check_reply(request, reply)
    except WrongReplyError:
        return
    assert reply == request + f": {number}".encode()


def test_each_number_is_as_likely_as_another() -> None:
    draws = 100_000
    counts = Counter(check_reply(b"", make_reply(b"")) for _ in range(draws))
    expected = draws / HIGHEST
    chi_squared = sum((count - expected) ** 2 / expected for count in counts.values())
    assert counts.keys() == set(range(LOWEST, HIGHEST + 1))
    # 99 degrees of freedom: a fair generator passes 220 less than once in 10^10 runs.
    assert chi_squared < 220


def test_a_complaint_about_a_long_reply_fits_a_line() -> None:
    with pytest.raises(WrongReplyError) as caught:
        check_reply(b"Request 1", b"x" * 1_000_000)
    assert len(str(caught.value)) < 200
