"""The sender against the echo server of another maker: Node.js with its package ws."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli_client.engine.corpus import edges
from tests.cli_client.sending import report

ECHO = """
const { WebSocketServer } = require("ws");
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: true });
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.on("listening", () => console.log(`ws://127.0.0.1:${server.address().port}/`));
process.stdin.on("end", () => process.exit(0)).resume();
"""

# From `make bench`, or Debian's node-ws.
PLACES = (Path(__file__).parents[2] / "benchmarks" / "node_modules", Path("/usr/share/nodejs"))


@pytest.fixture(scope="module")
def foreign_url() -> Iterator[str]:
    """The URL of an echo server in Node.js."""
    node = shutil.which("node")
    if node is None or not any((place / "ws").is_dir() for place in PLACES):
        pytest.skip("needs Node.js with the package ws; liars.py has a foreign server in Python")
    with subprocess.Popen(
        [node, "--eval", ECHO],
        env={**os.environ, "NODE_PATH": os.pathsep.join(map(str, PLACES))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate(timeout=15)


@pytest.mark.parametrize(
    "options",
    [[], ["--binary"], ["--compress"], ["--binary", "--compress", "-c", 3, "-n", 300, "-w", 5]],
)
def test_it_echoes_the_edge_cases(foreign_url: str, options: list[object]) -> None:
    done = report(foreign_url, "--expect", "echo", "--corpus", "edges", *options)
    assert (done.status, done.faults) == (0, {})
    assert done.report["ledger"]["verified"] == (300 if "-n" in options else len(edges()))


def test_it_is_no_server_of_numbers(foreign_url: str) -> None:
    done = report(foreign_url, "-n", 100)
    assert (done.status, done.faults) == (1, {"wrong": 100})
