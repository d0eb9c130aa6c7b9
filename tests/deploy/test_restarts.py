"""Servers that are replaced one by one behind a proxy: each request is answered once, and right."""

import contextlib
import signal

import pytest

from tests.certificates import Pair
from tests.cli_client.sending import Reported
from tests.deploy.processes import traffic
from tests.deploy.proxies import haproxy, nginx
from tests.server.running import running

each_way = pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name
)


@each_way
def test_a_rolling_restart_behind_haproxy_costs_no_request(
    number: signal.Signals, pair: Pair
) -> None:
    """Each server stays away until HAProxy has missed it, and is back before the next one goes."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running("--host", "127.0.0.1")) for _ in range(2)]
        ports = [server.port for server in servers]
        proxy = stack.enter_context(haproxy(pair, *(f"127.0.0.1:{port}" for port in ports)))
        flowing = stack.enter_context(traffic(*proxy.sender_options))
        flowing.flow()
        for name, server, port in zip("ab", servers, ports, strict=True):
            server.signal(number)
            server.process.wait(20)
            proxy.wait_for(f"Server servers/{name} is DOWN")
            flowing.flow()
            stack.enter_context(running("--host", "127.0.0.1", "--port", str(port)))
            proxy.wait_for(f"Server servers/{name} is UP")
            flowing.flow()
        done = flowing.finish()
    check(done, number)


@each_way
def test_a_rolling_restart_behind_nginx_costs_no_request(
    number: signal.Signals, pair: Pair
) -> None:
    """As nginx does not look for health, there is nothing to wait for but traffic."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running("--host", "127.0.0.1")) for _ in range(2)]
        ports = [server.port for server in servers]
        proxy = stack.enter_context(nginx(pair, *(f"127.0.0.1:{port}" for port in ports)))
        flowing = stack.enter_context(traffic(*proxy.sender_options))
        flowing.flow()
        for server, port in zip(servers, ports, strict=True):
            server.signal(number)
            server.process.wait(20)
            flowing.flow()
            stack.enter_context(running("--host", "127.0.0.1", "--port", str(port)))
            flowing.flow()
        done = flowing.finish()
    check(done, number)


def check(done: Reported, number: signal.Signals) -> None:
    """Every request verified, none wrong or twice; the clients learnt of the end as they should."""
    print(done.report["ledger"], done.report["attempts"], done.report["connections"])
    assert (done.status, done.report["verdict"], done.faults) == (0, "recovered", {}), done.report
    attempts = done.report["attempts"]
    assert attempts["reconnects"] >= 1
    assert attempts["resent"] == attempts["in_flight_when_lost"]
    if number == signal.SIGKILL:
        assert attempts["resent"] > 0
    codes = {close["code"] for close in done.report["connections"]["closes"]}
    assert (1001 if number == signal.SIGTERM else 1006) in codes, codes
