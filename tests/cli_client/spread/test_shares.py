"""What the shares of a run come to together, where they do not run side by side."""

from collections import Counter
from concurrent.futures import Future

import pytest

from cli_client.ledger.result import Result
from cli_client.settings import Settings
from cli_client.spread.shares import collect


@pytest.mark.parametrize(("late", "warned"), [(0.5, False), (3.0, True)])
def test_shares_that_begin_late_are_named(late: float, warned: bool) -> None:
    whole = collected(
        Result(fates=Counter(verified=7), started=100.0, elapsed=5.0),
        Result(fates=Counter(verified=8), started=100.0 + late, elapsed=5.0),
    )
    assert whole.fates["verified"] == 15
    assert whole.elapsed == 5.0 + late
    assert bool(whole.warnings) == warned
    assert all("the last began 3.0 s after the first" in text for text in whole.warnings)


def collected(*results: Result) -> Result:
    """Return the results of shares that have ended as one."""
    futures: list[Future[Result]] = []
    for result in results:
        futures.append(Future())
        futures[-1].set_result(result)
    return collect(Settings(), futures, lambda: iter(()), lambda standing: None, lambda: None)
