"""TLS: whom the sender trusts, which certificate it shows, and what it says of bad ones."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Pair, make_pair
from tests.cli_client.liars import ServerConnection, reply_to, serving
from tests.cli_client.sending import report, send


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The server's certificate and key."""
    return make_pair(tmp_path_factory.mktemp("theirs"))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The client's certificate and key."""
    return make_pair(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def strict_url(theirs: Pair, ours: Pair) -> Iterator[str]:
    """The URL of a server that wants the client's certificate."""

    async def handle(websocket: ServerConnection) -> None:
        async for message in websocket:
            await websocket.send(reply_to(message))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ours.certificate))
    context.load_cert_chain(theirs.certificate, theirs.key)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(handle, context) as url:
        yield url


def test_each_shows_the_other_a_certificate(strict_url: str, theirs: Pair, ours: Pair) -> None:
    shown = ["--cert", ours.certificate, "--key", ours.key]
    done = report(strict_url, "-n", 500, "-c", 2, "--cacert", theirs.certificate, *shown)
    assert (done.status, done.faults) == (0, {})
    assert report(strict_url, "-n", 5, "-k", *shown).status == 0


def test_a_certificate_and_its_key_may_be_in_one_file(
    strict_url: str, ours: Pair, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(ours.certificate.read_bytes() + ours.key.read_bytes())
    assert report(strict_url, "-n", 5, "-k", "--cert", both).status == 0


def test_a_server_that_is_not_trusted(strict_url: str) -> None:
    done = send(strict_url)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith(f"the certificate of {strict_url} is not trusted (self-signed ")
    assert line.endswith("Trust its issuer with --cacert, or any with -k.")


def test_a_server_that_wants_a_certificate_and_gets_none(strict_url: str, theirs: Pair) -> None:
    done = send(strict_url, "--cacert", theirs.certificate)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.endswith(
        "it closed the connection before it had answered. Does it want a certificate (--cert)?"
    )


def test_wss_where_there_is_no_tls() -> None:
    async def handle(websocket: ServerConnection) -> None:
        pass

    with serving(handle) as url:
        done = send(url.replace("ws://", "wss://"), "--connect-timeout", "5s")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.endswith("it closed the connection before TLS was agreed on. Is it ws://?")


def test_certificates_that_cannot_be_used_are_one_line_and_status_2(
    theirs: Pair, ours: Pair, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "pkey", "-in", ours.key, "-aes128", "-passout", "pass:x", "-out", locked],
        check=True,
        capture_output=True,
    )
    empty = tmp_path / "empty.pem"
    empty.touch()
    for options, named in (
        (["--cacert", empty], "cannot use"),
        (["--cacert", ours.key], f"cannot use {ours.key}: no certificate"),
        (["--cert", empty], f"there is no certificate in {empty}"),
        (["--cert", ours.certificate], f"there is no private key in {ours.certificate}"),
        (["--cert", ours.certificate, "--key", theirs.key], "key values mismatch"),
        (["--cert", ours.certificate, "--key", locked], f"{locked} is locked by a password"),
    ):
        done = send("wss://localhost:1/", *options, stdin=subprocess.DEVNULL)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 2
        assert named in line
