"""The verdict on a run, by its definitions."""

from collections import Counter

import pytest

from cli_client.ledger.result import CloseKey, HandshakeKey, Result
from cli_client.ledger.verdict import equations, judge

OURS = CloseKey("client", 1000, "", "it was closed in order", ended_by_us=True)
LOST = CloseKey("network", 1006, "", "reset by the peer", ended_by_us=False)
DRAINED = CloseKey("server", 1001, "", "the server closed the connection", ended_by_us=False)
OPENED = HandshakeKey("opened")
REFUSED = HandshakeKey("failed", "handshake", "HTTP 503")


def clean(count: int = 10) -> Result:
    return Result(
        fates=Counter(requests=count, verified=count),
        messages=Counter(received=count),
        opened=1,
        handshakes=Counter({OPENED: 1}),
        closes=Counter({OURS: 1}),
    )


def test_a_clean_run_passes() -> None:
    assert judge(clean(), checks_hold=True, strict=True) == ("pass", [])


@pytest.mark.parametrize(
    ("fate", "reason"),
    [("wrong", "1 wrong"), ("missing", "1 missing"), ("never_sent", "1 never sent")],
)
def test_a_request_not_verified_fails(fate: str, reason: str) -> None:
    result = clean()
    result.fates["verified"] -= 1
    result.fates[fate] += 1
    result.messages["received"] -= fate != "wrong"
    assert judge(result, checks_hold=True, strict=False) == ("fail", [reason])


@pytest.mark.parametrize("kind", ["duplicate", "late", "unsolicited"])
def test_a_message_beside_the_replies_fails(kind: str) -> None:
    result = clean()
    result.messages += Counter({kind: 2, "received": 2})
    assert judge(result, checks_hold=True, strict=False) == ("fail", [f"2 {kind}"])


@pytest.mark.parametrize("kind", ["parts", "pushes", "greetings", "hello_replies"])
def test_a_message_that_belongs_there_passes(kind: str) -> None:
    result = clean()
    result.messages += Counter({kind: 2, "received": 2})
    assert judge(result, checks_hold=True, strict=False).name == "pass"


def test_out_of_order_fails_where_the_order_is_kept() -> None:
    result = clean()
    result.messages["out_of_order"] = 1
    assert judge(result, checks_hold=True, strict=False) == ("fail", ["1 out of order"])
    result.ordered = False
    assert judge(result, checks_hold=True, strict=False).name == "pass"


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        ("breaches", "1 breach of the protocol"),
        ("connections_given_up", "1 connection given up for good"),
    ],
)
def test_what_cannot_be_mended_fails(attempt: str, reason: str) -> None:
    result = clean()
    result.attempts[attempt] = 1
    assert judge(result, checks_hold=True, strict=False) == ("fail", [reason])


def test_a_check_that_does_not_hold_fails() -> None:
    assert judge(clean(), checks_hold=False, strict=False).name == "fail"


def test_an_error_that_nothing_else_counts_fails() -> None:
    result = clean()
    result.errors.note("source", "line 3 is not valid UTF-8")
    assert judge(result, checks_hold=True, strict=False) == ("fail", ["1 error"])


@pytest.mark.parametrize("side", ["requests", "received"])
def test_an_equation_that_does_not_balance_fails(side: str) -> None:
    result = clean()
    (result.fates if side == "requests" else result.messages)[side] += 1
    assert [equation.name for equation in equations(result) if not equation.holds] == [side]
    verdict = judge(result, checks_hold=True, strict=False)
    assert verdict == ("fail", [f"the ledger does not balance: {side}"])


def recovered() -> list[tuple[Result, str]]:
    refused, lost, drained, resent, unanswered = results = [clean() for _ in range(5)]
    refused.handshakes[REFUSED] = 2
    lost.closes[LOST] = 1
    drained.closes[DRAINED] = 1
    resent.attempts["resent"] = 1
    unanswered.attempts["unanswered_closes"] = 1
    reasons = [
        *("2 handshakes failed", "1 connection lost", "1 connection lost"),
        *("1 request sent again", "1 Close not answered"),
    ]
    return list(zip(results, reasons, strict=True))


@pytest.mark.parametrize(("result", "reason"), recovered())
def test_what_was_mended_is_recovered(result: Result, reason: str) -> None:
    assert judge(result, checks_hold=True, strict=False) == ("recovered", [reason])
    assert judge(result, checks_hold=True, strict=True) == ("fail", [reason])


def test_an_interrupt_has_a_verdict_of_its_own() -> None:
    result = clean()
    result.interrupted = True
    result.fates += Counter(requests=5, never_sent=5)
    assert judge(result, checks_hold=True, strict=True) == ("interrupted", [])
    result.messages += Counter(duplicate=1, received=1)
    assert judge(result, checks_hold=True, strict=True) == ("interrupted", ["1 duplicate"])


def test_a_share_that_is_lost_fails() -> None:
    result = clean()
    result.missing_shares.append("share 2 of 2: its process was killed")
    assert judge(result, checks_hold=True, strict=False).name == "fail"
