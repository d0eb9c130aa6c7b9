"""The runs that have a name: in virtual time, each gets the verdict that is due to it."""

import pytest

from cli_client.ledger.verdict import judge
from tests.simulation.cases import CASES, Case
from tests.simulation.simulating import simulate


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_report_agrees_with_the_servers_books(case: Case) -> None:
    outcome = simulate(case.scenario)
    assert outcome.problems == []
    assert outcome.result is not None
    verdict = judge(outcome.result, True, False)
    assert (verdict.name, verdict.reasons) == (case.verdict, verdict.reasons)
