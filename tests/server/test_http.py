"""Plain HTTP on the same port: the page and what operators look at."""

import json
import signal
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.raw import CLOSE, PING, TEXT, RawClient, close_code, frame, handshake
from tests.server.running import Running, running
from wire import frames

PAGE = Path(__file__).parents[2] / "web" / "index.html"


def header(head: str, name: str) -> str:
    """Return the one value of a header."""
    found = [
        line.partition(":")[2].strip()
        for line in head.splitlines()[1:]
        if line.partition(":")[0].lower() == name.lower()
    ]
    assert len(found) == 1, f"{name}: {found} in {head}"
    return found[0]


def test_the_page(plain: Running) -> None:
    """``/`` is ``web/index.html``, also with a query."""
    for path in ("/", "/?a=b"):
        status, head, body = plain.get(path)
        assert status == 200
        assert header(head, "Content-Type") == "text/html; charset=utf-8"
        assert int(header(head, "Content-Length")) == len(body)
        assert body == PAGE.read_bytes()


def test_the_page_s_security_headers(plain: Running) -> None:
    """No other page may frame it, and it may load nothing from elsewhere."""
    head = plain.get("/")[1]
    policy = header(head, "Content-Security-Policy")
    assert "frame-ancestors 'none'" in policy
    assert header(head, "X-Content-Type-Options") == "nosniff"
    assert header(head, "X-Frame-Options") == "DENY"
    assert header(head, "Referrer-Policy") == "no-referrer"


def test_any_other_path_is_404(plain: Running) -> None:
    """There is nothing else, and no way out of the folder."""
    for path in ("/index.html", "/nothing", "//", "/../pyproject.toml", "/%2e%2e/", "/healthz/"):
        assert plain.get(path)[0] == 404, path


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/version", "/nothing"])
def test_head_is_get_without_the_body(plain: Running, path: str) -> None:
    """HEAD (RFC 9110, section 9.3.2)."""
    got, head, body = plain.get(path)
    status, same_head, nothing = plain.get(path, "HEAD")
    assert status == got
    assert nothing == b""
    assert body
    if path != "/metrics":  # whose size changes with what it counts
        assert header(same_head, "Content-Length") == header(head, "Content-Length")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_not_allowed(plain: Running, method: str) -> None:
    """Status 405 with the methods that are."""
    status, head, _ = plain.get("/", method)
    assert status == 405
    assert header(head, "Allow") == "GET, HEAD"


@pytest.mark.parametrize("header", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_request_with_a_body(plain: Running, header: str) -> None:
    """Another method is not allowed, with a body or without; a GET must have none."""
    for method, expected in (("POST", 405), ("PUT", 405), ("GET", 400)):
        with RawClient(plain.url) as client:
            head = f"{method} / HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"
            client.send(head.encode() + b"5\r\nhello\r\n0\r\n\r\n")
            status, _, body = client.read_response()
        assert status == expected
        assert b"no HTTP request" not in body


def test_an_offer_of_http_2_is_ignored(plain: Running) -> None:
    for path in ("/", "/healthz", "/metrics", "http://localhost/version"):
        with RawClient(plain.url) as client:
            lines = (
                f"GET {path} HTTP/1.1",
                "Host: localhost",
                "Connection: Upgrade, HTTP2-Settings",
                "Upgrade: h2c",
                "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            )
            client.send("\r\n".join([*lines, "", ""]).encode())
            assert client.read_response()[0] == 200, path


def test_health_while_serving_and_while_stopping() -> None:
    """200, then 503 to someone who had connected before the signal."""
    with running() as server, server.connect() as client:
        assert server.get("/healthz")[0] == 200
        with RawClient(server.url) as watcher, RawClient(server.url) as late:
            # A round trip for each: both have been accepted.
            watcher.send(b"GET /healthz HTTP/1.1\r\n")
            late.send(handshake()[:-2])
            client.ask("Request 1")
            server.signal(signal.SIGTERM)
            assert close_code(client.read_frame()) == 1001
            watcher.send(b"Host: localhost\r\n\r\n")
            status, _, body = watcher.read_response()
            assert (status, body) == (503, b"stopping\n")
            late.send(b"\r\n")
            assert late.read_response()[0] == 503
        client.send(frame(CLOSE, b"\x03\xe9"))
        assert client.read_frame() is None
        client.socket.close()
        assert server.wait() == 0


def test_version_tells_versions(plain: Running) -> None:
    """``/version`` is JSON."""
    status, head, body = plain.get("/version")
    assert status == 200
    assert header(head, "Content-Type") == "application/json"
    assert json.loads(body) == {
        "wsroll": version("wsroll"),
        "websockets": version("websockets"),
        "frames": frames.LANGUAGE,
    }


def samples(text: bytes) -> Iterator[tuple[str, float]]:
    """Return each sample with its labels."""
    for family in text_string_to_metric_families(text.decode()):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            yield f"{sample.name}{{{labels}}}" if labels else sample.name, sample.value


def metrics(server: Running) -> dict[str, float]:
    status, head, body = server.get("/metrics")
    assert status == 200
    assert header(head, "Content-Type").startswith("text/plain; version=")
    return dict(samples(body))


def test_metrics_count_what_happens() -> None:
    """Connections open and in all, requests, bytes, refusals by reason, closes by code."""
    with running() as server:
        before = metrics(server)
        assert set(before.values()) == {0}
        sent, received = b"", b""
        with server.connect() as client, server.connect() as other:
            requests = frame(TEXT, "one") + frame(TEXT, "two") + frame(PING, "three")
            client.send(requests)
            answers = client.read_frames(3)
            sent += requests
            received = b"".join(answer.payload for answer in answers if answer is not None)
            now = metrics(server)
            assert now["wsroll_connections"] == 2
            assert now["wsroll_connections_opened_total"] == 2
            assert now["wsroll_requests_total"] == 2
            assert now["wsroll_received_bytes_total"] == len(requests)
            assert now["wsroll_sent_bytes_total"] == len(received) + 3 * 2
            client.send(frame(CLOSE, b"\x03\xe8"))
            list(client.read_to_end())
            other.send(frame(TEXT, b"\xff"))
            list(other.read_to_end())
        for _ in range(3):
            with RawClient(server.url) as stranger:
                stranger.send(handshake("localhost", "Origin: https://strange.example"))
                assert stranger.read_response()[0] == 403
        with server.connect() as crashing:
            crashing.reset()
        after = wait_until_closed(server)
    assert after["wsroll_connections_opened_total"] == 3
    assert after["wsroll_closes_total{code=1000}"] == 1
    assert after["wsroll_closes_total{code=1007}"] == 1
    assert after["wsroll_closes_total{code=1006}"] == 1
    assert after["wsroll_handshakes_refused_total{reason=origin}"] == 3
    assert sum(v for k, v in after.items() if k.startswith("wsroll_handshakes_refused")) == 3


def wait_until_closed(server: Running) -> dict[str, float]:
    """Return the metrics once no WebSocket is open."""
    for _ in range(1000):
        now = metrics(server)
        if now["wsroll_connections"] == 0:
            return now
    raise AssertionError("connections stay open")


def test_no_http_leaves_only_the_websocket() -> None:
    """``--no-http``."""
    with running("--no-http") as server:
        assert "http://" not in server.announcement
        for path in ("/", "/healthz", "/metrics", "/version", "/nothing"):
            assert server.get(path)[0] == 426, path
        with server.connect() as client:
            assert client.ask("Request 1").startswith("Request 1: ")


def test_a_half_sent_get_and_several_gets_in_one_go(plain: Running) -> None:
    """One request is answered for each connection; what comes behind it is no WebSocket."""
    get = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with RawClient(plain.url) as client:
        client.send(get + get + frame(TEXT, "not here"))
        status, _, body = client.read_response()
        assert (status, body) == (200, b"ok\n")
