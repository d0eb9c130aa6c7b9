"""The peers: which there are, how each is started, and how it is ended."""

import contextlib
import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from wire.address import find_announced_url

__all__ = ["FOLDER", "OURS", "Running", "Server", "npm_version", "pypi_version", "servers", "start"]

FOLDER = Path(__file__).parent
PEERS = FOLDER / "peers"
OURS = "wsroll"
START_TIMEOUT = 15.0
STOP_TIMEOUT = 10.0


@dataclass(frozen=True)
class Server:
    """A server to measure: its command, or why it cannot run here."""

    name: str
    version: str
    command: Sequence[str | Path]
    missing: str = ""


@dataclass(frozen=True)
class Running:
    """A server process that takes connections."""

    url: str
    pid: int


def pypi_version(package: str) -> str:
    """Return the version of an installed package, or nothing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def npm_version(package: str) -> str:
    """Return the version of a package in node_modules, or nothing."""
    manifest = FOLDER / "node_modules" / package / "package.json"
    return str(json.loads(manifest.read_text())["version"]) if manifest.exists() else ""


def find_bun() -> Path | None:
    """Return Bun's program, wherever its packages left it."""
    modules = FOLDER / "node_modules"
    places = [*modules.glob("@oven/*/bin/bun*"), modules / "bun/bin/bun.exe"]
    return next((place for place in places if place.is_file()), None)


def servers() -> list[Server]:
    """Return all servers, ours first."""
    node, bun = shutil.which("node"), find_bun()
    return [
        Server(OURS, pypi_version("wsroll"), [sys.executable, "-m", "server", "--port", "0"]),
        Server(
            "websockets (plain handler)",
            pypi_version("websockets"),
            [sys.executable, PEERS / "plain.py"],
        ),
        Server(
            "picows",
            pypi_version("picows"),
            [sys.executable, PEERS / "picows_server.py"],
            "" if util.find_spec("picows") else "picows is not installed (PyPI)",
        ),
        Server(
            "Node.js ws",
            npm_version("ws"),
            [node or "node", PEERS / "ws_server.mjs"],
            "" if node and npm_version("ws") else "Node.js or its package ws is not installed",
        ),
        Server(
            "Bun",
            npm_version("bun"),
            [bun or "bun", PEERS / "bun_server.js"],
            "" if bun else "bun is not installed (npm)",
        ),
    ]


@contextlib.contextmanager
def start(server: Server, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Run a server for as long as the context lasts.

    Raises:
        RuntimeError: If it does not say within 15 seconds where it listens.
    """
    process = subprocess.Popen(
        [str(part) for part in server.command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=FOLDER.parent,
    )
    assert process.stdout is not None
    output = process.stdout
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        """Keep reading, so that no server waits for room to log."""
        for line in output:
            lines.put(line.strip())
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield Running(_announced(server, lines), process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(STOP_TIMEOUT)
        output.close()


def _announced(server: Server, lines: "queue.SimpleQueue[str | None]") -> str:
    """Return the URL that a server prints: ours in a sentence, the others' alone on a line."""
    said = []
    while True:
        try:
            line = lines.get(timeout=START_TIMEOUT)
        except queue.Empty:
            line = None
        if line is None:
            raise RuntimeError(f"{server.name} did not start: {' / '.join(said) or 'no output'}")
        url = find_announced_url(line) or (line if line.startswith("ws://") else None)
        if url:
            return url
        said.append(line)
