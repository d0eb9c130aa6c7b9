"""The introduction: what client and server say to each other before the first request.

The server's greeting is waited for, if there must be one; then each hello is sent, the next one
when the reply to the one before has come. Pushes may come meanwhile. Any other message is a
refusal. There is no I/O here: messages go in, and what to send comes out.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

from cli_client.engine.template import Table, Template
from cli_client.ledger.expectation import is_readable
from cli_client.ledger.ledger import Ledger
from cli_client.ledger.pointer import decode
from cli_client.ledger.rules import Rule
from cli_client.secrets import expand
from cli_client.settings import Settings

__all__ = ["Introduction", "Introductions", "RefusalError"]

SHOWN_BYTES = 200
"""Bytes of a refusal that are shown: two lines of a terminal."""

Kind = Literal["greetings", "hello_replies"]


class RefusalError(Exception):
    """A message that is none of those that the introduction may have."""


class Introduction:
    """What is said on one connection before the first request.

    Args:
        greeting: The rule that the server's first message fits; None if it is not waited for.
        hellos: What to send, in order.
        replies: The rules that the replies to them fit; hellos without one are only sent.
        pushes: Rules that pushes fit.
        ledger: Where the messages are counted.
        binary: Whether messages are expected to be binary.
    """

    def __init__(
        self,
        greeting: Rule | None,
        hellos: list[bytes],
        replies: list[Rule],
        pushes: list[Rule],
        ledger: Ledger,
        *,
        binary: bool,
    ) -> None:
        self._hellos = hellos[::-1]
        self._replies = replies[::-1]
        self._pushes = pushes
        self._ledger = ledger
        self._binary = binary
        self._awaited: tuple[Kind, Rule] | None = None
        self._to_send: list[bytes] = []
        if greeting is not None:
            self._awaited = ("greetings", greeting)
        else:
            self._go_on()

    @property
    def is_over(self) -> bool:
        """Whether requests may be sent."""
        return self._awaited is None

    @property
    def awaited(self) -> str:
        """What it waits for, in words."""
        if self._awaited is None:
            return "nothing"
        kind, rule = self._awaited
        return f"the {'greeting' if kind == 'greetings' else 'reply to the hello'} ({rule.text})"

    def to_send(self) -> list[bytes]:
        """Return what is to be sent now."""
        sending, self._to_send = self._to_send, []
        return sending

    def receive(self, messages: list[bytes]) -> list[bytes]:
        """Take messages until it is over, and return those that came after it.

        Raises:
            RefusalError: If one is not what is awaited, nor a push.
        """
        for place, message in enumerate(messages):
            if self._awaited is None:
                return messages[place:]
            if not self._take(*self._awaited, message):
                shown = message[:SHOWN_BYTES].decode(errors="replace")
                why = f"expected {self.awaited}, got {shown}"
                for unexpected in messages[place:]:
                    self._ledger.note_fault("unsolicited", unexpected, why)
                raise RefusalError(why)
        return []

    def _take(self, kind: Kind, rule: Rule, message: bytes) -> bool:
        """Count a message that may come, and return whether it may."""
        if not is_readable(message, self._binary):
            return False
        value = decode(message)
        if rule.holds(value, message):
            self._ledger.note_message(kind)
            self._awaited = None
            self._go_on()
        elif any(push.holds(value, message) for push in self._pushes):
            self._ledger.note_message("pushes")
        else:
            return False
        return True

    def _go_on(self) -> None:
        """Send the hellos up to the first one that has a reply to wait for."""
        while self._hellos and self._awaited is None:
            self._to_send.append(self._hellos.pop())
            if self._replies:
                self._awaited = ("hello_replies", self._replies.pop())


class Introductions:
    """Makes the introductions of all connections of a run.

    Args:
        settings: The settings of the run.

    Raises:
        TableError: If the file that fields of the hellos come from cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._binary = settings.binary
        table = None if settings.data is None else Table(settings.data)
        columns = table.columns if table is not None else ()
        self._hellos = [Template(text, settings.variables, columns) for text in settings.hellos]
        self._greeting = _rules(settings, settings.greeting)
        self._replies = _rules(settings, *settings.hello_replies)
        self._pushes = _rules(settings, *settings.push)
        self._rows: Iterator[Sequence[str]] | None = None
        if table is not None and any(hello.columns for hello in self._hellos):
            self._rows = table.rows()
        # One for each connection, so that one that is opened again says the same.
        self._used_rows: list[Sequence[str]] = []

    def make(self, connection: int, ledger: Ledger) -> Introduction:
        """Return the introduction of a connection.

        Args:
            connection: The number of the connection, from 1.
            ledger: Where the messages are counted.

        Raises:
            TableError: If no row can be read for it.
        """
        row: Sequence[str] = ()
        if self._rows is not None:
            while len(self._used_rows) < connection:
                self._used_rows.append(next(self._rows))
            row = self._used_rows[connection - 1]
        return Introduction(
            next(iter(self._greeting), None),
            [hello.render(place, connection, row) for place, hello in enumerate(self._hellos)],
            self._replies,
            self._pushes,
            ledger,
            binary=self._binary,
        )


def _rules(settings: Settings, *texts: str | None) -> list[Rule]:
    return [Rule.parse(expand(text, settings.variables)) for text in texts if text is not None]
