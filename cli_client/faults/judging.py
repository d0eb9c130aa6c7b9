"""The judge: whether what the sender reported is what the fault calls for, no less and no more."""

from collections.abc import Iterator

from cli_client.faults.cases import Case
from cli_client.faults.trial import Trial
from cli_client.reports.wording import FAULTS, Report, close_line
from wire.exchange import request_of

__all__ = ["amiss", "told"]


def amiss(case: Case, trial: Trial) -> list[str]:
    """Return in words what the sender should have reported otherwise; nothing if all is well."""
    return [*_of_counts(case, trial.report), *_of_words(case, trial.report), *_of_answers(trial)]


def told(case: Case, report: Report) -> list[str]:
    """Return the errors of a report, and of its warnings and closes what tells of the fault."""
    errors = [error["message"] for error in report["errors"]]
    others = [*report["warnings"], *map(close_line, report["connections"]["closes"])]
    return errors + [text for text in others if _is_called_for(case, text)]


def _is_called_for(case: Case, text: str) -> bool:
    return any(words in text for words in case.says)


def _of_counts(case: Case, report: Report) -> Iterator[str]:
    attempts = report["attempts"]
    verdict = "pass" if case.passes else "fail"
    if report["verdict"] != verdict:
        yield f"the verdict should be {verdict}"
    for name in FAULTS:
        due = case.ledger.get(name, 0)
        if report["ledger"][name] != due:
            yield f"{due} {name.replace('_', ' ')} should be counted"
    for name, count in attempts.items():
        if bool(count) != (name in case.attempts):
            yield f"{name.replace('_', ' ')} should be {'above ' if not count else ''}0"
    if attempts["resent"] not in (0, attempts["in_flight_when_lost"]):
        yield "all that was in flight should be sent again, and nothing else"
    if report["latency_ms"]["max"] < case.slowest_ms:
        yield f"the longest latency should be {case.slowest_ms:g} ms or more"


def _of_words(case: Case, report: Report) -> Iterator[str]:
    found = told(case, report)
    for words in case.says:
        if not any(words in text for text in found):
            yield f"it should say '{words}'"
    for text in found:
        if not _is_called_for(case, text):
            yield f"it should not say '{text}'"


def _of_answers(trial: Trial) -> Iterator[str]:
    """Hold the ledger against the responses themselves: each request in them once, and no other."""
    answered = {request_of(response) for response in trial.responses}
    verified = trial.report["ledger"]["verified"]
    if not len(answered) == len(trial.responses) == verified:
        yield (
            f"{verified} are verified, but there are {len(trial.responses)} responses "
            f"to {len(answered)} requests"
        )
