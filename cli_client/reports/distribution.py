"""The latencies of a run in full: the histogram that a report carries, decoded."""

import zlib

from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

from cli_client.reports.schema import Report

__all__ = ["MICROSECONDS", "decode"]

MICROSECONDS = 1000
"""How many of the histogram's units are a millisecond."""


def decode(report: Report) -> HdrHistogram:
    """Return the histogram of a report; its values are in microseconds.

    Raises:
        ValueError: If it cannot be decoded.
    """
    try:
        return HdrHistogram.decode(report["hdr"])
    except (HdrCookieException, HdrLengthException, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"the report's hdr is no HdrHistogram: {error}") from None
