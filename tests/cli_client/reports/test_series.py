"""The series of a run, as other programs read them."""

import csv
import io
import re

import pytest

from cli_client.reports.series import percentiles, timeline
from tests.cli_client.reports.samples import distribution, failing, passing, second


def test_the_timeline_has_a_header_and_a_line_for_each_second() -> None:
    report = failing()
    rows = list(csv.DictReader(io.StringIO(timeline(report))))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == [
        {name: float(value) for name, value in second.items()} for second in report["timeline"]
    ]


def test_a_second_without_a_reply_has_no_latency() -> None:
    report = {**passing(), "timeline": [second(0, 1, 0, p50_ms=None, p99_ms=None, max_ms=None)]}
    assert timeline(report).splitlines()[1] == "0,1,0,0,,,"


def test_a_run_without_a_second_leaves_the_header() -> None:
    assert timeline({**passing(), "timeline": []}) == (
        "second,sent,answered,errors,p50_ms,p99_ms,max_ms\n"
    )


def test_the_percentiles_are_in_milliseconds() -> None:
    text = percentiles({**passing(), **distribution([1000] * 50 + [3000] * 50)})
    assert text.split()[:4] == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    rows = re.findall(r"^ *([\d.]+) ([\d.]+) +(\d+)", text, re.MULTILINE)
    assert rows[0] == ("1.000", "0.000000000000", "50")
    value, percentile, count = rows[-1]
    assert float(value) == pytest.approx(3.0, rel=0.001)
    assert (percentile, count) == ("1.000000000000", "100")
    (mean, deviation) = re.findall(r"Mean +=\s+([\d.]+), StdDeviation +=\s+([\d.]+)", text)[0]
    assert float(mean) == pytest.approx(2.0, rel=0.001)
    assert float(deviation) == pytest.approx(1.0, rel=0.001)
    assert re.search(
        r"^#\[Max     = +3\.\d{3}, Total count    =          100\]$", text, re.MULTILINE
    )


def test_a_run_without_replies_has_no_percentiles() -> None:
    from hdrh.histogram import HdrHistogram

    empty = HdrHistogram(1, 3_600_000_000, 3).encode().decode()
    assert percentiles({**passing(), "hdr": empty}) == ""
