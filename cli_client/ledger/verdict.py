"""The verdict on a run, and the two equations that must hold at the end of each.

* FAIL: a request wrong, missing or never sent; a message duplicate, late, unsolicited, or out of
  order; a breach of the protocol by the server; a connection given up for good; a check that does
  not hold; an equation that does not balance.
* RECOVERED: else, if a handshake failed, a connection ended that we did not end (whatever its
  code), anything was sent again, or our Close was not answered.
* PASS: nothing of all this.
* INTERRUPTED: the run was ended before its time by Ctrl-C or a signal.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from cli_client.ledger.figures import FATES, MESSAGES
from cli_client.ledger.result import Result

__all__ = ["Equation", "Verdict", "VerdictName", "equations", "judge"]

VerdictName = Literal["pass", "recovered", "fail", "interrupted"]


class Equation(NamedTuple):
    """Two sides that are counted in different places, and must be equal."""

    name: str
    total: int
    parts: dict[str, int]

    @property
    def holds(self) -> bool:
        """Whether the parts add up to the total."""
        return self.total == sum(self.parts.values())


class Verdict(NamedTuple):
    """The verdict, and why it is that."""

    name: VerdictName
    reasons: list[str]
    """What went wrong, each with how often: '2 missing'. None for PASS."""


def equations(result: Result) -> list[Equation]:
    """Return the two equations of a run: requests by fate, and messages received by name."""
    # A message that settles a request is counted as the fate of that.
    where = {name: result.fates if name in FATES else result.messages for name in MESSAGES}
    return [
        Equation("requests", result.fates["requests"], {n: result.fates[n] for n in FATES}),
        Equation("received", result.messages["received"], {n: c[n] for n, c in where.items()}),
    ]


def judge(result: Result, checks_hold: bool, strict: bool) -> Verdict:
    """Return the verdict on a run.

    Args:
        result: What came of the run.
        checks_hold: Whether all checks of the report hold.
        strict: Whether a run that recovered fails.
    """
    failures = [*_failures(result)]
    if not checks_hold:
        failures.append("a check does not hold")
    if result.errors.count and not failures:
        failures.append(_counted(result.errors.count, "error"))
    recoveries = [*_recoveries(result)]
    reasons = failures + recoveries
    if result.interrupted:
        return Verdict("interrupted", reasons)
    if failures or (strict and recoveries):
        return Verdict("fail", reasons)
    return Verdict("recovered" if recoveries else "pass", reasons)


def _failures(result: Result) -> Iterator[str]:
    fates, messages, attempts = result.fates, result.messages, result.attempts
    for name in ("wrong", "missing", "never_sent"):
        # What an interrupt kept from being sent or answered is not a fault.
        if fates[name] and not (result.interrupted and name != "wrong"):
            yield f"{fates[name]:,} {name.replace('_', ' ')}"
    for name in ("duplicate", "late", "unsolicited"):
        if messages[name]:
            yield f"{messages[name]:,} {name}"
    if messages["out_of_order"] and result.ordered:
        yield f"{messages['out_of_order']:,} out of order"
    if attempts["breaches"]:
        yield _counted(attempts["breaches"], "breach", "breaches") + " of the protocol"
    if attempts["connections_given_up"]:
        yield _counted(attempts["connections_given_up"], "connection") + " given up for good"
    yield from result.missing_shares
    for equation in equations(result):
        if not equation.holds:
            yield f"the ledger does not balance: {equation.name}"


def _recoveries(result: Result) -> Iterator[str]:
    attempts = result.attempts
    failed = sum(count for key, count in result.handshakes.items() if key.outcome == "failed")
    ended = sum(count for key, count in result.closes.items() if not key.ended_by_us)
    if failed:
        yield _counted(failed, "handshake") + " failed"
    if ended:
        yield _counted(ended, "connection") + " lost"
    if attempts["resent"]:
        yield _counted(attempts["resent"], "request") + " sent again"
    if attempts["unanswered_closes"]:
        yield _counted(attempts["unanswered_closes"], "Close", "Closes") + " not answered"


def _counted(count: int, noun: str, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
