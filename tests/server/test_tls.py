"""TLS: the page over https, the exchange over wss, and one line for what cannot be used."""

import contextlib
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.tls import TLSError, server_context
from tests.certificates import Pair, make_pair
from tests.server.raw import CLOSE, TEXT, RawClient, close_code, frame
from tests.server.running import Running, run_to_end, running
from wire.exchange import check_reply


@pytest.fixture(scope="module")
def trusting(pair: Pair) -> ssl.SSLContext:
    """A client's context that trusts that certificate and no other."""
    return ssl.create_default_context(cafile=str(pair.certificate))


@pytest.fixture(scope="module")
def secure(pair: Pair) -> Iterator[Running]:
    """A server that speaks TLS."""
    options = ("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))
    with running(*options, "--open-timeout", "0.5", "--stall-timeout", "0.7") as server:
        yield server


def test_wss_and_https(secure: Running, trusting: ssl.SSLContext) -> None:
    """The addresses are announced, and both work."""
    assert secure.announcement.strip().endswith(
        f"Listening on wss://localhost:{secure.port}/ (page: https://localhost:{secure.port}/)"
    )
    with secure.connect(tls=trusting) as client:
        requests = [f"Request {i}".encode() for i in range(5000)]
        client.send(b"".join(frame(TEXT, request) for request in requests) + frame(CLOSE))
        for request in requests:
            reply = client.read_frame()
            assert reply is not None
            check_reply(request, reply.payload)
        assert close_code(client.read_frame()) == 0
    status, _, body = secure.get("/", tls=trusting)
    assert status == 200
    assert b"<title>" in body


def test_a_bad_frame_over_tls(secure: Running, trusting: ssl.SSLContext) -> None:
    """Replies, close code, end: as without TLS."""
    with secure.connect(tls=trusting) as client:
        client.send(frame(TEXT, "before") + frame(TEXT, b"\xff"))
        reply = client.read_frame()
        assert reply is not None
        check_reply(b"before", reply.payload)
        assert close_code(client.read_frame()) == 1007
        assert client.read_frame() is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_modern_versions(secure: Running, pair: Pair, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3 are spoken."""
    context = ssl.create_default_context(cafile=str(pair.certificate))
    context.minimum_version = context.maximum_version = version
    with secure.connect(tls=context) as client:
        client.ask("Request 1")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_versions_are_refused(secure: Running, pair: Pair) -> None:
    """TLS 1.1 and what was before it are not."""
    context = ssl.create_default_context(cafile=str(pair.certificate))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        secure.connect(tls=context)


def test_clients_that_speak_no_tls(secure: Running, trusting: ssl.SSLContext) -> None:
    """Plain HTTP, nonsense, silence and a sudden end: no traceback, and others are served."""
    for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 1000, b"\0" * 100):
        with RawClient(secure.url) as client:
            client.send(sent)
            with pytest.raises((ConnectionError, AssertionError)):
                assert client.socket.recv(10) == b"HTTP"
    with RawClient(secure.url) as silent:
        assert silent.socket.recv(10) == b""  # after --open-timeout
    with secure.connect(tls=trusting) as client:
        client.ask("Request 1")
        client.reset()
    with secure.connect(tls=trusting) as client:
        client.ask("Request 2")


def test_a_tls_client_that_reads_nothing(secure: Running, trusting: ssl.SSLContext) -> None:
    """It costs less than 2 MiB and is cut off, as without TLS."""
    flood = frame(TEXT, "x" * 1000) * 1000
    with secure.connect(tls=trusting) as good:
        for _ in range(3):
            good.send(frame(TEXT, "x" * 1000) * 100)
            good.read_frames(100)
    with secure.connect(receive_buffer=4096, tls=trusting) as client:
        before = secure.memory()
        secure.forget_peak()
        taken = 0
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
            while taken < 2**30:
                client.send(flood)
                taken += len(flood)
    growth = secure.memory("VmHWM") - before
    print(f"taken: {taken / 2**20:.1f} MiB, growth: {growth / 2**20:.2f} MiB")
    assert taken < 2**26
    assert growth < 2 * 2**20
    secure.wait_for_log("has not read")


def test_a_tls_server_stops(pair: Pair, trusting: ssl.SSLContext) -> None:
    """1001 and exit status 0, with a client in the midst of its TLS handshake."""
    options = ("--tls-cert", str(pair.certificate), "--tls-key", str(pair.key))
    with (
        running(*options, "--grace", "5") as server,
        socket.create_connection(("127.0.0.1", server.port)),
        server.connect(tls=trusting) as client,
    ):
        client.ask("Request 1")
        server.signal(signal.SIGTERM)
        received = client.read_frame()
        assert received is not None
        assert close_code(received) == 1001
        client.send(frame(CLOSE, received.payload))
        assert client.read_frame() is None
        client.socket.close()
        assert server.wait() == 0


def test_one_file_may_hold_both(pair: Pair, trusting: ssl.SSLContext, tmp_path: Path) -> None:
    """``--tls-key`` is for a key in a file of its own."""
    both = tmp_path / "both.pem"
    both.write_text(pair.key.read_text() + pair.certificate.read_text())
    with running("--tls-cert", str(both)) as server, server.connect(tls=trusting) as client:
        client.ask("Request 1")


def test_files_that_cannot_be_used(pair: Pair, tmp_path: Path) -> None:
    """The message names the file; the command says it in one line, with exit status 2."""
    other = make_pair(tmp_path)
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("not a certificate")
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "ec", "-aes128", "-passout", "pass:secret", "-in", pair.key, "-out", locked],
        check=True,
        capture_output=True,
    )
    missing = tmp_path / "missing.pem"
    for certificate, key, named in (
        (missing, pair.key, missing),
        (pair.certificate, missing, missing),
        (nonsense, pair.key, nonsense),
        (pair.certificate, nonsense, nonsense),
        (pair.certificate, other.key, other.key),
        (pair.certificate, locked, locked),
        (tmp_path, pair.key, tmp_path),
        (pair.certificate, None, pair.certificate),
    ):
        with pytest.raises(TLSError, match=re.escape(str(named))):
            server_context(certificate, key)
    result = run_to_end("--port", "0", "--tls-cert", str(missing))
    assert result.returncode == 2, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert str(missing) in result.stderr
