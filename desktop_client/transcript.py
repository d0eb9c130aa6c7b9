"""What has happened on the connection: its entries, and the files that they are saved as."""

import csv
import enum
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

__all__ = ["Direction", "Entry", "to_csv", "to_json"]


class Direction(enum.Enum):
    """Which way the messages of an entry went."""

    NONE = ""
    OUT = "out"
    IN = "in"
    BOTH = "both"


@dataclass(frozen=True)
class Entry:
    """An exchange, or another event: a connection opened, closed, in trouble.

    Attributes:
        event: What happened, in words.
        round_trip: Seconds from sending the request to having the reply.
    """

    event: str
    when: datetime = field(default_factory=lambda: datetime.now(UTC))
    direction: Direction = Direction.NONE
    request: str = ""
    reply: str = ""
    bytes_out: int | None = None
    bytes_in: int | None = None
    round_trip: float | None = None

    def as_record(self) -> dict[str, str | int | float | None]:
        """Return the entry as it is saved: the time in UTC, the round trip in milliseconds."""
        return {
            "time": self.when.isoformat(timespec="microseconds"),
            "direction": self.direction.value,
            "event": self.event,
            "bytes_out": self.bytes_out,
            "bytes_in": self.bytes_in,
            "round_trip_ms": None if self.round_trip is None else round(self.round_trip * 1e3, 3),
            "request": self.request,
            "reply": self.reply,
        }


def to_csv(entries: Iterable[Entry]) -> str:
    """Return entries as CSV (RFC 4180) with a line of headings."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Entry("").as_record()))
    writer.writeheader()
    writer.writerows(entry.as_record() for entry in entries)
    return text.getvalue()


def to_json(entries: Iterable[Entry]) -> str:
    """Return entries as a JSON array of objects."""
    return json.dumps([entry.as_record() for entry in entries], ensure_ascii=False, indent=1) + "\n"
