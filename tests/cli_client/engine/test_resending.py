"""What is sent again, in which company, and when it is given up."""

from cli_client.engine.resending import PATIENCE, Resending
from cli_client.ledger.expectation import expectation
from cli_client.ledger.lane import Lane
from cli_client.ledger.lanes import Lanes
from cli_client.ledger.ledger import Ledger, Request

LEDGER = Ledger(
    None, expectation("number", binary=False), paced=False, on_verified=lambda replies: None
)
LANE = Lane(Lanes(LEDGER, memory=8, held=8), 1)


def requests(*numbers: int, attempt: int = 1) -> list[Request]:
    return [Request(number, b"Request %d" % number, 0.0, 0.0, attempt) for number in numbers]


def numbers(taken: list[Request]) -> list[int]:
    return [request.number for request in taken]


def take(resending: Resending, amount: int, opened_at: float, now: float) -> list[Request]:
    return resending.take(LANE, amount, opened_at, now)


def test_what_was_lost_goes_out_on_a_connection_that_opened_since() -> None:
    resending = Resending(retries=3)
    assert resending.add(requests(1, 2, 3), 1006, now=5.0) == []
    assert len(resending) == 3
    assert take(resending, 8, opened_at=1.0, now=5.1) == []
    taken = take(resending, 2, opened_at=5.2, now=5.3)
    assert numbers(taken) == [1, 2]
    assert {(request.attempt, request.sent_at) for request in taken} == {(2, 5.3)}
    assert numbers(resending.clear()) == [3]
    assert not resending


def test_where_no_connection_opens_an_old_one_serves_after_a_while() -> None:
    resending = Resending(retries=3)
    resending.add(requests(1), 1006, now=5.0)
    assert numbers(take(resending, 1, opened_at=1.0, now=5.0 + PATIENCE)) == [1]


def test_a_request_is_given_up_after_more_deaths_than_retries() -> None:
    resending = Resending(retries=1)
    assert resending.add(requests(1), 1006, now=0.0) == []
    assert numbers(resending.add(requests(1, attempt=2), 1006, now=1.0)) == [1]


def test_of_several_suspects_none_is_charged_with_the_death() -> None:
    resending = Resending(retries=1)
    resending.add(requests(1, 2), 1006, now=0.0)
    for now in range(1, 5):
        assert resending.add(requests(1, 2, attempt=2), 1006, now) == []
    assert numbers(resending.add(requests(1, attempt=2), 1006, now=6.0)) == [1]


def test_a_suspect_among_new_requests_is_charged() -> None:
    resending = Resending(retries=1)
    resending.add(requests(1), 1006, now=0.0)
    lost = requests(1, attempt=2) + requests(2, 3)
    assert numbers(resending.add(lost, 1006, now=1.0)) == [1]


def test_a_server_that_leaves_charges_nobody_unless_one_request_was_alone() -> None:
    resending = Resending(retries=1)
    for now in range(5):
        assert resending.add(requests(1, 2), 1001, now) == []
    resending.add(requests(1), 1001, now=6.0)
    assert numbers(resending.add(requests(1), 1001, now=7.0)) == [1]
