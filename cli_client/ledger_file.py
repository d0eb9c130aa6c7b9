"""The ledger as a file: a line of JSON for each request, to prove a claim to somebody else."""

import base64
import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cli_client.ledger import Request
from cli_client.source import Share

__all__ = ["LedgerFile", "gather", "note_never_sent"]


class LedgerFile:
    """Writes down each request as it is settled."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        # The run's clock counts from a moment that means nothing outside of this process.
        self._epoch = time.time() - time.perf_counter()

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path | None, share: Share) -> "Iterator[LedgerFile | None]":
        """Open the file of a share for as long as the context lasts; None if none is wanted.

        Raises:
            OSError: If it cannot be written.
        """
        if path is None:
            yield None
        else:
            with _part(path, share).open("wb") as file:
                yield cls(file)

    def note(
        self, fate: str, connection: int, request: Request, reply: bytes | None, now: float
    ) -> None:
        """Write down the fate of a request."""
        line = {
            "request": request.number,
            "fate": fate,
            "attempt": request.attempt,
            "connection": connection or None,
            "sent_at": round(self._epoch + request.sent_at, 6),
            "answered_at": None if reply is None else round(self._epoch + now, 6),
            **_payload("sent", request.payload),
            **(_payload("received", reply) if reply is not None else {}),
        }
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")


def _payload(name: str, payload: bytes) -> dict[str, Any]:
    try:
        return {name: payload.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(payload).decode()}


def _part(path: Path, share: Share) -> Path:
    return path if share.of == 1 else path.with_name(f"{path.name}.{share.index + 1}")


def gather(path: Path, shares: list[Share]) -> None:
    """Put the files of the shares together to one.

    Raises:
        OSError: If it cannot be written.
    """
    with path.open("wb") as whole:
        for share in shares:
            with _part(path, share).open("rb") as part:
                shutil.copyfileobj(part, whole)
            _part(path, share).unlink()


def note_never_sent(path: Path, count: int) -> None:
    """Write down, behind the others, how many requests were never sent.

    Raises:
        OSError: If it cannot be written.
    """
    if count:
        with path.open("ab") as file:
            file.write(json.dumps({"fate": "never sent", "count": count}).encode() + b"\n")
