"""The series of a run for other programs: its timeline as CSV, its latencies as percentiles."""

import csv
import io

from hdrh.histogram import HdrHistogram

from cli_client.reports.distribution import MICROSECONDS, decode
from cli_client.reports.wording import Report

__all__ = ["percentiles", "timeline"]

COLUMNS = ("second", "sent", "answered", "errors", "p50_ms", "p99_ms", "max_ms")


def timeline(report: Report) -> str:
    """Return a header and a line for each second of the run, as CSV (RFC 4180, but for CR)."""
    lines = io.StringIO()
    writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(report["timeline"])
    return lines.getvalue()


def percentiles(report: Report) -> str:
    """Return the distribution of the latencies, in milliseconds, in HdrHistogram's text format.

    Raises:
        ValueError: If the report's histogram cannot be decoded.
    """
    encoded = decode(report)
    histogram = _Milliseconds(
        encoded.lowest_trackable_value, encoded.highest_trackable_value, encoded.significant_figures
    )
    if not encoded.get_total_count():
        return ""
    histogram.add(encoded)
    text = io.BytesIO()
    histogram.output_percentile_distribution(text, MICROSECONDS)
    return text.getvalue().decode()


class _Milliseconds(HdrHistogram):  # type: ignore[misc]
    """A histogram that writes its standard deviation in the unit of all else.

    The library scales every other figure of that output, but not this one.
    """

    def get_stddev(self) -> float:
        deviation: float = super().get_stddev()
        return deviation / MICROSECONDS
