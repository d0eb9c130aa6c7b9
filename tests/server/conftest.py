"""What the server's tests share."""

from collections.abc import Iterator

import pytest

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
