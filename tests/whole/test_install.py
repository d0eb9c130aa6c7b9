"""The wheel, in an environment of its own: whoever installs it has everything, anywhere."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.wire.c_compiler import find_compiler

ROOT = Path(__file__).parents[2]


ROOMS = ("wire", "server", "cli_client", "desktop_client", "web")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel that was made from an sdist, and with that."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """The folder with the commands of a fresh installation, without any extra."""
    folder = tmp_path_factory.mktemp("install")
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "venv", folder / "environment")
    commands = folder / "environment" / "bin"
    constraints = ROOT / "requirements.txt"
    run(commands / "python", "-m", "pip", "install", "--quiet", "-c", constraints, wheel)
    return commands


def run(
    *command: str | Path, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more
    return subprocess.run(
        command, cwd=cwd, env=environment, check=True, text=True, capture_output=True, timeout=110
    )


def test_wheel_and_sdist_have_every_file_of_the_rooms(built: Path) -> None:
    """Those in C among them, and data files."""
    files = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    }
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert files <= {*archive.namelist()}
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert files | {"Makefile", "tests/conftest.py", "benchmarks/package.json"} <= names


def test_the_frames_are_in_c_where_there_is_a_compiler(commands: Path, tmp_path: Path) -> None:
    language = "C" if find_compiler() else "Python"
    version = run(commands / "wsroll-server", "--version", cwd=tmp_path).stdout
    assert version.endswith(f" (frames in {language})\n")


def test_without_a_compiler_it_is_built_all_the_same(tmp_path: Path) -> None:
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(
        *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
        *("--outdir", tmp_path, source),
        CC="/no/such/compiler",
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "wire/frames_plain.py" in names
    assert not [name for name in names if name.endswith((".so", ".pyd"))]


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
