"""Ways to a server: TLS, a Unix socket, a proxy, headers, IPv6, compression."""

import base64
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli_client.engine.opening import Opener
from cli_client.settings import Settings
from tests.certificates import make_pair
from tests.cli_client import liars
from tests.cli_client.liars import reply_to, serving
from tests.cli_client.proxies import http_proxy, mute_proxy, proxy_to_silence, socks_proxy
from tests.cli_client.raw import RawConnection, raw_serving
from tests.cli_client.sending import report, send
from tests.conftest import ServerProcess, skip_unless_ci
from wire.address import check_url
from wire.text import printable


@pytest.fixture
def seen() -> Iterator[tuple[str, list[Any]]]:
    """The URL of a right server, and the requests of the handshakes that it gets."""
    requests: list[Any] = []

    async def handle(websocket: liars.ServerConnection) -> None:
        requests.append(websocket.request)
        async for message in websocket:
            await websocket.send(reply_to(message))

    with serving(handle) as url:
        yield url, requests


def test_headers_origin_subprotocol_and_login(seen: tuple[str, list[Any]]) -> None:
    url, requests = seen
    options = ["-H", "X-One: 1", "--origin", "https://page.example", "-a", "user:pass:word"]
    done = report(url, "-n", 1, *options)
    assert done.status == 0
    headers = requests[0].headers
    assert headers["X-One"] == "1"
    assert headers["Origin"] == "https://page.example"
    assert base64.b64decode(headers["Authorization"].split()[1]) == b"user:pass:word"
    # The report tells how to repeat the run, but no password.
    assert done.report["settings"]["basic_auth"] == "user:***"


def test_a_login_in_the_url(seen: tuple[str, list[Any]]) -> None:
    url, requests = seen
    done = report(url.replace("ws://", "ws://user:secret@"), "-n", 1)
    assert done.status == 0
    assert requests[0].headers["Authorization"].startswith("Basic ")
    assert "secret" not in str(done.report)


def test_a_subprotocol_that_the_server_does_not_have_is_no_harm(server_url: str) -> None:
    assert report(server_url, "-n", 10, "--subprotocol", "chat").status == 0


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with subprocess.Popen(
        [sys.executable, "-m", "server", "--unix", str(path), "--stop-on-eof"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        assert "Unix socket" in server.stderr.readline()
        done = report("ws://localhost/", "--unix", path, "-n", 1000, "-c", 3)
        server.communicate(timeout=15)
    assert (done.status, done.faults) == (0, {})


def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    done = send("--unix", tmp_path / "none", "-n", 1)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert "no such file" in line.lower()


def test_ipv6(server: ServerProcess) -> None:
    if not socket.has_ipv6:
        skip_unless_ci("this machine has no IPv6")
    server.kill()
    server.options = ("--host", "::1")
    server.url = ""
    server.start()
    assert report(server.url, "-n", 100).status == 0


@pytest.mark.parametrize("compress", [[], ["--compress"]])
def test_compression(server: ServerProcess, compress: list[str]) -> None:
    server.kill()
    server.options = ("--compress",)
    server.start()
    done = report(server.url, "-n", 2000, "--size", 500, *compress)
    assert (done.status, done.faults) == (0, {})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_as_many_connections_as_the_system_allows(server_url: str) -> None:
    def limited(kind: str) -> subprocess.CompletedProcess[str]:
        command = f"ulimit -{kind} 100; {sys.executable} -m cli_client {server_url} -q -c 200 -n 1k"
        return subprocess.run(["sh", "-c", command], text=True, capture_output=True, timeout=60)

    assert limited("Sn").returncode == 0
    done = limited("n")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line == (
        "200 connections need 264 open files, and a process may have 100: allow more "
        "(ulimit -n 264), or spread them with --processes 6"
    )


def test_an_http_proxy(server_url: str) -> None:
    with http_proxy() as (proxy, heads):
        done = report(server_url, "-n", 1000, "-x", proxy.replace("//", "//me:pw@"), "-c", 2)
    assert (done.status, done.faults) == (0, {})
    assert len(heads) == 2
    assert heads[0].startswith("CONNECT localhost:")
    assert "Proxy-Authorization: Basic " in heads[0]
    assert "pw" not in done.report["settings"]["proxy"]


def test_a_proxy_that_refuses_is_named(server_url: str) -> None:
    with http_proxy("407 Proxy Authentication Required") as (proxy, _):
        done = send(server_url, "-n", 1, "-x", proxy)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith(f"no way through the proxy {proxy}: ")
    assert "407" in line


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_a_proxy_that_closes_without_an_answer_is_one_line(scheme: str, server_url: str) -> None:
    with mute_proxy() as port:
        done = send(server_url, "-n", 1, "-x", f"{scheme}://127.0.0.1:{port}")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith(f"no way through the proxy {scheme}://127.0.0.1:{port}: ")
    assert "clos" in line


def test_bytes_behind_the_answer_of_a_proxy_are_a_failed_handshake(server_url: str) -> None:
    with http_proxy(behind=[b"", b"hello"]) as (proxy, heads):
        done = report(server_url, "-n", 100, "-x", proxy, "-c", 2)
    assert (done.report["verdict"], done.report["ledger"]["verified"]) == ("recovered", 100)
    assert done.report["handshakes"]["failures"] == [
        {"phase": "proxy", "reason": "it sent more than its answer to CONNECT (5 B)", "count": 1}
    ]
    assert len(heads) == 3


def test_a_proxy_is_not_blamed_for_the_server_behind_its_tunnel() -> None:
    with proxy_to_silence() as proxy:
        options = ["-x", proxy, "--connect-timeout", "1s", "--json", "-"]
        done = send("wss://wsroll.invalid/", *options)
    assert done.stderr == "no server at wss://wsroll.invalid/: no TLS connection in 1 s.\n"
    (failure,) = json.loads(done.stdout)["handshakes"]["failures"]
    assert failure["phase"] == "tls"


@pytest.mark.parametrize(
    ("begun", "shown"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\nwait", "HTTP/1.1 503 Busy"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 200 OK"),
        (b"HTTP/1.1 101 Switching", "HTTP/1.1 101 Switching"),
        (b"\x1b[2J", "\x1b[2J"),
    ],
)
def test_an_answer_that_does_not_end_is_shown(begun: bytes, shown: str) -> None:
    async def answer(connection: RawConnection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        connection.writer.write(begun)
        await connection.reader.read()

    with raw_serving(answer) as url:
        done = send(url, "--connect-timeout", "0.5s", "--json", "-")
    (failure,) = json.loads(done.stdout)["handshakes"]["failures"]
    reason = f"its answer did not end in 0.5 s: {shown}"
    assert failure == {"phase": "handshake", "reason": reason, "count": 1}
    assert printable(reason) in done.stderr


@pytest.mark.parametrize("unix", [False, True])
def test_a_server_that_is_silent_in_tls_fails_there(unix: bool, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as silent:
        silent.bind(str(path) if unix else ("127.0.0.1", 0))
        silent.listen()
        url = "wss://localhost/" if unix else f"wss://127.0.0.1:{silent.getsockname()[1]}/"
        options = ["--connect-timeout", "0.5s", "--json", "-", *(["--unix", path] if unix else [])]
        done = send(url, *options)
    (failure,) = json.loads(done.stdout)["handshakes"]["failures"]
    assert failure == {"phase": "tls", "reason": "no TLS connection in 0.5 s", "count": 1}


def test_the_certificate_of_a_proxy_is_not_taken_for_that_of_the_server(tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)

    async def handle(websocket: liars.ServerConnection) -> None:
        pass

    with serving(handle, context) as url:
        proxy = url.replace("wss://", "https://").rstrip("/")
        done = send("wss://wsroll.invalid/", "-x", proxy)
    assert done.stderr.startswith(f"the certificate of the proxy {proxy} is not trusted")


def test_a_proxy_that_is_not_there(server_url: str, unused_port: int) -> None:
    done = send(server_url, "-n", 1, "-x", f"http://127.0.0.1:{unused_port}")
    assert done.stderr == (
        f"no way through the proxy http://127.0.0.1:{unused_port}: connection refused.\n"
    )


def test_a_socks_proxy(server_url: str) -> None:
    with socks_proxy("me:pw") as (proxy, targets):
        done = report(server_url, "-n", 1000, "-x", proxy.replace("//", "//me:pw@"), "-c", 2)
    assert (done.status, done.faults) == (0, {})
    assert targets == [server_url.removeprefix("ws://").rstrip("/")] * 2
    assert done.report["settings"]["proxy"] == proxy.replace("//", "//me:***@")


@pytest.mark.parametrize(
    ("login", "named"), [("", "No acceptable authentication"), ("me:no@", "authentication failure")]
)
def test_a_socks_proxy_that_refuses_is_named(server_url: str, login: str, named: str) -> None:
    with socks_proxy("me:pw") as (proxy, _):
        done = send(server_url, "-n", 1, "-x", proxy.replace("//", f"//{login}"))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("no way through the proxy socks5h://")
    assert named in line
    assert "no@" not in line


def test_the_proxy_of_the_environment_is_not_for_this_machine(
    server_url: str, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port}")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{unused_port}")
    assert report(server_url, "-n", 1).status == 0
    elsewhere = send("ws://wsroll.example/", "-n", 1)
    assert f"the proxy http://127.0.0.1:{unused_port}" in elsewhere.stderr


@pytest.mark.parametrize("no_proxy", [{"NO_PROXY": "wsroll.invalid"}, {}])
def test_no_proxy_where_none_is_wanted(no_proxy: dict[str, str], unused_port: int) -> None:
    options = [] if no_proxy else ["-x", ""]
    proxy = {"https_proxy": f"http://127.0.0.1:{unused_port}"}
    done = send("ws://wsroll.invalid/", *options, env={**os.environ, **proxy, **no_proxy})
    assert done.stderr == (
        "no server at ws://wsroll.invalid/: the host 'wsroll.invalid' is not known.\n"
    )


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "HTTP 401 Unauthorized"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "HTTP 503"),
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 8\r\n\r\nNot you.",
            "HTTP 403 Forbidden: Not you.",
        ),
        (b"HTTP/1.1 200 \x1b[2J\r\n\r\n", "\\x1b[2J"),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: https://x.example/\r\nContent-Length: 0\r\n\r\n",
            "HTTP 301 Moved to https://x.example/",
        ),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: https://u:hush@x.example/p?token=hush\r\n"
            b"Content-Length: 0\r\n\r\n",
            "HTTP 301 Moved to https://x.example/p",
        ),
        (b"HTTP/1.1 301 Moved\r\nLocation: //[\r\nContent-Length: 0\r\n\r\n", "not a URL"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "gave no WebSocket"),
        (b"", "gave no WebSocket: it closed the connection before it had answered. Is it wss://?"),
    ],
)
def test_what_is_no_websocket_server_is_named(answer: bytes, named: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}/"

        def serve() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        done = send(url, "-n", 1)
        thread.join(10)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert named in line
    assert line.isprintable()
    assert "hush" not in line


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"])
def test_the_environment_names_a_proxy(name: str, unused_port: int) -> None:
    # Without a scheme too.
    for value in (f"http://127.0.0.1:{unused_port}", f"127.0.0.1:{unused_port}"):
        done = send("ws://wsroll.example/", "-n", 1, env={**os.environ, name: value})
        assert f"no way through the proxy http://127.0.0.1:{unused_port}" in done.stderr


def test_no_proxy_holds_for_all_proxy() -> None:
    proxy = {"ALL_PROXY": "http://127.0.0.1:9", "NO_PROXY": "wsroll.invalid"}
    done = send("ws://wsroll.invalid/", "-n", 1, env={**os.environ, **proxy})
    assert "the host 'wsroll.invalid' is not known" in done.stderr


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("http://us%3Aer:hush@127.0.0.1:9", "the user name must not have a colon (%3A)"),
        ("http://u%ff:hush@127.0.0.1:9", "its user name or password is not UTF-8"),
        ("http://user@127.0.0.1:9", "username provided without password"),
        ("http://user:hush@127.0.0.1:port", "is not a proxy: Port could not be cast"),
        ("http://user:hush@127.0.0.1:99999", "is not a proxy: Port out of range"),
        ("ftp://user:hush@127.0.0.1:9", "scheme ftp isn't supported"),
        ("http://user:hush@127.0.0.1:9/path", "path is meaningless"),
        ("http://[::1", "is not a proxy"),
    ],
)
def test_a_bad_proxy_is_one_line(proxy: str, why: str) -> None:
    url = "ws://wsroll.example/"
    for done, status in [
        (send(url, "-n", 1, "-x", proxy), 2),
        (send(url, "-n", 1, env={**os.environ, "http_proxy": proxy}), 1),
    ]:
        (line,) = done.stderr.splitlines()
        assert why in line
        assert "hush" not in line
        assert done.returncode == status


@given(
    st.builds(
        "{}://{}{}{}".format,
        st.sampled_from(["ws", "wss", "WS"]),
        st.sampled_from(["", "u:p@", "u%3a:p@", "%ff:p@", "u:%00@", "ü:p@"]),
        st.text(max_size=10) | st.sampled_from(["host", "[::1]", "[::1]:80", "h:0x1", "ä.example"]),
        st.sampled_from(["", "/", "/ä?b=ö", "?", "/%", "/a b"]),
    )
)
def test_every_url_that_is_accepted_can_be_opened(text: str) -> None:
    with contextlib.suppress(ValueError):
        Opener(Settings(url=check_url(text), proxy=""))
