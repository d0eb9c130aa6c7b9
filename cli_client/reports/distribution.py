"""The latencies of a run in full: the histogram that a report carries, decoded."""

import zlib
from typing import Any

from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

__all__ = ["MICROSECONDS", "decode"]

MICROSECONDS = 1000
"""How many of the histogram's units are a millisecond."""


def decode(report: dict[str, Any]) -> HdrHistogram:
    """Return the histogram of a report; its values are in microseconds.

    Raises:
        ValueError: If it cannot be decoded.
    """
    try:
        return HdrHistogram.decode(report["hdr"])
    except (HdrCookieException, HdrLengthException, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"the report's hdr is no HdrHistogram: {error}") from None
