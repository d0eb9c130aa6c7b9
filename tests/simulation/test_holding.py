"""What is held against the books: a report that differs from them in one thing is found out."""

import copy
from collections.abc import Callable

import pytest

from cli_client.ledger.latency import Latencies
from cli_client.ledger.result import CloseKey, HandshakeKey
from cli_client.settings import Settings
from tests.simulation.drawing import Scenario
from tests.simulation.server import Plan
from tests.simulation.simulating import Outcome, simulate

ROUGH = Scenario(
    Settings(messages=60, connections=4, window=4, timeout=1.0),
    Plan(
        openings=(("http 503", 0.3),),
        ends=("close 1011",),
        end_after=(5, 15),
        most_ends=2,
        replies=(("drop", 0.05), ("twice", 0.05)),
        delay=(0.01, 0.02),
    ),
    seed=1,
)


def first(outcome: Outcome, fate: str) -> bytes:
    """Return the payload of a request that met this fate."""
    return next(payload for payload, given in outcome.fates.items() if given[0][0] == fate)


def a_loss_less(outcome: Outcome) -> None:
    assert outcome.result is not None
    outcome.result.fates["missing"] -= 1
    outcome.result.fates["verified"] += 1


def a_loss_less_in_both(outcome: Outcome) -> None:
    a_loss_less(outcome)
    outcome.fates[first(outcome, "missing")] = [("verified", 1.0)]


def a_loss_more(outcome: Outcome) -> None:
    assert outcome.result is not None
    outcome.result.fates["missing"] += 1
    outcome.result.fates["verified"] -= 1
    outcome.fates[first(outcome, "verified")] = [("missing", 1.0)]


def two_fates(outcome: Outcome) -> None:
    outcome.fates[first(outcome, "verified")].append(("missing", 1.0))


def no_fate(outcome: Outcome) -> None:
    del outcome.fates[first(outcome, "verified")]


def an_answer_less(outcome: Outcome) -> None:
    outcome.answers.pop()


def counts(where: str, name: object, difference: int) -> Callable[[Outcome], None]:
    def change(outcome: Outcome) -> None:
        getattr(outcome.result, where)[name] += difference

    change.__name__ = f"{where} {name} {difference:+}"
    return change


def no_failed_handshake(outcome: Outcome) -> None:
    assert outcome.result is not None
    for key in [*outcome.result.handshakes]:
        if key.outcome == "failed":
            del outcome.result.handshakes[key]


def another_close_code(outcome: Outcome) -> None:
    assert outcome.result is not None
    closes = outcome.result.closes
    key = next(key for key in closes if key.by == "server")
    closes[CloseKey("server", 1000, key.reason, key.words, False)] += 1
    closes[key] -= 1


def no_longest_latency(outcome: Outcome) -> None:
    assert outcome.result is not None
    outcome.result.latencies = Latencies()


def times(name: str, value: float) -> Callable[[Outcome], None]:
    def change(outcome: Outcome) -> None:
        setattr(outcome.result, name, value)

    change.__name__ = f"{name} {value}"
    return change


CHANGES = (
    *(a_loss_less, a_loss_less_in_both, a_loss_more, two_fates, no_fate, an_answer_less),
    counts("messages", "received", 1),
    counts("messages", "duplicate", -1),
    counts("messages", "unsolicited", 1),
    counts("messages", "out_of_order", 1),
    counts("attempts", "resent", 1),
    counts("attempts", "unanswered_closes", 1),
    counts("attempts", "breaches", 1),
    counts("handshakes", HandshakeKey("opened"), 1),
    counts("handshakes", HandshakeKey("unfinished"), 1),
    *(no_failed_handshake, another_close_code, no_longest_latency),
    *(times("elapsed", 30.0), times("outage_max", 30.0), times("silence_max", 0.0)),
)


@pytest.fixture(scope="module")
def rough() -> Outcome:
    return simulate(ROUGH)


def test_a_right_report_of_a_rough_run_has_no_difference(rough: Outcome) -> None:
    assert rough.problems == []


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_report_with_one_difference_is_found_out(
    rough: Outcome, change: Callable[[Outcome], None]
) -> None:
    changed = Outcome(rough.scenario, [], copy.deepcopy(rough.result), rough.account)
    changed.fates = {payload: [*given] for payload, given in rough.fates.items()}
    changed.answers = [*rough.answers]
    changed.lasted = rough.lasted
    change(changed)
    assert changed.differences() != []


def test_a_run_that_lasts_too_long_is_found_out(rough: Outcome) -> None:
    changed = Outcome(rough.scenario, [], rough.result, rough.account, rough.fates, rough.answers)
    changed.lasted = 100_000.0
    assert changed.differences() != []
