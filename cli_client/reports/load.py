"""Reading a report file, which may be anything that somebody names on the command line."""

from pathlib import Path
from typing import TypedDict

import msgspec

from cli_client.reports.schema import SCHEMA, Report
from cli_client.reports.wording import printable

__all__ = ["load"]


class _Numbered(TypedDict):
    schema: int


def load(path: Path) -> Report:
    """Return the report in a file.

    Raises:
        ValueError: If there is none; the message is one line and names the file.
    """
    name = printable(str(path))
    try:
        content = path.read_bytes()
        number = msgspec.json.decode(content, type=_Numbered)["schema"]
        if number != SCHEMA:
            raise ValueError(f"{name} has schema {number}; this version reads {SCHEMA}.")
        return msgspec.json.decode(content, type=Report)
    except OSError as error:
        raise ValueError(f"cannot read {name}: {error.strerror or error}") from None
    except msgspec.ValidationError as error:
        what = printable(str(error).replace("`", "").replace(" - at $.", " at "))
        raise ValueError(f"{name} is no report: {what}.") from None
    except (msgspec.DecodeError, RecursionError):
        raise ValueError(f"{name} is no report: it is not JSON.") from None
