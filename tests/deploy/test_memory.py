"""Memory: what hostile clients cost, measured, fits the limits of the files."""

import contextlib
import re
from collections.abc import Callable

import pytest

from tests.deploy.proxies import DEPLOY
from tests.deploy.test_kubernetes import container, variables
from tests.server.raw import BINARY, PING, TEXT, RawClient, frame
from tests.server.running import running

MESSAGE_SIZE = 2**16
"""The largest message that both files allow."""

CLIENTS = 50


def most_of_a_message(client: RawClient) -> None:
    client.send(frame(BINARY, bytes(MESSAGE_SIZE))[:-1])


def many_texts(client: RawClient) -> None:
    flood(client, frame(TEXT, "Request 1") * 50_000)


def many_pings(client: RawClient) -> None:
    flood(client, frame(PING, "p" * 125) * 5000)


def flood(client: RawClient, data: bytes) -> None:
    """Send until the server reads no more, and read nothing."""
    client.socket.settimeout(0.1)
    with contextlib.suppress(TimeoutError):
        while True:
            client.send(data)


@pytest.fixture(scope="module", params=[most_of_a_message, many_texts, many_pings])
def cost(request: pytest.FixtureRequest) -> tuple[int, float]:
    """What a server costs without clients, and what each hostile client adds, in bytes."""
    behave: Callable[[RawClient], None] = request.param
    options = ("--max-message-size", str(MESSAGE_SIZE), "--grace", "0.1")
    with running(*options) as server, contextlib.ExitStack() as stack:
        base = server.memory()
        for _ in range(CLIENTS):
            behave(stack.enter_context(server.connect(receive_buffer=4096)))
        growth = server.memory("VmHWM") - base
    print(f"{behave.__name__}: {growth / CLIENTS / 1024:.0f} KiB for each client")
    return base, growth / CLIENTS


def size(text: str) -> int:
    """Return a size such as 64K, 1Gi or 4G in bytes: all of them mean powers of 1024 here."""
    found = re.fullmatch(r"(\d+)([KMG])i?", text)
    assert found is not None, text
    return int(found[1]) << {"K": 10, "M": 20, "G": 30}[found[2]]


def test_the_pod_has_enough(cost: tuple[int, float]) -> None:
    set_ = variables()
    assert size(set_["WSROLL_MAX_MESSAGE_SIZE"]) == MESSAGE_SIZE
    limit = size(container()["resources"]["limits"]["memory"])
    assert cost[0] + cost[1] * int(set_["WSROLL_MAX_CONNECTIONS"]) < limit


def test_the_unit_has_enough(cost: tuple[int, float]) -> None:
    text = (DEPLOY / "systemd" / "wsroll-server@.service").read_text()
    set_ = dict(re.findall(r"([A-Z_a-z]+)=(\w+)(?=\s)", text))
    assert size(set_["WSROLL_MAX_MESSAGE_SIZE"]) == MESSAGE_SIZE
    limit = size(set_["MemoryMax"])
    assert cost[0] + cost[1] * int(set_["WSROLL_MAX_CONNECTIONS"]) < limit
