"""The conversation as data: its entries, and the files that they are saved as."""

import csv
import enum
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from desktop_client.pairing import Message, size_of

__all__ = ["Direction", "Entry", "to_csv", "to_json"]


class Direction(enum.Enum):
    """Which way a message went; an event went none."""

    EVENT = "event"
    OUT = "out"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Entry:
    """A message, or an event: the connection opened, closed, an error.

    Attributes:
        direction: Which way it went.
        message: The message, or the event in words.
        note: What a message is if it is no plain request or reply: unsolicited, not as expected.
        round_trip: Seconds from sending the request to having this reply.
        is_error: Whether something is wrong.
        when: When it was sent, came or happened, in UTC.
        size: Bytes of the message's payload.
    """

    direction: Direction
    message: Message
    note: str = ""
    round_trip: float | None = None
    is_error: bool = False
    when: datetime = field(default_factory=lambda: datetime.now(UTC))
    size: int = field(init=False)

    def __post_init__(self) -> None:
        # Once, since a table asks for it at each paint.
        object.__setattr__(self, "size", size_of(self.message))

    @property
    def is_event(self) -> bool:
        """Whether it is an event rather than a message."""
        return self.direction is Direction.EVENT

    def as_record(self) -> dict[str, str | int | float | None]:
        """Return the entry as it is saved: time in UTC, round trip in ms, bytes in hex."""
        message = self.message
        binary = isinstance(message, bytes)
        return {
            "time": self.when.isoformat(timespec="microseconds"),
            "direction": self.direction.value,
            "type": "" if self.is_event else "binary" if binary else "text",
            "bytes": None if self.is_event else self.size,
            "round_trip_ms": None if self.round_trip is None else round(self.round_trip * 1e3, 3),
            "note": self.note,
            "message": message.hex() if isinstance(message, bytes) else message,
        }


def to_csv(entries: Iterable[Entry]) -> str:
    """Return entries as CSV (RFC 4180) with a line of headings."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Entry(Direction.EVENT, "").as_record()))
    writer.writeheader()
    writer.writerows(entry.as_record() for entry in entries)
    return text.getvalue()


def to_json(entries: Iterable[Entry]) -> str:
    """Return entries as a JSON array of objects."""
    return json.dumps([entry.as_record() for entry in entries], ensure_ascii=False, indent=1) + "\n"
