"""The account: what the server's books and the wire say that a report has to say.

It is drawn up from the whole course of a run, after its end, by the definitions of docs/report.md,
and not as the sender's ledger does it, message by message. Where the definitions leave a choice
(such as which side a reply falls that comes at the very time-out), it names all that are allowed.
"""

import json
import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from cli_client.settings import Settings
from tests.simulation.frames import BINARY, CLOSE, TEXT
from tests.simulation.server import Book, Server
from tests.simulation.wire import Attempt, Wire

WATCHED = 0.25
"""Seconds within which the sender notices that a time is over."""

_NUMBERED = re.compile(rb"(?s)(.*): ([1-9][0-9]?|100)\Z")

BEFORE = {
    "greeting": frozenset(["greetings"]),
    "hello": frozenset(["hello_replies"]),
    "refusal": frozenset(["unsolicited"]),
}
"""The names of what a service sends before the first request."""

FAULTS = ("wrong", "duplicate", "late", "unsolicited")
"""Names of messages that are not verified."""


@dataclass
class Sent:
    """A request on one connection, once."""

    payload: bytes
    order: int
    at: float
    state: str = "in flight"
    """in flight, verified, maybe (either), wrong."""
    answered_at: float = 0.0


@dataclass
class Taken:
    """A message that the engine was handed."""

    payload: bytes
    opcode: int
    order: int
    at: float
    what: str
    names: frozenset[str] = frozenset()
    about: Sent | None = None
    overtaken: bool = False
    """Whether it came after the reply to a later request."""


@dataclass
class Link:
    """A connection that opened."""

    attempt: Attempt
    book: Book
    opened_order: int
    opened_at: float
    sent: list[Sent] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    close_taken: int | None = None
    """The order in which the server's Close frame was taken."""
    closed_at: float | None = None
    breach_taken: int | None = None
    close_written: int | None = None
    """The order in which the engine wrote its Close frame."""
    out_of_order: int = 0

    @property
    def gone(self) -> int | None:
        """The order in which the engine learnt that the peer has ended."""
        attempt = self.attempt
        ends = [self.close_taken, attempt.eof]
        if attempt.lost is not None and not attempt.aborted:
            ends.append(attempt.lost[0])
        found = [end for end in ends if end is not None]
        return min(found, default=None)

    @property
    def gone_at(self) -> float | None:
        """When it was gone for both."""
        return None if self.attempt.lost is None else self.attempt.lost[1]

    @property
    def by_server(self) -> bool:
        """Whether the server began to close."""
        return self.close_taken is not None and (
            self.close_written is None or self.close_taken < self.close_written
        )

    @property
    def broken(self) -> bool:
        """Whether the server broke the protocol before anything else ended the connection."""
        return self.breach_taken is not None and (
            self.close_written is None or self.breach_taken < self.close_written
        )

    @property
    def ended_by_peer(self) -> bool:
        """Whether it ended though the engine had not begun to end it."""
        if self.broken or self.by_server:
            return True
        mine = [self.close_written, self.attempt.ended_by_engine]
        first = min((order for order in mine if order is not None), default=None)
        return self.gone is not None and (first is None or self.gone < first)

    @property
    def unanswered_close(self) -> bool:
        """Whether the engine's Close frame, which came first, got no answer."""
        return (
            self.close_written is not None
            and self.close_taken is None
            and not (self.ended_by_peer or self.broken)
        )


class Account:
    """What the books and the wire say of one run.

    Args:
        settings: The settings of the run.
        server: The server, with its books.
        wire: What passed.
        ended: When the run ended, by the clock of the wire.
        slack: By how much two readings of the same moment may differ, in seconds.
    """

    def __init__(
        self, settings: Settings, server: Server, wire: Wire, ended: float, slack: float
    ) -> None:
        self.ended = ended
        self.slack = slack
        self.settings = settings
        self.plan = server.plan
        self.kind = BINARY if settings.binary else TEXT
        self.patience = settings.timeout * (10 if server.plan.drip else 1) + WATCHED
        """Within which age a reply may be taken in still."""
        self.has_max_time = getattr(settings, "max_time", None) is not None
        self._books = server.books
        self.links: list[Link] = []
        self.failed: list[Attempt] = []
        self.before: list[Taken] = []
        """What came on connections that did not get as far as to open."""
        self.unsure: list[Attempt] = []
        """Attempts that were under way when the run ended."""
        self.tried = len(wire.attempts)
        """How many attempts to connect there were."""
        for attempt in wire.attempts:
            self._enter(attempt, server.books.get(attempt.port))
        self._doubt_last_failures()
        self.elsewhere: dict[bytes, list[Sent]] = defaultdict(list)
        for link in self.links:
            for sent in link.sent:
                self.elsewhere[sent.payload].append(sent)
        for link in self.links:
            if settings.expect == "any":
                self._name_by_place(link)
            elif settings.expect == "key":
                self._name_by_key(link)
            else:
                self._name(link)
        self.exact = all(len(taken.names) == 1 for link in self.links for taken in link.taken)

    # What passed.

    def _enter(self, attempt: Attempt, book: Book | None) -> None:
        if book is None or attempt.error is not None:
            sure = isinstance(attempt.error, Exception)
            (self.failed if sure else self.unsure).append(attempt)
            return
        opened = None
        if book.head_end and book.opening.split()[0] in ("open", "slow", "behind-101"):
            opened = _taken_by(attempt, book.head_end)
        if opened is None:
            gave_up = attempt.lost is not None and not attempt.aborted
            late = attempt.lost is not None and (
                attempt.lost[1] - attempt.began > self.settings.connect_timeout - self.slack
            )
            whole = book.head_end or book.refusal_end
            refused = bool(whole) and _taken_by(attempt, whole) is not None
            sure = gave_up or late or refused
            (self.failed if sure else self.unsure).append(attempt)
            return
        link = Link(attempt, book, *opened)
        end = min(
            (end for end in (book.close and book.close[0], book.breach) if end), default=10**12
        )
        for written in attempt.written:
            if written.opcode == CLOSE:
                link.close_written = link.close_written or written.order
            else:
                link.sent.append(Sent(written.payload, written.order, written.at))
        for message in book.messages:
            taken = _taken_by(attempt, message.end) if message.end <= end else None
            if taken is not None:
                link.taken.append(Taken(message.payload, message.opcode, *taken, message.what))
        if book.close is not None and (taken_at := _taken_by(attempt, book.close[0])):
            link.close_taken, link.closed_at = taken_at
        if book.breach is not None and (taken_at := _taken_by(attempt, book.breach)):
            link.breach_taken = taken_at[0]
        if not self.settings.hellos or self._has_begun(link):
            self.links.append(link)

    def _has_begun(self, link: Link) -> bool:
        """Return whether the hello was answered; only then does a connection count as open."""
        hellos = [hello.encode() for hello in self.settings.hellos]
        link.sent = [sent for sent in link.sent if sent.payload not in hellos]
        for taken in link.taken:
            taken.names = BEFORE.get(taken.what, taken.names)
        answer = next((taken for taken in link.taken if taken.what == "hello"), None)
        if answer is not None:
            link.opened_order, link.opened_at = answer.order, answer.at
            return True
        self.before += link.taken
        refused = any(taken.what == "refusal" for taken in link.taken)
        lost = link.attempt.lost
        late = lost is not None and lost[1] - link.opened_at > (
            self.settings.connect_timeout - self.slack
        )
        sure = refused or late or link.ended_by_peer
        (self.failed if sure else self.unsure).append(link.attempt)
        return False

    def _doubt_last_failures(self) -> None:
        """Doubt that a handshake counts which failed at the very moment at which the run ended."""
        closed = [
            written.at
            for link in self.links
            for written in link.attempt.written
            if written.order == link.close_written and not (link.by_server or link.broken)
        ]
        over = min(closed, default=self.ended) - self.settings.linger - self.slack
        last = [one for one in self.failed if one.lost is not None and one.lost[1] >= over]
        self.failed = [one for one in self.failed if one not in last]
        self.unsure += last

    # What each message is.

    def right_for(self, message: Taken) -> bytes | None:
        """Return the payload of the request to which a message would be the right reply."""
        if message.opcode != self.kind:
            return None
        if self.settings.expect == "echo":
            return message.payload
        found = _NUMBERED.match(message.payload)
        return found[1] if found else None

    def _name(self, link: Link) -> None:
        by_payload = {sent.payload: place for place, sent in enumerate(link.sent)}
        highest = -1
        for taken in link.taken:
            payload = self.right_for(taken)
            place = None if payload is None else by_payload.get(payload)
            if place is not None and link.sent[place].order < taken.order:
                sent = taken.about = link.sent[place]
                age = taken.at - sent.at
                if sent.state in ("verified", "wrong"):
                    taken.names = frozenset(["duplicate"])
                elif sent.state == "maybe":
                    taken.names = frozenset(["duplicate", "late", "verified", "unsolicited"])
                elif age <= self.settings.timeout:
                    taken.names = frozenset(["verified"])
                    sent.state, sent.answered_at = "verified", taken.at
                    taken.overtaken = place < highest
                    link.out_of_order += taken.overtaken
                    highest = max(highest, place)
                else:
                    taken.names = frozenset(["verified", "late"])
                    sent.state = "maybe"
                continue
            in_flight = [
                sent
                for sent in link.sent
                if sent.order < taken.order and sent.state in ("in flight", "maybe")
            ]
            starts = [sent for sent in in_flight if _begins(sent.payload, taken.payload)]
            strayed = self._may_have_strayed(link, payload)
            if starts:
                sent = taken.about = max(starts, key=lambda sent: len(sent.payload))
                certain = (
                    sent.state == "in flight"
                    and taken.at - sent.at <= self.settings.timeout
                    and not strayed
                )
                taken.names = frozenset(["wrong"] if certain else ["wrong", "unsolicited"])
                sent.state = "wrong" if certain else "maybe"
            elif not in_flight or self._has_strayed(link, payload, taken):
                taken.names = frozenset(["unsolicited"])
            else:
                taken.names = frozenset(["wrong", "unsolicited"])
        if not any(self._may_have_strayed(link, self.right_for(taken)) for taken in link.taken):
            self._name_unmatched(link)
        self._doubt_overtaken(link)

    def _may_have_strayed(self, link: Link, payload: bytes | None) -> bool:
        """Whether this is the payload of a request that was sent on another connection."""
        return payload is not None and any(
            sent not in link.sent for sent in self.elsewhere.get(payload, ())
        )

    def _has_strayed(self, link: Link, payload: bytes | None, taken: Taken) -> bool:
        """Whether a message is the reply to a request in flight on another connection."""
        return any(
            sent.payload == payload
            and sent.order < taken.order
            and sent.state == "in flight"
            and taken.at - sent.at <= self.settings.timeout
            for other in self.links
            if other is not link and (other.gone is None or other.gone > taken.order)
            for sent in other.sent
        )

    def _doubt_overtaken(self, link: Link) -> None:
        """Doubt right replies that came out of order where a message may have taken their place."""
        both = {"wrong", "unsolicited"}
        unmatched = [
            taken.order for taken in link.taken if taken.about is None and taken.names == both
        ]
        for taken in link.taken:
            sent = taken.about
            if sent is None or not any(sent.order < at <= taken.order for at in unmatched):
                continue
            if taken.overtaken or "late" in taken.names:
                taken.names |= {"duplicate"}
                sent.state = "maybe"

    def _name_unmatched(self, link: Link) -> None:
        """Decide on messages that match nothing where the replies around them leave no choice."""
        both = frozenset(["wrong", "unsolicited"])
        places = {id(sent): place for place, sent in enumerate(link.sent)}
        right = [
            (index, places[id(taken.about)])
            for index, taken in enumerate(link.taken)
            if taken.names == {"verified"} and taken.about is not None
        ]
        in_order = all(a[1] < b[1] for a, b in pairwise(right))
        for index, taken in enumerate(link.taken):
            if taken.names != both or taken.about is not None:
                continue
            before = max((place for at, place in right if at < index), default=-1)
            after = min((place for at, place in right if at > index), default=None)
            if not in_order or after is None:
                continue
            first = max((at for at, _ in right if at < index), default=-1)
            last = min(at for at, _ in right if at > index)
            beside = [
                other
                for other in link.taken[first + 1 : last]
                if other.names == both and other.about is None
            ]
            gap = link.sent[before + 1 : after]
            waiting = [sent for sent in gap if sent.state != "wrong"]
            if not waiting:
                taken.names = frozenset(["unsolicited"])
            elif (
                len(waiting) == 1
                and len(beside) == 1
                and waiting[0].order < taken.order
                and waiting[0].state == "in flight"
                and link.taken[last].at - waiting[0].at <= self.settings.timeout
            ):
                taken.names = frozenset(["wrong"])
                taken.about = waiting[0]
                waiting[0].state = "wrong"

    def _name_by_place(self, link: Link) -> None:
        """Give each message to the oldest request in flight, as nothing tells them apart."""
        waiting = list(link.sent)
        unsure = False
        for taken in link.taken:
            if waiting and waiting[0].order < taken.order:
                sent = taken.about = waiting[0]
                if unsure or taken.at - sent.at > self.settings.timeout:
                    # From the first that may have been given up on, their places are not known.
                    unsure = True
                    taken.names = frozenset(["verified", "late", "wrong", "unsolicited"])
                    for sent in waiting:
                        sent.state = "maybe"
                    continue
                waiting.pop(0)
                right = taken.opcode == self.kind and (self.settings.binary or _is_text(taken))
                sent.state = "verified" if right else "wrong"
                sent.answered_at = taken.at
                taken.names = frozenset([sent.state])
            else:
                taken.names = frozenset(["unsolicited"] if not unsure else ["unsolicited", "late"])

    def _name_by_key(self, link: Link) -> None:
        """Name each message by the id in it."""
        places = {_value(sent.payload)["id"]: place for place, sent in enumerate(link.sent)}
        highest = -1
        for taken in link.taken:
            if taken.names:
                continue  # it came before the first request
            value = _value(taken.payload)
            key = value.get("id")
            place = places.get(key)
            if place is None or link.sent[place].order > taken.order:
                may_push = "method" in value and bool(getattr(self.settings, "push", ()))
                taken.names = frozenset(["pushes" if may_push else "unsolicited"])
                continue
            sent = taken.about = link.sent[place]
            right = taken.opcode == self.kind and "result" in value
            if sent.state in ("verified", "wrong"):
                taken.names = frozenset(["duplicate"])
            elif sent.state == "maybe":
                taken.names = frozenset(
                    ["duplicate", "late", "verified", "wrong", "unsolicited", "parts"]
                )
            elif taken.at - sent.at > self.settings.timeout:
                sent.state = "maybe"
                taken.names = frozenset(["verified" if right else "wrong", "late", "parts"])
            elif right and getattr(self.settings, "final", None) and not value["done"]:
                taken.names = frozenset(["parts"])
            else:
                sent.state = "verified" if right else "wrong"
                sent.answered_at = taken.at
                taken.names = frozenset([sent.state])
                if right:
                    link.out_of_order += place < highest
                    highest = max(highest, place)

    # What it comes to.

    @property
    def received(self) -> int:
        return sum(len(link.taken) for link in self.links) + len(self.before)

    def bounds(self, name: str) -> tuple[int, int]:
        """Return how many messages have this name, at least and at most."""
        names = [taken.names for link in self.links for taken in link.taken]
        names += [taken.names for taken in self.before]
        return sum(one == {name} for one in names), sum(name in one for one in names)

    def allowed_fates(self) -> dict[bytes, frozenset[str]]:
        """Return, for each request that was sent, the fates that it may have met."""
        allowed: dict[bytes, frozenset[str]] = {}
        loose: set[int] = set()
        for link in self.links:
            unmatched = [
                taken
                for taken in link.taken
                if taken.about is None and taken.names == {"wrong", "unsolicited"}
            ]
            for sent in link.sent:
                if any(sent.order < taken.order for taken in unmatched):
                    loose.add(id(sent))
        for payload, sents in self.elsewhere.items():
            states = {sent.state for sent in sents}
            if "verified" in states:
                fates = {"verified"}
            elif "wrong" in states:
                fates = {"wrong"}
            elif "maybe" in states:
                fates = {"verified", "wrong", "missing"}
            else:
                fates = {"missing"}
            if any(id(sent) in loose for sent in sents) and "verified" not in states:
                fates |= {"wrong"}
            allowed[payload] = frozenset(fates)
        return allowed

    def deaths(self, payload: bytes) -> list[Link]:
        """Return the connections that ended with this request in flight."""
        return [
            link
            for link in self.links
            for sent in link.sent
            if sent.payload == payload and sent.state in ("in flight", "maybe")
        ]

    @property
    def sure_of_sending(self) -> bool:
        """Whether each request that the engine sent is among those that were written in full."""
        return not self.settings.size

    def opening_of(self, attempt: Attempt) -> str:
        """Return how the server answered a handshake."""
        book = self._books.get(attempt.port)
        return "" if book is None else book.opening

    def broke_before(self, attempt: Attempt) -> bool:
        """Return whether the server broke the protocol on a connection that did not open."""
        book = self._books.get(attempt.port)
        return book is not None and book.breach is not None

    @property
    def came_while_closing(self) -> bool:
        """Whether messages came after the engine had begun to close their connection."""
        return any(
            link.close_written is not None and taken.order > link.close_written
            for link in self.links
            for taken in link.taken
        )

    def was_overtaken(self, payload: bytes) -> bool:
        """Return whether a later request was answered where this one was sent last."""
        last = self.elsewhere[payload][-1]
        return any(
            sent.order >= last.order and sent.state == "verified" and sent is not last
            for link in self.links
            if last in link.sent
            for sent in link.sent[link.sent.index(last) :]
        )

    @property
    def resent(self) -> int:
        return sum(len(sents) - 1 for sents in self.elsewhere.values())

    @property
    def opened(self) -> tuple[int, int]:
        """How many connections opened, without and with those that the run's end came upon."""
        caught = sum(
            link.attempt.aborted
            and link.close_written is None
            and not link.sent
            and link.gone_at == link.opened_at
            for link in self.links
        )
        return len(self.links) - caught, len(self.links)

    def closes_by_server(self) -> Counter[int]:
        """Return the codes with which the server closed connections."""
        return Counter(
            link.book.close[1] for link in self.links if link.by_server and link.book.close
        )

    @property
    def out_of_order(self) -> int:
        return sum(link.out_of_order for link in self.links)

    @property
    def due(self) -> int | None:
        """Return how many requests the options ask for, if they say so."""
        settings = self.settings
        rate, duration, ramp = settings.rate, settings.duration, settings.ramp
        if duration is None:
            return settings.messages
        if rate is None or settings.messages is not None:
            return None
        grown = min(ramp, duration)
        amount = rate * (duration - ramp) + rate * ramp / 2
        if duration < ramp:
            amount = rate * grown**2 / (2 * ramp)
        return math.ceil(round(amount, 6))

    @property
    def span(self) -> tuple[float, float] | None:
        """The time from the first request to the last right reply, and that in which it may lie.

        Sending begins when a connection opens, though it may end before it carries a request.
        """
        starts = [sent.at for link in self.links for sent in link.sent]
        right = [
            sent.answered_at
            for link in self.links
            for sent in link.sent
            if sent.state == "verified"
        ]
        ends = [taken.at for link in self.links for taken in link.taken]
        if not (starts and right):
            return None
        return max(right) - min(starts), max(ends) - min(link.opened_at for link in self.links)

    @property
    def longest_latency(self) -> float:
        return max(
            (
                sent.answered_at - sent.at
                for link in self.links
                for sent in link.sent
                if sent.state == "verified"
            ),
            default=0.0,
        )

    @property
    def outage(self) -> tuple[float, float]:
        """The longest time without any open connection while requests are sent; and any."""
        began = min((sent.at for link in self.links for sent in link.sent), default=math.inf)
        sure = longest = 0.0
        open_until = closed_until = 0.0
        for link in sorted(self.links, key=lambda link: link.opened_at):
            if open_until >= began:
                sure = max(sure, link.opened_at - open_until)
            longest = max(longest, link.opened_at - closed_until)
            gone_at = math.inf if link.gone_at is None else link.gone_at
            open_until = max(open_until, gone_at)
            closed_until = max(closed_until, gone_at if link.closed_at is None else link.closed_at)
        return sure, max(longest, self.ended - closed_until)

    @property
    def silence(self) -> tuple[float, float]:
        """The longest time without a message while a request waited that was answered; and any."""
        moments = sorted({taken.at for link in self.links for taken in link.taken})
        sure = 0.0
        for link in self.links:
            for sent in link.sent:
                if sent.state == "verified":
                    inside = moments[
                        bisect_right(moments, sent.at) : bisect_left(moments, sent.answered_at)
                    ]
                    points = [sent.at, *inside, sent.answered_at]
                    gaps = (b - a for a, b in pairwise(points))
                    sure = max(sure, *gaps)
        return sure, math.inf

    def recovered_because(self) -> list[str]:
        """Return what went wrong with connections though no request need have suffered."""
        reasons = []
        if self.failed:
            reasons.append(f"{len(self.failed)} handshakes failed")
        ended = sum(link.ended_by_peer for link in self.links)
        if ended:
            reasons.append(f"{ended} connections ended that the sender did not end")
        if self.resent:
            reasons.append(f"{self.resent} requests were sent again")
        unanswered = sum(link.unanswered_close for link in self.links)
        if unanswered:
            reasons.append(f"{unanswered} Close frames were not answered")
        return reasons


def _value(payload: bytes) -> dict[str, Any]:
    """Return the JSON object in a message; an empty one if there is none."""
    try:
        value = json.loads(payload.decode())
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _is_text(taken: Taken) -> bool:
    try:
        taken.payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _taken_by(attempt: Attempt, size: int) -> tuple[int, float] | None:
    """Return the order and the time of the delivery with this byte of the stream, if any."""
    place = bisect_left(attempt.taken, size, key=lambda taken: taken[2])
    return attempt.taken[place][:2] if place < len(attempt.taken) else None


def _begins(payload: bytes, message: bytes) -> bool:
    """Return whether a message begins with a payload, and not only with a part of a number."""
    around = message[len(payload) - 1 : len(payload) + 1]
    return message.startswith(payload) and not (len(around) == 2 and around.isdigit())
