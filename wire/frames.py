"""The frame functions: those in C where they were built, else those in plain Python.

A build without a C compiler leaves the extension out. ``WSROLL_PLAIN_FRAMES=1`` in the environment
chooses plain Python although the extension is there; tests and benchmarks compare the two so.
"""

import os
from typing import Literal

__all__ = ["LANGUAGE", "Answerer", "check", "pack", "split"]

LANGUAGE: Literal["C", "Python"] = "Python"
"""What the functions are written in: C or Python."""

if os.environ.get("WSROLL_PLAIN_FRAMES"):
    from wire.frames_plain import Answerer, check, pack, split
else:
    try:
        from wire.frames_native import Answerer, check, pack, split
    except ImportError:
        from wire.frames_plain import Answerer, check, pack, split
    else:
        LANGUAGE = "C"
