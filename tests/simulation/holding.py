"""Holds what a run reported against the account of the server's books and the wire."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from cli_client.ledger.result import Result
from cli_client.ledger.verdict import judge
from tests.simulation.account import WATCHED, Account
from tests.simulation.drawing import Scenario

__all__ = ["bound", "hold"]

Fates = Mapping[bytes, Sequence[tuple[str, float]]]
"""The fates that the sender gave to each request, each with its time."""


def hold(
    scenario: Scenario,
    account: Account,
    result: Result,
    fates: Fates,
    answers: Sequence[bytes],
    lasted: float,
) -> list[str]:
    """Return in words where the report and the account differ."""
    if result.interrupted and scenario.interrupt_at is None:
        return ["it says interrupted, and was not"]
    found = [
        *_of_time(scenario, lasted),
        *_of_equations(result),
        *_of_handshakes(account, result),
        *_of_closes(account, result),
    ]
    if result.interrupted and account.came_while_closing:
        return found  # which of these it still took in, is its own affair
    return [
        *found,
        *_of_requests(account, result, fates, answers),
        *_of_messages(account, result),
        *_of_owed(account, result),
        *_of_times(account, result),
        *_of_verdict(account, result),
    ]


def bound(scenario: Scenario) -> float:
    """Return how long a run may last, whatever the server does, in seconds."""
    settings, plan = scenario.settings, scenario.plan
    moving = plan.drip or plan.push_every or plan.repeat_every
    timeouts = settings.timeout * (11 if moving else 2)
    ending = settings.linger + settings.close_timeout + 1.0
    if scenario.interrupt_at is not None:
        return scenario.interrupt_at + 1.0
    limits = []
    max_time = getattr(settings, "max_time", None)
    if max_time is not None:
        limits.append(max_time + settings.connect_timeout + ending)
    if settings.duration is not None:
        limits.append(settings.duration + settings.connect_timeout + timeouts + ending)
    if settings.messages is not None:
        # Each request that settles may have cost all retries, each with a pause of two seconds.
        attempt = settings.connect_timeout + timeouts + settings.close_timeout + 2.0
        paced = settings.messages / settings.rate + settings.ramp if settings.rate else 0.0
        limits.append(paced + (settings.retries + 1) * attempt * (settings.messages + 1) + ending)
    return min(limits)


def _of_time(scenario: Scenario, lasted: float) -> Iterator[str]:
    limit = bound(scenario)
    if lasted > limit:
        yield f"it lasted {lasted:.2f} s and may last {limit:.2f} s"


def _of_equations(result: Result) -> Iterator[str]:
    fates, messages = result.fates, result.messages
    if fates["requests"] != sum(fates[name] for name in FATES):
        yield f"the requests do not balance: {dict(fates)}"
    if messages["received"] != fates["verified"] + fates["wrong"] + sum(
        messages[name] for name in OTHERS
    ):
        yield f"the messages do not balance: {dict(messages)}, {dict(fates)}"


FATES = ("verified", "wrong", "missing", "never_sent")
OTHERS = ("duplicate", "late", "unsolicited", "parts", "pushes", "greetings", "hello_replies")


def _of_handshakes(account: Account, result: Result) -> Iterator[str]:
    outcomes: Counter[str] = Counter()
    for key, count in result.handshakes.items():
        outcomes[key.outcome] += count
        if key.outcome == "failed" and not (key.phase and key.reason):
            yield f"a failed handshake without phase or reason: {key}"
    if outcomes.total() != account.tried:
        yield f"{account.tried} attempts to connect, {dict(outcomes)} reported"
    failed, unsure = len(account.failed), len(account.unsure)
    low, high = account.opened
    if not low <= outcomes["opened"] <= high:
        yield f"{low} to {high} connections opened, {outcomes['opened']} reported"
    if sum(result.closes.values()) != outcomes["opened"]:
        yield f"{outcomes['opened']} opened, {sum(result.closes.values())} ends reported"
    if not failed <= outcomes["failed"] <= failed + unsure:
        yield f"{failed} to {failed + unsure} handshakes failed, {outcomes['failed']} reported"


def _of_closes(account: Account, result: Result) -> Iterator[str]:
    reported: Counter[int] = Counter()
    for key, count in result.closes.items():
        if key.by == "server":
            reported[key.code] += count
    due = account.closes_by_server()
    if reported != due:
        yield f"the server closed with {dict(due)}, reported are {dict(reported)}"
    unanswered = sum(link.unanswered_close for link in account.links)
    if result.attempts["unanswered_closes"] != unanswered and not result.interrupted:
        yield (
            f"{unanswered} Close frames were not answered, "
            f"{result.attempts['unanswered_closes']} reported"
        )
    broken = sum(link.broken for link in account.links)
    breaches = result.attempts["breaches"]
    tried = [*account.failed, *account.unsure]
    wrong_accept = sum(
        link is not None
        for link in tried
        if account.opening_of(link) == "wrong-accept" and link.taken
    )
    wrong_accept += sum(account.broke_before(attempt) for attempt in tried)
    if not broken <= breaches <= broken + wrong_accept:
        yield f"{broken} to {broken + wrong_accept} breaches, {breaches} reported"


def _of_requests(
    account: Account, result: Result, fates: Fates, answers: Sequence[bytes]
) -> Iterator[str]:
    allowed = account.allowed_fates()
    counted: Counter[str] = Counter()
    for payload, given in fates.items():
        shown = _shown(payload)
        if len(given) != 1:
            yield f"{shown} got {len(given)} fates: {given}"
            continue
        fate, at = given[0]
        counted[fate] += 1
        may = allowed.get(payload)
        if may is None:
            if fate != "missing" or account.sure_of_sending:
                yield f"{shown} is {fate}, and was never sent"
        elif fate not in may:
            yield f"{shown} is {fate}, and may be {' or '.join(sorted(may))}"
        elif fate == "missing":
            yield from _of_a_loss(account, result, payload, at)
    for fate in ("verified", "wrong", "missing"):
        if counted[fate] != result.fates[fate]:
            yield f"{counted[fate]} requests got the fate {fate}, {result.fates[fate]} reported"
    for payload in allowed.keys() - fates.keys():
        yield f"{_shown(payload)} was sent and has no fate"
    if len(answers) != result.fates["verified"]:
        yield f"{result.fates['verified']} are verified, {len(answers)} were handed over"
    if result.attempts["resent"] != account.resent:
        yield f"{account.resent} were sent again, {result.attempts['resent']} reported"


def _of_a_loss(account: Account, result: Result, payload: bytes, at: float) -> Iterator[str]:
    """Ask for a cause of a request's being missing."""
    settings = account.settings
    sents = account.elsewhere[payload]
    last = sents[-1]
    deaths = account.deaths(payload)
    timed_out = at - last.at >= settings.timeout - 1e-3
    ended = result.interrupted or settings.duration is not None or account.has_max_time
    died = [link for link in deaths if link.gone is not None or link.attempt.aborted]
    used_up = len(died) > settings.retries or not settings.resend
    overtaken = account.was_overtaken(payload)
    refused = any(link.by_server or link.broken for link in died)
    given_up = result.attempts["connections_given_up"] > 0
    if not (timed_out or ended or used_up or overtaken or (died and (refused or given_up))):
        yield (
            f"{_shown(payload)} is missing after {at - last.at:.3f} s and {len(died)} deaths, "
            f"with {settings.retries} retries"
        )


def _of_messages(account: Account, result: Result) -> Iterator[str]:
    if result.messages["received"] != account.received:
        yield f"{account.received} messages came, {result.messages['received']} reported"
    counts = {
        "verified": result.fates["verified"],
        "wrong": result.fates["wrong"],
    } | {name: result.messages[name] for name in OTHERS}
    for name, count in counts.items():
        low, high = account.bounds(name)
        if not low <= count <= high:
            yield f"{low} to {high} messages are {name}, {count} reported"
    if account.exact and result.messages["out_of_order"] != account.out_of_order:
        yield (
            f"{account.out_of_order} came out of order, {result.messages['out_of_order']} reported"
        )


def _of_times(account: Account, result: Result) -> Iterator[str]:
    """Hold the times that are reported against those on the wire."""
    span, slack = account.span, account.slack
    if span is not None:
        low, high = span
        if not low - slack <= result.elapsed <= high + WATCHED:
            yield f"{result.elapsed:.3f} s elapsed, from {low:.3f} to {high:.3f} s are due"
    longest = account.longest_latency
    summary = result.latencies.summary()
    reported = 0.0 if summary is None else summary["max"] / 1000
    if account.exact and abs(longest - reported) > 0.002 * longest + slack:
        yield f"the longest latency is {longest:.6f} s, {reported:.6f} reported"
    for name, (low, high) in (("outage_max", account.outage), ("silence_max", account.silence)):
        value = getattr(result, name)
        if not low - slack <= value <= high + WATCHED:
            yield f"{name} is {value:.3f} s, from {low:.3f} to {high:.3f} s are due"


def _of_owed(account: Account, result: Result) -> Iterator[str]:
    """Hold the number of requests against what the options ask for."""
    settings = account.settings
    due = account.due
    if due is not None and not result.interrupted and result.fates["requests"] != due:
        yield f"{due} requests are due, {result.fates['requests']} reported"
    stopped = result.interrupted or settings.duration is not None or account.has_max_time
    stopped = stopped or not account.links
    if result.fates["never_sent"] and not stopped and not result.attempts["connections_given_up"]:
        yield f"{result.fates['never_sent']} were never sent, for no cause in the report"


def _of_verdict(account: Account, result: Result) -> Iterator[str]:
    """Derive the verdict from the counts, which are held above, and from the books."""
    verdict = judge(result, True, False)
    faults = [name for name in ("wrong", "missing", "never_sent") if result.fates[name]]
    others = ["duplicate", "late", "unsolicited"]
    if account.settings.expect != "key" or account.settings.ordered:
        others.append("out_of_order")
    faults += [name for name in others if result.messages[name]]
    faults += ["breaches"] * (
        any(link.broken for link in account.links) or bool(result.attempts["breaches"])
    )
    faults += ["wrong accept"] * any(
        account.opening_of(attempt) == "wrong-accept" and bool(attempt.taken)
        for attempt in account.failed
    )
    faults += ["given up"] * bool(result.attempts["connections_given_up"])
    recovered = account.recovered_because()
    if any(key.outcome == "failed" for key in result.handshakes):
        recovered.append("handshakes failed")  # how many, is held above
    if result.interrupted:
        due = "interrupted"
    else:
        due = "fail" if faults else "recovered" if recovered else "pass"
    if verdict.name != due:
        yield (
            f"the verdict is {verdict.name} ({verdict.reasons}), "
            f"and should be {due} ({faults or recovered})"
        )


def _shown(payload: bytes) -> str:
    return payload[:20].decode(errors="replace")
