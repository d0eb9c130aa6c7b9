"""Two report files side by side, as a command."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli_client.reports.compare import compare
from cli_client.reports.load import load
from tests.cli_client.reports.samples import HOSTILE, failing, passing, recovered, unopened


def run(*arguments: Path | str, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli_client.compare", *map(str, arguments)],
        capture_output=True,
        timeout=60,
        encoding=encoding,
        env={"PYTHONIOENCODING": encoding},
    )


def saved(path: Path, report: Any) -> Path:
    path.write_text(json.dumps(report), encoding="utf-8")
    return path


def rows(a: dict[str, Any], b: dict[str, Any]) -> dict[str, list[str]]:
    """The figures of a comparison, and what is said of them, by their names."""
    lines = compare(a, b).splitlines()
    (head,) = (place for place, line in enumerate(lines) if line.split() == ["A", "B", "change"])
    return {line[:22].strip(): line[22:].split() for line in lines[head + 1 :]}


def test_the_command_shows_both_runs(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a.json", passing()), saved(tmp_path / "b.json", failing())
    done = run(a, b)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == compare(passing(), failing()) + "\n"
    assert done.stdout.splitlines()[:2] == [
        "A  PASS  2026-11-24T14:30:00+00:00  ws://localhost:8765/",
        "B  FAIL  2026-11-24T14:30:00+00:00  ws://localhost:8765/",
    ]
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_the_change_of_each_figure_is_told_and_judged() -> None:
    a, b = passing(), passing()
    b["ledger"] |= {"verified": 9_990, "missing": 10}
    b["attempts"]["reconnects"] = 1
    b["elapsed_s"], b["rate"] = 2.0, 5000.0
    b["latency_ms"] |= {"p50": a["latency_ms"]["p50"] * 1.5, "p99": a["latency_ms"]["p99"] * 1.005}
    found = rows(a, b)
    assert found["requests"] == ["10,000", "10,000", "same"]
    assert found["verified"] == ["10,000", "9,990", "-0.1", "%", "worse"]
    assert found["missing"] == ["0", "10", "new", "worse"]
    assert found["reconnects"] == ["0", "1", "new", "worse"]
    assert found["elapsed, s"] == ["2.50", "2.00", "-20.0", "%", "better"]
    assert found["rate, messages/s"] == ["4,000", "5,000", "+25.0", "%", "better"]
    assert found["latency p50, ms"][2:] == ["+50.0", "%", "worse"]
    assert found["latency p99, ms"][2:] == ["+0.5", "%"]
    assert found["latency max, ms"][2:] == ["same"]
    assert "wrong" not in found
    assert rows(b, a)["missing"] == ["10", "0", "-100.0", "%", "better"]


def test_runs_of_another_length_are_not_judged_by_their_counts() -> None:
    a, b = passing(), passing()
    b["ledger"] |= {"requests": 100, "verified": 99, "missing": 1}
    b["elapsed_s"] = 0.1
    found = rows(a, b)
    for name in ("requests", "verified", "missing", "elapsed, s"):
        assert found[name][-1] not in ("better", "worse")


def test_latencies_that_count_from_other_moments_are_not_judged() -> None:
    a, b = passing(), failing()
    assert "latency: only one run was at a rate" in compare(a, b)
    assert rows(a, b)["latency p99, ms"][-1] == "%"
    assert rows(failing(), b)["raw latency p99, ms"][-1] == "same"
    assert "only one run" not in compare(b, b)


def test_the_time_of_a_run_at_a_rate_is_neither_better_nor_worse() -> None:
    for setting in ({"rate": 1000.0}, {"duration": 3.0}):
        a, b = passing(), passing()
        a["settings"] |= setting
        b["settings"] |= setting
        b["elapsed_s"] = 5.0
        assert rows(a, b)["elapsed, s"] == ["2.50", "5.00", "+100.0", "%"]
        assert "time: it was set by a rate or a duration" in compare(a, b)


def test_what_could_not_be_compared_is_named() -> None:
    a, b = passing(), passing()
    for report in (a, b):
        report["settings"] |= {
            "headers": [["Cookie", "***"], ["Authorization", "Bearer {env:TOKEN}"]],
            "file": "requests.txt",
        }
    lines = compare(a, b).splitlines()
    start = lines.index("Not compared:")
    assert lines[start + 1 : lines.index("", start)] == [
        "  headers: its secret is in neither report",
        "  headers: the value of {env:TOKEN} is in neither report",
        "  file: its content is in neither report",
    ]
    assert "Not compared" not in compare(passing(), passing())
    assert "latency: no reply came in B" in compare(passing(), unopened())


def test_what_connections_cost_is_compared() -> None:
    found = rows(passing(), recovered())
    assert found["handshake failures"] == ["0", "5", "new", "worse"]
    assert found["reconnects"] == ["0", "8", "new", "worse"]
    assert "RECOVERED" in compare(passing(), recovered())


def test_settings_that_differ_are_named() -> None:
    a, b = passing(), passing()
    b["settings"] |= {"window": 8, "cacert": "ca.pem", "later": None}
    del b["settings"]["connections"]
    lines = compare(a, b).splitlines()
    start = lines.index("Set otherwise:")
    assert lines[start + 1 : lines.index("", start)] == [
        "  connections: A 1, B unset",
        "  window: A 64, B 8",
        "  cacert: A unset, B ca.pem",
    ]
    assert "The settings are the same." in compare(a, a)


def test_a_file_cannot_control_the_terminal(tmp_path: Path) -> None:
    report = failing()
    report["url"] = report["started_at"] = HOSTILE
    report["settings"]["template"] = report["settings"][HOSTILE] = HOSTILE
    done = run(saved(tmp_path / "a.json", passing()), saved(tmp_path / "b.json", report))
    assert done.returncode == 0
    assert all(char.isprintable() for char in done.stdout.replace("\n", ""))


def test_any_encoding_will_do(tmp_path: Path) -> None:
    report = passing()
    report["settings"]["template"] = "zwölf 🎲 {i}"
    files = saved(tmp_path / "a.json", passing()), saved(tmp_path / "b.json", report)
    done = run(*files, encoding="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "B zw\\xf6lf \\U0001f3b2 {i}" in done.stdout
    assert "B zwölf 🎲 {i}" in run(*files).stdout


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.json", passing())
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cli_client.compare", file, file],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == "cannot write the comparison: No space left on device\n"


def without(name: str, inner: str | None = None) -> dict[str, Any]:
    report = passing()
    del (report[inner] if inner else report)[name]
    return report


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is no report: it is not JSON"),
        ("{", "is no report: it is not JSON"),
        ("\N{SNOWMAN}", "is no report: it is not JSON"),
        ('{"schema": ' + "[" * 100_000, "is no report: Expected int, got array at schema"),
        ("9" * 5_000, "is no report: Number out of range"),
        ('{"schema": NaN}', "is no report: it is not JSON"),
        ("[]", "is no report: Expected object, got array"),
        ('{"event": "report"}', "is no report: Object missing required field schema"),
        ('{"schema": 1}', "has schema 1; this version reads 2"),
        ('{"schema": true}', "is no report: Expected int, got bool at schema"),
        ('{"schema": "\\u001b[2J"}', "is no report: Expected int, got str at schema"),
        (without("ledger"), "is no report: Object missing required field ledger"),
        (without("late", "ledger"), "Object missing required field late at ledger"),
        (without("p99", "latency_ms"), "Object missing required field p99 at latency_ms"),
        (
            {**passing(), "ledger": {**passing()["ledger"], "late": True}},
            "Expected int, got bool at ledger.late",
        ),
        (
            {**passing(), "ledger": {**passing()["ledger"], "late": -1}},
            "Expected int >= 0 at ledger.late",
        ),
        ({**passing(), "rate": "fast"}, "Expected float, got str at rate"),
        ({**passing(), "rate": True}, "Expected float, got bool at rate"),
        ({**passing(), "rate": 10**400}, "is no report: Number out of range"),
        ({**passing(), "url": None}, "Expected str, got null at url"),
        ({**passing(), "settings": []}, "Expected object, got array at settings"),
        ({**passing(), "verdict": "good"}, "Invalid enum value 'good' at verdict"),
        ({**passing(), "raw_latency_ms": {}}, "required field min at raw_latency_ms"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(tmp_path: Path, content: Any, why: str) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.json") as caught:
        load(bad)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("good.json", "missing.json"), "cannot read missing.json: No such file"),
        (("good.json", "."), "cannot read .: Is a directory"),
        (("bad.json", "good.json"), "bad.json is no report: it is not JSON."),
        (("good.json",), "Missing argument 'B.json'"),
    ],
)
def test_a_bad_command_line_is_one_line_and_status_2(
    tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    saved(tmp_path / "good.json", passing())
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe")
    command = [sys.executable, "-m", "cli_client.compare", *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        timeout=60,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path.cwd())},
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"wsroll-send compare: {why}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.sampled_from(sorted(passing())), JSON)
def test_whatever_stands_in_a_field_is_refused_or_compared(
    tmp_path_factory: pytest.TempPathFactory, name: str, value: Any
) -> None:
    file = saved(tmp_path_factory.getbasetemp() / "any.json", {**failing(), name: value})
    try:
        report = load(file)
    except ValueError:
        return
    assert compare(passing(), report)
    assert compare(report, passing())
