"""What the tests of ``deploy/`` share."""

import pytest

from tests.certificates import Pair, make_pair


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The certificate for localhost that the proxies show."""
    return make_pair(tmp_path_factory.mktemp("tls"))
