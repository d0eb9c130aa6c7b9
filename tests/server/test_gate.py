"""The gate: no strange web page gets in, whatever it calls itself."""

import ipaddress
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.gate import Gate
from tests.server.raw import RawClient, handshake
from tests.server.running import Running, running


def status(server: Running, host: str, *headers: str) -> int:
    """Return the status of the response to a handshake."""
    with RawClient(server.url) as client:
        client.send(handshake(host, *headers))
        return int(client.read_head().split()[1])


@pytest.fixture(scope="module")
def exposed() -> Iterator[Running]:
    """A server that other machines could reach (this one is reached over loopback all the same)."""
    with running("--host", "0.0.0.0") as server:
        yield server


HERE = "localhost:{port}"


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        (HERE, None, 101),
        (HERE, "http://localhost:{port}", 101),
        (HERE, "http://127.0.0.1:3000", 101),
        (HERE, "https://[::1]", 101),
        (HERE, "HTTP://LOCALHOST", 101),
        (HERE, "http://app.localhost:5173", 101),
        (HERE, "null", 101),
        (HERE, "file://", 101),
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}", 101),
        ("[::1]:{port}", "http://[::1]:{port}", 101),
        ("LOCALHOST", "null", 101),
        (HERE, "https://strange.example", 403),
        (HERE, "http://localhost.strange.example", 403),
        (HERE, "http://strangelocalhost", 403),
        (HERE, "http://127.0.0.1.strange.example", 403),
        (HERE, "http://localhost@strange.example", 403),
        (HERE, "http://strange.example:{port}", 403),
        (HERE, "chrome-extension://localhost", 403),
        (HERE, "localhost", 403),
        (HERE, "", 403),
        (HERE, "http://", 403),
        (HERE, "http://[", 403),
        (HERE, "null null", 403),
        ("strange.example", None, 403),
        ("strange.example:{port}", "http://strange.example:{port}", 403),
        ("localhost.strange.example", None, 403),
        ("localhost@strange.example", None, 403),
        ("[", None, 403),
        ("[::1]strange.example", None, 403),
        ("[::1]:{port}strange", None, 403),
        ("localhost:x", None, 403),
        (HERE, "http://[::1]strange.example", 403),
        ("", None, 403),
    ],
)
def test_on_loopback(plain: Running, host: str, origin: str | None, expected: int) -> None:
    """Pages of this machine and files get in, under this machine's names alone (DNS rebinding)."""
    headers = [] if origin is None else [f"Origin: {origin.format(port=plain.port)}"]
    assert status(plain, host.format(port=plain.port), *headers) == expected


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("wsroll.example", None, 101),
        ("wsroll.example:{port}", "http://wsroll.example:{port}", 101),
        ("WSROLL.example", "https://wsroll.EXAMPLE", 101),
        ("192.0.2.1:{port}", "http://192.0.2.1:{port}", 101),
        ("wsroll.example", "http://localhost:3000", 101),
        ("wsroll.example", "null", 403),
        ("wsroll.example", "file://", 403),
        ("wsroll.example", "https://strange.example", 403),
        ("wsroll.example:{port}", "http://wsroll.example:1", 403),
        ("wsroll.example", "https://wsroll.example.strange.example", 403),
    ],
)
def test_where_others_can_connect(
    exposed: Running, host: str, origin: str | None, expected: int
) -> None:
    """Its own pages get in under any name, files and nobody's pages do not."""
    headers = [] if origin is None else [f"Origin: {origin.format(port=exposed.port)}"]
    assert status(exposed, host.format(port=exposed.port), *headers) == expected


def test_more_origins() -> None:
    """``--origin`` lets in exactly the origin that it names, and requests under its host."""
    with running("--origin", "https://Example.org", "--origin", "http://x.test:81/") as server:
        for origin, expected in (
            ("https://example.org", 101),
            ("http://x.test:81", 101),
            ("http://example.org", 403),
            ("https://example.org:8443", 403),
            ("http://x.test", 403),
            ("https://www.example.org", 403),
        ):
            assert status(server, "localhost", f"Origin: {origin}") == expected, origin
        assert status(server, "example.org", "Origin: https://example.org") == 101
        assert status(server, "strange.example") == 403


def test_any_origin() -> None:
    """``--origin '*'`` opens the gate."""
    with running("--origin", "*") as server:
        assert status(server, "strange.example", "Origin: https://strange.example") == 101
        assert status(server, "strange.example", "Origin: null") == 101


def test_a_refusal_says_why_and_is_logged(plain: Running) -> None:
    """The origin stands in the body and in the log."""
    with RawClient(plain.url) as client:
        client.send(handshake("localhost", "Origin: https://nobody.example"))
        code, _, body = client.read_response()
    assert code == 403
    assert b"https://nobody.example" in body
    line = plain.wait_for_log("https://nobody.example")
    assert "refused (origin)" in line


def test_the_page_and_metrics_are_behind_the_gate_too(plain: Running) -> None:
    """A page that points its own name here (DNS rebinding) can read nothing."""
    for path in ("/", "/metrics", "/healthz", "/version"):
        with RawClient(plain.url) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: strange.example\r\n\r\n".encode())
            assert client.read_response()[0] == 403


# The gate by itself, on origins made to look right.

names = st.sampled_from(
    ["localhost", "127.0.0.1", "[::1]", "example.org", "evil", "0", "127.0.0.1.evil", "a.localhost"]
)
hosts = st.one_of(
    names,
    st.tuples(names, st.sampled_from(["", ".", "@", ":", "-", "%00", "/"]), names).map("".join),
    st.text(alphabet="lochast127.0:[]@/#?\\%e ", max_size=12),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
ports = st.sampled_from(["", ":80", ":8765", ":x", ":"])
origins = st.tuples(st.sampled_from(["http://", "https://", "", "ftp://", "//"]), hosts, ports).map(
    "".join
)


def is_plainly_local(origin: str) -> bool:
    """Tell whether an origin, without any finesse, is of this machine."""
    for scheme in ("http://", "https://"):
        authority = origin.removeprefix(scheme)
        if authority != origin:
            # What looks like a user name belongs to no origin, and changes not whose the host is.
            name = re.split("[/?#]", authority.rpartition("@")[2])[0]
            name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
            if name == "localhost" or name.endswith(".localhost"):
                return True
            try:
                return ipaddress.ip_address(name).is_loopback
            except ValueError:
                return False
    return False


@given(origins)
def test_the_gate_admits_only_local_origins(origin: str) -> None:
    """Never an exception, never a stranger."""
    gate = Gate([], local=True)
    if gate.admits_origin(origin, "localhost:8765"):
        assert origin in ("null", "file://") or is_plainly_local(origin), origin


@given(hosts, ports)
def test_the_gate_admits_only_local_hosts(host: str, port: str) -> None:
    """The same for the ``Host`` of a request."""
    if Gate([], local=True).admits_host(host + port):
        assert is_plainly_local(f"http://{host}{port}")


@given(
    st.sampled_from(["https://example.org", "http://Evil/", "http://evil:8765", "http://[::2]"]),
    origins,
)
def test_the_gate_admits_an_origin_that_it_is_told_to(told: str, other: str) -> None:
    """And no other one because of it."""
    gate = Gate([told], local=False)
    if Gate([], local=False).admits_origin(other, "example.net"):
        assert gate.admits_origin(other, "example.net")
    elif gate.admits_origin(other, "example.net"):
        assert other.lower() == told.lower().rstrip("/")
