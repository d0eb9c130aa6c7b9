"""The environment variables by which the server is set up: there is an option for each."""

import re

import pytest
from click.testing import CliRunner

from server.__main__ import main
from tests.deploy.proxies import DEPLOY


@pytest.mark.parametrize(
    "name",
    ["Dockerfile", "kubernetes/deployment.yaml", "systemd/wsroll-server@.service", "README.md"],
)
def test_the_server_knows_each_variable_that_is_set(name: str) -> None:
    used = set(re.findall(r"\bWSROLL_\w+", (DEPLOY / name).read_text()))
    assert used
    help_text = CliRunner().invoke(main, ["--help"]).output
    assert used <= set(re.findall(r"\bWSROLL_\w+", help_text))
