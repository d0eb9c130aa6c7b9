"""HAProxy and nginx: what passes through, which server gets which client, and how they stop."""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.settings import Settings
from tests.certificates import Pair
from tests.deploy.processes import traffic
from tests.deploy.proxies import CONFIGURATION, DEPLOY, Proxy, find, haproxy, nginx
from tests.server.raw import RawClient
from tests.server.running import Running, running

Start = Callable[[Pair, str, str], contextlib.AbstractContextManager[Proxy]]


class Site:
    """A proxy and the two servers behind it."""

    def __init__(self, proxy: Proxy, pair: Pair, servers: list[Running]) -> None:
        self.proxy = proxy
        self.servers = servers
        self._trusting = ssl.create_default_context(cafile=str(pair.certificate))

    def client(self) -> RawClient:
        """Return a TLS connection to the proxy."""
        return RawClient(self.proxy.address, tls=self._trusting)

    def get(self, path: str, host: str = "localhost") -> tuple[int, bytes]:
        """Return status and body of what the proxy answers."""
        with self.client() as client:
            client.send(
                f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            )
            status, _, body = client.read_response()
            return status, body

    def connections(self) -> list[int]:
        """Return how many WebSockets each server has open."""
        return [
            int(re.findall(rb"^wsroll_connections (\d+)", server.get("/metrics")[2], re.M)[0])
            for server in self.servers
        ]


@contextlib.contextmanager
def site(start: Start, pair: Pair, *options: str) -> Iterator[Site]:
    """Run a proxy in front of two servers, of which the first has more options."""
    with (
        running("--host", "127.0.0.1", *options) as a,
        running("--host", "127.0.0.1") as b,
        start(pair, *(f"127.0.0.1:{server.port}" for server in (a, b))) as proxy,
    ):
        yield Site(proxy, pair, [a, b])


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that no event announces."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module", params=[haproxy, nginx], ids=lambda start: start.__name__)
def shared(request: pytest.FixtureRequest, pair: Pair) -> Iterator[Site]:
    """One of the proxies, which no test may end."""
    with site(request.param, pair) as shared:
        yield shared


def test_the_page_and_the_health_pass(shared: Site) -> None:
    assert shared.get("/")[0] == 200
    assert shared.get("/healthz") == (200, b"ok\n")


def test_the_counts_of_a_server_are_not_for_everyone(shared: Site) -> None:
    assert shared.get("/metrics")[0] == 404


def test_the_servers_see_the_host_that_the_client_named(shared: Site) -> None:
    """Its port too: they compare it with a page's origin. On loopback they admit no other."""
    status, body = shared.get("/", host="example.org:8443")
    assert status == 403
    assert b"'example.org:8443'" in body


def test_each_new_websocket_goes_to_the_server_that_has_fewest(shared: Site) -> None:
    with contextlib.ExitStack() as stack:
        clients: list[list[RawClient]] = [[], []]
        for count in range(1, 5):
            before = shared.connections()
            client = stack.enter_context(shared.client()).open()
            assert client.ask(f"Request {count}").startswith(f"Request {count}: ")
            assert sorted(shared.connections()) == [count // 2, count - count // 2]
            clients[shared.connections()[1] - before[1]].append(client)
        for client in clients[0]:
            client.socket.close()
        wait_until(lambda: shared.connections() == [0, 2])
        for _ in range(2):
            stack.enter_context(shared.client()).open()
        assert shared.connections() == [2, 2]


@pytest.mark.parametrize("start", [haproxy, nginx])
def test_a_handshake_that_meets_a_server_that_is_gone_goes_to_another(
    start: Start, pair: Pair
) -> None:
    with site(start, pair) as proxied, contextlib.ExitStack() as stack:
        a, _ = proxied.servers
        # The proxy is up, and has not found out yet when the others come.
        stack.enter_context(proxied.client()).open()
        a.signal(signal.SIGKILL)
        a.wait()
        for count in range(4):
            client = stack.enter_context(proxied.client()).open()
            assert client.ask(f"Request {count}").startswith(f"Request {count}: ")


@pytest.mark.parametrize(
    ("start", "number"),
    [(haproxy, signal.SIGUSR1), (nginx, signal.SIGQUIT)],
    ids=["haproxy", "nginx"],
)
def test_a_proxy_that_stops_in_order_keeps_who_is_connected(
    start: Start, number: signal.Signals, pair: Pair
) -> None:
    """As at a reload: it ends with the last connection, here long before its limit."""
    with site(start, pair) as proxied, traffic(*proxied.proxy.sender_options) as flowing:
        flowing.flow()
        proxied.proxy.process.send_signal(number)
        flowing.flow()
        done = flowing.finish()
        assert (done.status, done.faults) == (0, {})
        assert done.report["attempts"]["reconnects"] == 0
        assert proxied.proxy.wait() == 0


def test_a_server_that_drains_gets_no_new_clients_from_haproxy_and_keeps_its_own(
    pair: Pair,
) -> None:
    with site(haproxy, pair, "--drain", "600") as proxied:
        a, _ = proxied.servers
        with proxied.client() as old, proxied.client() as other:
            old.open()
            other.open()
            assert proxied.connections() == [1, 1]
            a.signal(signal.SIGTERM)
            proxied.proxy.wait_for(
                "Server servers/a is DOWN, reason: Layer7 wrong status, code: 503"
            )
            with proxied.client() as new:
                new.open()
                assert proxied.connections() == [1, 2]
            for client in (old, other):
                assert client.ask("Request 1").startswith("Request 1: ")
        a.signal(signal.SIGTERM)
        assert a.wait() == 0


def test_haproxy_takes_a_server_out_by_command(pair: Pair) -> None:
    with site(haproxy, pair) as proxied, proxied.client() as old:
        old.open()
        busy = proxied.connections().index(1)
        assert proxied.proxy.admin is not None
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(10)
            admin.connect(str(proxied.proxy.admin))
            admin.sendall(f"set server servers/{'ab'[busy]} state drain\n".encode())
            while admin.recv(1000).strip():
                pass
        with proxied.client() as new, proxied.client() as newer:
            new.open()
            newer.open()
            assert proxied.connections()[busy] == 1
            assert old.ask("Request 1").startswith("Request 1: ")


def test_haproxy_takes_its_configuration_with_all_its_defaults(pair: Pair, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(pair.certificate.read_text() + pair.key.read_text())
    subprocess.run(
        [find("haproxy"), "-c", "-f", CONFIGURATION],
        env={**os.environ, "PROXY_CERT": str(both)},
        check=True,
        capture_output=True,
        timeout=30,
    )


def test_no_proxy_ends_a_connection_for_being_silent_before_the_server_does() -> None:
    settings = Settings()
    longest = settings.ping_interval + settings.pong_timeout
    for name, option in (
        ("haproxy/haproxy.cfg", "timeout tunnel"),
        ("nginx/nginx.conf", "proxy_read_timeout"),
        ("nginx/nginx.conf", "proxy_send_timeout"),
    ):
        (seconds,) = re.findall(rf"^\s*{option} (\d+)s;?$", (DEPLOY / name).read_text(), re.M)
        assert int(seconds) > longest, option


def test_the_proxies_take_no_more_connections_than_the_servers_do() -> None:
    most = Settings().max_connections
    haproxy_text = CONFIGURATION.read_text()
    nginx_text = (DEPLOY / "nginx" / "servers.conf").read_text()
    assert re.findall(r"^\s*default-server .* maxconn (\d+)$", haproxy_text, re.M) == [str(most)]
    assert re.findall(r"^server .* max_conns=(\d+) ", nginx_text, re.M) == [str(most)] * 2
