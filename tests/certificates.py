"""Certificates for the tests, made by the ``openssl`` command."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.conftest import skip_unless_ci

__all__ = ["Pair", "make_pair"]


class Pair(NamedTuple):
    """A certificate and its key."""

    certificate: Path
    key: Path


def make_pair(folder: Path) -> Pair:
    """Make a certificate for localhost that signs itself."""
    if shutil.which("openssl") is None:
        skip_unless_ci("the openssl command")
    pair = Pair(folder / "cert.pem", folder / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-days", "2", "-nodes", "-subj", "/CN=localhost"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-out", str(pair.certificate), "-keyout", str(pair.key)),
        ],
        check=True,
        capture_output=True,
    )
    return pair
