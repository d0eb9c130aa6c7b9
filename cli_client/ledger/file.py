"""The ledger as a file: a line of JSON for each request, to prove a claim to somebody else."""

import base64
import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cli_client.ledger.ledger import Request
from cli_client.share import Share

__all__ = ["LedgerFile", "gather", "never_sent_line"]


class LedgerFile:
    """Writes down each request as it is settled."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
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
            return
        ledger_file = cls(_part(path, share).open("wb"), path)
        try:
            yield ledger_file
        finally:
            ledger_file.close()

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
        try:
            self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise _named(error, self._path) from None

    def close(self) -> None:
        """Have everything written."""
        try:
            self._file.close()
        except OSError as error:
            raise _named(error, self._path) from None


def _named(error: OSError, path: Path) -> OSError:
    """Return an error with the file that it is about: what is written late has forgotten it."""
    error.filename = str(path)
    return error


def _payload(name: str, payload: bytes) -> dict[str, Any]:
    try:
        return {name: payload.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(payload).decode()}


def _part(path: Path, share: Share) -> Path:
    return path if share.of == 1 else path.with_name(f"{path.name}.{share.index + 1}")


def gather(path: Path, shares: list[Share]) -> None:
    """Put the files of the shares together to one, as far as there are any.

    Raises:
        OSError: If it cannot be written.
    """
    parts = [part for share in shares if (part := _part(path, share)).exists()]
    try:
        with path.open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)
    except OSError as error:
        raise _named(error, path) from None
    finally:
        for part in parts:
            part.unlink()


def never_sent_line(count: int) -> str:
    """Return the line, behind all others, that tells how many requests were never sent."""
    return json.dumps({"fate": "never sent", "count": count}) + "\n"
