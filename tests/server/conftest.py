"""What the server's tests share."""

from collections.abc import Iterator

import pytest

from tests.certificates import Pair, make_pair
from tests.server.running import Running, running


@pytest.fixture(scope="module")
def plain() -> Iterator[Running]:
    """A server with default settings that the tests of a module share."""
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def echo() -> Iterator[Running]:
    """A server that returns each request as it came, shared likewise."""
    with running("--reply", "echo") as server:
        yield server


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate for localhost and its key."""
    return make_pair(tmp_path_factory.mktemp("tls"))
