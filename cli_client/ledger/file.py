"""The ledger as a file: a line of JSON for each request, to prove a claim to somebody else."""

import base64
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from cli_client.ledger.ledger import Request
from cli_client.share import Share

__all__ = ["LedgerFile", "at_once", "gather", "never_sent_line"]


class LedgerFile:
    """Writes down each request as it is settled, until that fails."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.trouble = ""
        """Why the file is not complete, in words; empty if it is."""
        self._file = file
        self._path = path
        # The run's clock counts from a moment that means nothing outside of this machine.
        self._epoch = time.time() - time.perf_counter()

    @classmethod
    def create(cls, path: Path | None, share: Share) -> "LedgerFile | None":
        """Create the file of a share; None if none is wanted.

        Raises:
            OSError: If it cannot be opened.
        """
        return None if path is None else cls(open(_part(path, share), "wb", opener=at_once), path)

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
        if not self.trouble:
            with self._noting_trouble():
                self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        """Have everything written."""
        with self._noting_trouble():
            self._file.close()

    @contextlib.contextmanager
    def _noting_trouble(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.trouble = self.trouble or _trouble(error, self._path)


def _trouble(error: OSError, path: Path) -> str:
    return f"cannot write {path}: {error.strerror or error}"


def _payload(name: str, payload: bytes) -> dict[str, Any]:
    try:
        return {name: payload.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(payload).decode()}


def _part(path: Path, share: Share) -> Path:
    return path if share.of == 1 else path.with_name(f"{path.name}.{share.index + 1}")


def gather(path: Path, shares: list[Share]) -> str:
    """Put the files of the shares together to one, as far as there are any.

    A line that a process could not finish, because it was killed, is left out.

    Returns:
        Why the file is not complete, in words; empty if it is.
    """
    parts = [part for share in shares if (part := _part(path, share)).exists()]
    try:
        with path.open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    whole.writelines(line for line in file if line.endswith(b"\n"))
    except OSError as error:
        return _trouble(error, path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return ""


def at_once(path: str, flags: int) -> int:
    """Open a file, as ``open`` does, without waiting until somebody reads a named pipe.

    Raises:
        OSError: If it cannot be opened, or nobody reads the pipe.
    """
    if sys.platform == "win32":  # it has no such pipes
        return os.open(path, flags)
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


def never_sent_line(count: int) -> str:
    """Return the last line of a ledger: how many requests were never sent."""
    return json.dumps({"fate": "never sent", "count": count}) + "\n"
