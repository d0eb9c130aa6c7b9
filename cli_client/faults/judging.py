"""The judge of the self-test: whether a report says all that the fault calls for, and no more."""

from collections.abc import Iterator

import wire.exchange
from cli_client.faults import service
from cli_client.faults.cases import SOME, Case
from cli_client.faults.trial import Trial
from cli_client.ledger.figures import ATTEMPTS, FAULTS
from cli_client.reports.schema import Report
from cli_client.reports.wording import close_line, failure_line

__all__ = ["mismatches", "relevant"]


def mismatches(case: Case, trial: Trial) -> list[str]:
    """Return in words what the sender should have reported differently; nothing if it is right."""
    return [
        *_of_counts(case, trial.report),
        *_of_words(case, trial.report),
        *_of_answers(case, trial),
    ]


def relevant(case: Case, report: Report) -> list[str]:
    """Return the errors of a report, and those of its other texts that are about the fault."""
    errors = [error["message"] for error in report["errors"]]
    others = [
        *report["warnings"],
        *map(close_line, report["connections"]["closes"]),
        *map(failure_line, report["handshakes"]["failures"]),
    ]
    return errors + [text for text in others if _is_called_for(case, text)]


def _is_called_for(case: Case, text: str) -> bool:
    return any(words in text for words in case.says)


def _of_counts(case: Case, report: Report) -> Iterator[str]:
    attempts = report["attempts"]
    if report["verdict"] != case.verdict:
        yield f"the verdict should be {case.verdict}"
    for name in FAULTS:
        due = case.ledger.get(name, 0)
        counted = report["ledger"][name]
        if due is SOME and not counted:
            yield f"{name.replace('_', ' ')} should be above 0"
        elif due is not SOME and counted != due:
            yield f"{due} {name.replace('_', ' ')} should be counted"
    for event, count in _happened(report).items():
        if bool(count) != (event in case.attempts):
            yield f"{event.replace('_', ' ')} should be {'' if count else 'above '}0"
    if attempts["resent"] not in (0, attempts["in_flight_when_lost"]):
        yield "all requests in flight should be sent again, and nothing else"
    if case.slowest_ms > (report["latency_ms"] or {"max": 0.0})["max"]:
        yield f"the longest latency should be {case.slowest_ms:g} ms or more"


def _happened(report: Report) -> dict[str, int]:
    """Return the counts of what happened to connections and handshakes."""
    attempts, connections = report["attempts"], report["connections"]
    return {
        **{name: attempts[name] for name in ATTEMPTS},
        "given_up": connections["given_up"],
        "unanswered_closes": connections["unanswered_closes"],
        "breaches": connections["breaches"],
        "failed_handshakes": report["handshakes"]["failed"],
    }


def _of_words(case: Case, report: Report) -> Iterator[str]:
    found = relevant(case, report)
    for words in case.says:
        if not any(words in text for text in found):
            yield f"it should say '{words}'"
    for text in found:
        if not _is_called_for(case, text):
            yield f"it should not say '{text}'"


def _of_answers(case: Case, trial: Trial) -> Iterator[str]:
    """Compare the ledger with the responses: each verified request has one, and no other has."""
    request_of = wire.exchange.request_of if case.service is None else service.request_of
    answered = {request_of(response) for response in trial.responses}
    verified = trial.report["ledger"]["verified"]
    if not len(answered) == len(trial.responses) == verified:
        yield (
            f"{verified} are verified, but there are {len(trial.responses)} responses "
            f"to {len(answered)} requests"
        )
