"""The Autobahn test cases, the field's standard for conformance to RFC 6455 and RFC 7692.

They want an echo, so the server runs with ``--reply echo``; all else is the path of every request.
"""

import asyncio
from collections import Counter

import kosoku
import pytest
from kosoku import FailureError

from tests.server.running import running

LARGE = (6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 17, 18)
BIG = [f"{group}.*.{number}" for group in (12, 13) for number in LARGE]
"""1000 compressed messages of 8 to 128 KiB each: they take minutes, and differ from the others of
their kind in size alone."""

UNCOMPRESSED = [f"{group}.*" for group in range(1, 11)]
"""No client in these offers compression."""


async def run_cases(url: str, left_out: list[str]) -> "list[kosoku._kosoku.CaseResult]":
    """Run all cases but these, and return their results, whatever they are."""
    try:
        return await kosoku.run_fuzzingclient(url, exclude_cases=left_out, concurrency=4)
    except FailureError as error:
        return error.results


# The cases leave their data files to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize(
    ("options", "left_out", "expected"),
    [
        ([], ["12.*", "13.*"], 301),
        (["--compress"], [*UNCOMPRESSED, *BIG], 72),
    ],
    ids=["plain", "compressed"],
)
def test_autobahn_cases(options: list[str], left_out: list[str], expected: int) -> None:
    """No case fails, with compression on and off."""
    with running("--reply", "echo", "--max-message-size", "16M", *options) as server:
        results = asyncio.run(run_cases(server.url, left_out))
    verdicts = Counter(result.behavior.value for result in results)
    print(f"{len(results)} cases: {dict(verdicts)}")
    failures = {
        result.case_id: (result.behavior.value, result.result, result.result_close)
        for result in results
        if not result.passed
    }
    assert len(results) == expected
    assert not failures
