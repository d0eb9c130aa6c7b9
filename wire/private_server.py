"""A private server: a ``wsroll-server`` child process on a free port, for one client."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from queue import Empty, Queue
from typing import IO

from wire.address import find_announced_url

__all__ = ["COMMAND", "PrivateServerError", "private_server"]

COMMAND = (sys.executable, "-m", "server", "--port", "0", "--stop-on-eof", "--quiet")
"""The command line of a private server; it ends when its standard input does."""

START_TIMEOUT = 10.0
"""Seconds; a start takes a tenth of a second, so this suits a machine that is very busy."""

STOP_TIMEOUT = 10.0
"""Seconds until the server is killed: its own default grace period."""


class PrivateServerError(Exception):
    """The private server did not start."""


@contextlib.contextmanager
def private_server(options: Sequence[str] = ()) -> Iterator[str]:
    """Run a private server and give its URL.

    The server ends with the context. It also ends when this process dies, however that happens,
    because its standard input is then closed. Its log goes to this process's standard error.

    Raises:
        PrivateServerError: If it does not say within 10 seconds where it listens.
    """
    server = subprocess.Popen(
        [*COMMAND, *options],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C reaches every process of the terminal; the server must outlive its client's report.
        start_new_session=True,
    )
    assert server.stdin is not None
    assert server.stderr is not None
    announced: Queue[str | None] = Queue(maxsize=1)
    relay = threading.Thread(target=_relay, args=(server.stderr, announced), daemon=True)
    relay.start()
    try:
        try:
            url = announced.get(timeout=START_TIMEOUT)
        except Empty:
            raise PrivateServerError(
                f"the private server said nothing within {START_TIMEOUT:g} seconds"
            ) from None
        except BaseException:
            server.kill()  # it serves nobody yet, so nobody has to wait for it
            raise
        if url is None:
            raise PrivateServerError("the private server did not start")
        yield url
    finally:
        server.stdin.close()
        try:
            server.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        relay.join(STOP_TIMEOUT)
        server.stderr.close()


def _relay(stderr: IO[str], announced: "Queue[str | None]") -> None:
    """Pass the announced URL on once (None if there is none), and every other line."""
    waiting = True
    for line in stderr:
        url = find_announced_url(line) if waiting else None
        if url is None:
            sys.stderr.write(line)
        else:
            waiting = False
            announced.put(url)
    if waiting:
        announced.put(None)
