"""Two hosts with a server each, HAProxy and a sender on a third: one host is cut off."""

import re

import pytest

from tests.certificates import Pair
from tests.deploy.hosts import network
from tests.deploy.processes import traffic
from tests.deploy.proxies import haproxy
from tests.server.running import running


@pytest.mark.parametrize(
    ("patience", "reason"),
    [
        pytest.param("2s", ".* nor a pong", id="the sender sees it"),
        pytest.param("25s", "", id="the proxy sees it"),
    ],
)
def test_a_host_that_is_cut_off_costs_no_request(patience: str, reason: str, pair: Pair) -> None:
    """It falls silent: no refusal, no reset. What it had not answered goes to the other one."""
    with (
        network("front", "a", "b") as (cables, (front, a, b)),
        a.entered(),
        # At the end it must not wait long for clients that it cannot reach.
        running("--host", a.address, "--grace", "0.5") as server_a,
        b.entered(),
        running("--host", b.address) as server_b,
        front.entered(),
        haproxy(pair, f"{a.address}:{server_a.port}", f"{b.address}:{server_b.port}") as proxy,
        traffic(*proxy.sender_options, "--timeout", patience) as flowing,
    ):
        flowing.flow()
        cables.cut_off(a)
        proxy.wait_for("Server servers/a is DOWN")
        proxy.wait_for(r" servers/a \S+ 101 ")  # as it tells of each WebSocket that has ended
        flowing.flow(20_000)
        done = flowing.finish()
    print(done.report["ledger"], done.report["attempts"], done.report["connections"])
    assert (done.status, done.report["verdict"], done.faults) == (0, "recovered", {}), done.report
    attempts = done.report["attempts"]
    assert attempts["resent"] == attempts["in_flight_when_lost"] > 0
    lost = [
        close["reason"] for close in done.report["connections"]["closes"] if close["code"] == 1006
    ]
    assert any(re.fullmatch(reason, known) for known in lost), lost
