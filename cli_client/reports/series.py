"""The series of a run for other programs: its timeline as CSV, its latencies as percentiles."""

import csv
import io

from cli_client.reports.distribution import MICROSECONDS, decode
from cli_client.reports.schema import Report

__all__ = ["percentiles", "timeline"]

STEPS = 5
"""How many percentiles there are from 0 to 50, from 50 to 75, and so on, by halves to 100."""

COLUMNS = ("second", "sent", "answered", "errors", "p50_ms", "p99_ms", "max_ms")


def timeline(report: Report) -> str:
    """Return a header and a line for each span of the timeline, as CSV (RFC 4180, but for CR).

    A latency is empty where no reply came.
    """
    lines = io.StringIO()
    writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(report["timeline"])
    return lines.getvalue()


def percentiles(report: Report) -> str:
    """Return the distribution of the latencies, in milliseconds, in HdrHistogram's text format.

    That is the format of the original, in Java, which plotters read; the library's own differs.

    Raises:
        ValueError: If the report's histogram cannot be decoded.
    """
    recorded = decode(report)
    count = recorded.get_total_count()
    if not count:
        return ""
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    for step in recorded.get_percentile_iterator(STEPS):
        share = step.percentile_level_iterated_to / 100
        value = step.value_iterated_to / MICROSECONDS
        line = f"{value:12.3f} {share:2.12f} {step.total_count_to_this_value:10d}"
        lines.append(line if share == 1 else f"{line} {1 / (1 - share):14.2f}")
    mean, deviation, longest = (
        figure / MICROSECONDS
        for figure in (recorded.get_mean_value(), recorded.get_stddev(), recorded.get_max_value())
    )
    buckets, sub_buckets = recorded.bucket_count, recorded.sub_bucket_count
    lines += [
        f"#[Mean    = {mean:12.3f}, StdDeviation   = {deviation:12.3f}]",
        f"#[Max     = {longest:12.3f}, Total count    = {count:12d}]",
        f"#[Buckets = {buckets:12d}, SubBuckets     = {sub_buckets:12d}]",
    ]
    return "\n".join(lines) + "\n"
