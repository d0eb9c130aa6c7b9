"""The judge of the self-test: a report that says too little of a fault, or too much, fails."""

import copy

import pytest

from cli_client.faults.cases import CLEAN, FAULTS, Case
from cli_client.faults.judging import mismatches
from cli_client.faults.trial import Trial, background_loop, try_out

DUPLICATED = next(case for case in FAULTS if case.ledger == {"duplicate": 1})


@pytest.fixture(scope="module")
def clean(server_url: str) -> Trial:
    """A run over a path that is not broken."""
    with background_loop() as loop:
        return try_out(CLEAN, server_url, loop)


@pytest.fixture
def duplicated(server_url: str) -> Trial:
    """A run in which a reply was duplicated."""
    with background_loop() as loop:
        return try_out(DUPLICATED, server_url, loop)


def test_the_report_of_the_clean_run_matches_it(clean: Trial) -> None:
    assert mismatches(CLEAN, clean) == []


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_a_report_without_the_fault_does_not_match_it(case: Case, clean: Trial) -> None:
    assert mismatches(case, clean) != []


def test_a_report_with_a_fault_does_not_match_the_clean_run(duplicated: Trial) -> None:
    assert mismatches(DUPLICATED, duplicated) == []
    wrong = mismatches(CLEAN, duplicated)
    assert "the verdict should be pass" in wrong
    assert "0 duplicate should be counted" in wrong
    assert "it should not say 'Request 250: a duplicate reply'" in wrong


@pytest.mark.parametrize("name", ["wrong", "missing", "out_of_order", "unsolicited", "late"])
def test_a_fault_that_was_not_made_is_mismatches(duplicated: Trial, name: str) -> None:
    duplicated.report["ledger"][name] += 1
    assert mismatches(DUPLICATED, duplicated) == [f"0 {name.replace('_', ' ')} should be counted"]


def test_an_error_beside_the_one_that_is_due_is_mismatches(duplicated: Trial) -> None:
    duplicated.report["errors"].append({"message": "the moon is full", "count": 1})
    assert mismatches(DUPLICATED, duplicated) == ["it should not say 'the moon is full'"]


def test_another_error_in_place_of_the_one_that_is_due_is_mismatches(duplicated: Trial) -> None:
    duplicated.report["errors"] = [{"message": "the moon is full", "count": 1}]
    assert mismatches(DUPLICATED, duplicated) == [
        "it should say 'Request 250: a duplicate reply'",
        "it should not say 'the moon is full'",
    ]


@pytest.mark.parametrize("name", ["reconnects", "in_flight_when_lost"])
def test_an_attempt_too_many_is_mismatches(clean: Trial, name: str) -> None:
    report = copy.deepcopy(clean.report)
    report["attempts"][name] += 1
    assert mismatches(CLEAN, Trial(report, clean.responses)) == [
        f"{name.replace('_', ' ')} should be 0"
    ]


def test_a_response_handed_over_twice_is_mismatches(clean: Trial) -> None:
    doubled = [*clean.responses[:-1], clean.responses[0]]
    assert mismatches(CLEAN, Trial(clean.report, doubled)) == [
        "500 are verified, but there are 500 responses to 499 requests"
    ]


def test_a_response_kept_back_is_mismatches(clean: Trial) -> None:
    assert mismatches(CLEAN, Trial(clean.report, clean.responses[1:])) == [
        "500 are verified, but there are 499 responses to 499 requests"
    ]
