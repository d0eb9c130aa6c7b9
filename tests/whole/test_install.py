"""The wheel, in an environment of its own: whoever installs it has everything, anywhere."""

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the commands of a fresh installation, without any extra."""
    folder = tmp_path_factory.mktemp("install")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    run(sys.executable, "-m", "venv", folder / "environment")
    commands = folder / "environment" / "bin"
    constraints = ROOT / "requirements.txt"
    run(commands / "python", "-m", "pip", "install", "--quiet", "-c", constraints, wheel)
    return commands


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=cwd, env=environment, check=True, text=True, capture_output=True, timeout=110
    )


def test_the_sender_runs_with_a_server_of_its_own(commands: Path, tmp_path: Path) -> None:
    done = run(commands / "wsroll-send", "--with-server", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert len(lines) == 10_001
    assert lines[-1] == "10000"
    for i, line in enumerate(lines[:-1]):
        assert re.fullmatch(rf"Response for Request {i}: ([1-9]|[1-9]\d|100)", line)


def test_the_server_serves_the_page_that_is_in_the_wheel(commands: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        [commands / "wsroll-server", "--port", "0", "--stop-on-eof"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stderr is not None
        announced = re.search(r"\(page: (\S+)\)", server.stderr.readline())
        assert announced is not None
        with urllib.request.urlopen(announced[1], timeout=10) as response:
            page = response.read()
        assert page == (ROOT / "web" / "index.html").read_bytes()
        server.stdin.close()
        assert server.wait(timeout=10) == 0


def test_the_window_without_qt_is_one_line_of_advice(commands: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [commands / "wsroll-desktop"], cwd=tmp_path, text=True, capture_output=True, timeout=60
    )
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert "wsroll[desktop]" in line


@pytest.mark.parametrize("command", ["wsroll-server", "wsroll-send", "wsroll-desktop"])
def test_each_command_has_help(commands: Path, tmp_path: Path, command: str) -> None:
    assert f"Usage: {command}" in run(commands / command, "--help", cwd=tmp_path).stdout
