"""The systemd unit: valid, hardened, and of one mind with the server."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import skip_unless_ci
from tests.deploy.proxies import DEPLOY

UNIT = DEPLOY / "systemd" / "wsroll-server@.service"

MOST_EXPOSURE = 20
"""In tenths of the scale of ``systemd-analyze security``, from 0 to 10. A server without any
hardening has 9.6."""


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """The unit of port 8765, with the command where these tests have it."""
    text = UNIT.read_text()
    assert text.count("/opt/wsroll/bin/") == 1
    instance = tmp_path / "wsroll-server@8765.service"
    instance.write_text(text.replace("/opt/wsroll/bin", sysconfig.get_path("scripts")))
    return instance


def analyze(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = shutil.which("systemd-analyze")
    if command is None:
        skip_unless_ci("systemd-analyze, of the Debian package systemd")
    return subprocess.run([command, *arguments], text=True, capture_output=True, timeout=60)


def test_the_unit_is_valid(instance: Path) -> None:
    done = analyze("verify", "--recursive-errors=no", "--man=no", instance)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_unit_with_a_fault_is_not_valid(instance: Path) -> None:
    instance.write_text(instance.read_text().replace("KillMode=mixed", "KillMode=gently"))
    done = analyze("verify", "--recursive-errors=no", "--man=no", instance)
    assert "Failed to parse" in done.stderr


def test_the_unit_is_hardened(instance: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", instance)
    assert done.returncode == 0, done.stdout


def test_it_has_time_to_drain_and_to_close() -> None:
    text = UNIT.read_text()
    seconds = {name: float(value) for name, value in re.findall(r"(\w+)=(\d+)(?:\s|$)", text)}
    assert seconds["WSROLL_DRAIN"] + seconds["WSROLL_GRACE"] < seconds["TimeoutStopSec"]
