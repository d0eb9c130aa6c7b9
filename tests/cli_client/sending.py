"""The sender as a process, for the tests that use it so."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

COMMAND = (sys.executable, "-m", "cli_client")


def send(*options: object, timeout: float = 60, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Run the sender to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, options)], text=True, capture_output=True, timeout=timeout, **more
    )


class Reported(NamedTuple):
    """What a run left."""

    status: int
    report: dict[str, Any]
    progress: list[dict[str, Any]]

    @property
    def faults(self) -> dict[str, int]:
        """What of the ledger is neither verified nor nothing."""
        ledger = self.report["ledger"]
        return {
            fate: count
            for fate, count in ledger.items()
            if count and fate not in ("requests", "verified")
        }

    @property
    def errors(self) -> str:
        return "\n".join(error["message"] for error in self.report["errors"])


def report(*options: object, timeout: float = 60, **more: Any) -> Reported:
    """Run the sender to its end, without its responses, and return its report."""
    done = send("-q", "--progress", "json", *options, timeout=timeout, **more)
    return reported(done.returncode, done.stderr)


def reported(status: int, stderr: str) -> Reported:
    """Return what a run left that told of itself in JSON."""
    assert "Traceback" not in stderr, stderr
    *progress, last = [json.loads(line) for line in stderr.splitlines() if line[0] == "{"]
    assert last["event"] == "report", stderr
    ledger = last["ledger"]
    fates = ("verified", "wrong", "missing", "never_sent")
    assert sum(ledger[fate] for fate in fates) == ledger["requests"], ledger
    return Reported(status, last, progress)


@contextlib.contextmanager
def sending(*options: object) -> "Iterator[subprocess.Popen[str]]":
    """Run the sender as long as the context lasts."""
    with subprocess.Popen(
        [*COMMAND, "-q", "--progress", "json", *map(str, options)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_progress(process: "subprocess.Popen[str]", answered: int) -> str:
    """Wait until so many requests are answered, and return what was said until then."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if json.loads(line).get("answered", 0) >= answered:
            return said
    raise AssertionError(f"it ended before: {said}")


def interrupt(process: "subprocess.Popen[str]", said: str, timeout: float = 20) -> Reported:
    """Interrupt a sender that has said so much, and return what its run left; its status is 130."""
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=timeout)
    done = reported(process.returncode, said + rest)
    assert done.status == 130
    return done
