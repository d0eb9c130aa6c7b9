"""The Dockerfile: its shape, and that what it copies is enough to build from.

No Docker engine runs it here; ``tests/whole/test_install.py`` runs the same installation.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.deploy.proxies import DEPLOY
from tests.deploy.test_kubernetes import pod

ROOT = DEPLOY.parent

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, with their arguments."""
    stages: list[list[tuple[str, str]]] = []
    for line in (DEPLOY / "Dockerfile").read_text().splitlines():
        if line and not line.startswith("#"):
            instruction, _, arguments = line.partition(" ")
            if instruction == "FROM":
                stages.append([])
            stages[-1].append((instruction, arguments))
    return stages


def test_both_stages_are_of_one_slim_python_that_the_project_runs_on(
    stages: list[list[tuple[str, str]]],
) -> None:
    (image,) = {stage[0][1].removesuffix(" AS build") for stage in stages}
    found = re.fullmatch(r"python:3\.(\d+)-slim", image)
    assert found is not None
    oldest = re.fullmatch(r">=3\.(\d+)", PROJECT["requires-python"])
    assert oldest is not None
    assert int(found[1]) >= int(oldest[1])


def test_it_runs_the_server_as_no_one_and_hears_signals(
    stages: list[list[tuple[str, str]]],
) -> None:
    """In the exec form: a shell in between would keep the signal to itself."""
    last = dict(stages[-1])
    (command,) = json.loads(last["ENTRYPOINT"])
    assert command in PROJECT["scripts"]
    assert last["STOPSIGNAL"] == "SIGTERM"
    context = pod()["securityContext"]
    assert last["USER"] == f"{context['runAsUser']}:{context['runAsGroup']}"
    assert context["runAsUser"] > 0


def test_it_installs_without_qt(stages: list[list[tuple[str, str]]]) -> None:
    commands = [json.loads(arguments) for name, arguments in stages[0] if name == "RUN"]
    assert commands[-1][-3:] == ["--constraint", "requirements.txt", "."]


def test_what_it_copies_is_enough_to_build_from(
    stages: list[list[tuple[str, str]]], tmp_path: Path
) -> None:
    for name, arguments in stages[0]:
        if name == "COPY":
            *sources, target = arguments.split()
            for source in sources:
                if source.endswith("/"):
                    shutil.copytree(ROOT / source, tmp_path / target)
                else:
                    shutil.copy(ROOT / source, tmp_path / target)
    assert (tmp_path / "requirements.txt").is_file()
    built = tmp_path / "built"
    subprocess.run(
        [
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", built, tmp_path),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for script in PROJECT["scripts"].values():
        module = script.partition(":")[0].replace(".", "/")
        assert f"{module}.py" in names
    assert "web/index.html" in names
