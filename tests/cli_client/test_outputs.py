"""What a run leaves in files, and what it is held to."""

import csv
import json
from pathlib import Path

import jsonschema
import pytest

from tests.cli_client import liars
from tests.cli_client.liars import at, serving
from tests.cli_client.sending import report, send

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(
    "options",
    [
        ["-n", "2000"],
        ["-n", "10"],
        ["-n", "2000", "-c", "4", "-r", "10k", "--check", "p99<10s"],
        ["-n", "100", "--expect", "any", "--compress", "-a", "me:pw", "-H", "Cookie: secret"],
        ["-n", "2000", "-c", "2", "--processes", "2"],
        ["--corpus", "edges"],
    ],
)
def test_every_report_keeps_to_its_schema(
    server_url: str, tmp_path: Path, options: list[str]
) -> None:
    path = tmp_path / "report.json"
    done = send(server_url, "-q", "--json", path, *options)
    assert done.returncode == 0, done.stderr
    text = path.read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), SCHEMA)
    assert "secret" not in text


def test_the_report_of_a_bad_run_keeps_to_it_too(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with serving(at("Request 5", liars.close)) as url:
        send(url, "-n", 20, "-w", 1, "--retries", 1, "--json", path)
    found = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(found, SCHEMA)
    assert found["verdict"] == "fail"


def test_the_report_on_standard_output_is_alone_there(server_url: str) -> None:
    done = send(server_url, "-n", 100, "--json", "-")
    assert json.loads(done.stdout)["ledger"]["verified"] == 100


def test_all_files_of_one_run(server_url: str, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"run.{kind}" for kind in ("json", "html", "csv", "hdr", "ledger")}
    options = [text for kind, path in files.items() for text in (f"--{kind}", path)]
    done = send(server_url, "-q", "-n", 5000, *options)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(files["csv"].read_text(encoding="utf-8").splitlines()))
    assert sum(int(row["answered"]) for row in rows) == 5000
    assert "PASS" in files["html"].read_text(encoding="utf-8").upper()
    assert "#[Max" in files["hdr"].read_text(encoding="utf-8")
    assert len(files["ledger"].read_text(encoding="utf-8").splitlines()) == 5000


@pytest.mark.parametrize("kind", ["json", "html", "csv", "hdr"])
def test_a_file_that_cannot_be_written_fails_the_run(server_url: str, kind: str) -> None:
    done = send(server_url, "-q", "-n", 10, f"--{kind}", "/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("cannot write ")
    assert "Traceback" not in done.stderr
    assert done.stdout == "10\n"


def test_a_ledger_that_cannot_be_written_fails_the_run(server_url: str) -> None:
    done = send(server_url, "-q", "-n", 10, "--ledger", "/dev/full")
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("check", "status"),
    [
        ("p99<60s", 0),
        ("p(99) < 60000", 0),
        ("errors==0", 0),
        ("verified==100", 0),
        ("rate>1", 0),
        ("p99<1us", 1),
        ("rate>1000000000", 1),
    ],
)
def test_a_check_sets_the_exit_status(server_url: str, check: str, status: int) -> None:
    done = send(server_url, "-q", "-n", 100, "--check", check)
    assert done.returncode == status
    assert check.split("<")[0].split(">")[0].split("=")[0].strip() in done.stderr


def test_one_check_that_fails_is_enough(server_url: str) -> None:
    done = report(server_url, "-n", 100, "--check", "errors==0", "--check", "rate<1")
    assert done.status == 1
    assert [check["passed"] for check in done.report["checks"]] == [True, False]


def test_two_runs_side_by_side(server_url: str, tmp_path: Path) -> None:
    for name in "ab":
        send(server_url, "-q", "-n", 1000, "--json", tmp_path / f"{name}.json")
    done = send("compare", tmp_path / "a.json", tmp_path / "b.json")
    assert done.returncode == 0, done.stderr
    for figure in ("rate", "p99", "verified"):
        assert figure in done.stdout


def test_comparing_what_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "no.json"
    path.write_text("{}")
    done = send("compare", path, path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert str(path) in line


def test_no_colour_where_none_is_wanted(server_url: str, tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    command = f"{sys.executable} -m cli_client {server_url} -q -n 10 --progress none"
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        done = subprocess.run(
            ["script", "-qec", command, str(tmp_path / "typescript")],
            text=True,
            capture_output=True,
            timeout=60,
            env={**os.environ, "TERM": "xterm", **environment},
        )
        assert ("\x1b[" in done.stdout) is coloured
