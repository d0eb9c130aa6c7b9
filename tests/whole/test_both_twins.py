"""A whole run, server and sender both with the frame functions in C, and both in plain Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wire import frames


@pytest.mark.parametrize(("plain", "language"), [("", frames.LANGUAGE), ("1", "Python")])
@pytest.mark.parametrize(("connections", "window"), [(1, 64), (20, 1)])
def test_every_reply_of_a_run_is_verified(
    tmp_path: Path, plain: str, language: str, connections: int, window: int
) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cli_client", "--with-server", "--json", str(report)),
            *("-n", "5000", "-c", str(connections), "-w", str(window)),
        ],
        env=os.environ | {"WSROLL_PLAIN_FRAMES": plain},
        text=True,
        capture_output=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "5000"
    found = json.loads(report.read_text())
    assert found["verdict"] == "pass"
    assert found["environment"]["frames"] == language
    assert found["ledger"]["verified"] == found["ledger"]["requests"] == 5000
