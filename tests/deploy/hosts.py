"""Hosts of the tests' own: network namespaces with a switch between them, and no way out.

A thread enters one, and what it then starts or opens is in there. Nothing of the machine's own
network is touched.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from tests.conftest import skip_unless_ci

__all__ = ["Host", "Network", "network"]

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """A network namespace with a name of its own, and nothing but loopback in it.

    Args:
        name: What it is to the test.
    """

    def __init__(self, name: str) -> None:
        self.name = f"wsroll-{uuid.uuid4().hex[:8]}-{name}"
        self.address = ""
        _ip("netns", "add", self.name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments: str) -> None:
        """Run the command ``ip`` in it."""
        _ip("-n", self.name, *arguments)

    def shape(self, rate: str) -> None:
        """Let no more than this leave by its cable, in the words of the command ``tc``."""
        shaping = ("root", "tbf", "rate", rate, "burst", "16kb", "latency", "400ms")
        _run("tc", "-n", self.name, "qdisc", "add", "dev", "cable", *shaping)

    def remove(self) -> None:
        """Remove it, with its end of each cable."""
        _ip("netns", "del", self.name)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be in it with this thread."""
        with open("/proc/thread-self/ns/net") as outside, open(f"/run/netns/{self.name}") as inside:
            _enter(inside.fileno())
            try:
                yield
            finally:
                _enter(outside.fileno())


class Network:
    """Hosts with a cable each to one switch, which is a host as well.

    Their addresses are of the range that is set aside for such tests (RFC 2544).
    """

    def __init__(self, switch: Host) -> None:
        self._switch = switch
        switch.ip("link", "add", "bridge", "type", "bridge")
        switch.ip("link", "set", "bridge", "up")
        self._ports: list[Host] = []

    def connect(self, host: Host) -> None:
        """Give a host an address, and a cable to the switch."""
        self._ports.append(host)
        number = len(self._ports)
        host.address = f"198.18.0.{number}"
        port = f"port{number}"
        peer = ("peer", "name", "cable", "netns", host.name)
        self._switch.ip("link", "add", port, "type", "veth", *peer)
        self._switch.ip("link", "set", port, "master", "bridge", "up")
        host.ip("addr", "add", f"{host.address}/24", "dev", "cable")
        host.ip("link", "set", "cable", "up")

    def cut_off(self, host: Host) -> None:
        """Pull a host's cable: what is sent to it is lost without a word."""
        self._switch.ip("link", "set", f"port{self._ports.index(host) + 1}", "down")


@contextlib.contextmanager
def network(*names: str) -> Iterator[tuple[Network, list[Host]]]:
    """Make hosts and what connects them, and remove them at the end."""
    _check()
    with contextlib.ExitStack() as cleanup:

        def host(name: str) -> Host:
            made = Host(name)
            cleanup.callback(made.remove)
            return made

        between = Network(host("switch"))
        hosts = [host(name) for name in names]
        for made in hosts:
            between.connect(made)
        yield between, hosts


def _check() -> None:
    """Skip the test where it cannot have hosts."""
    if not hasattr(_libc, "setns"):
        pytest.skip("network namespaces are Linux's")
    if os.geteuid() != 0:
        skip_unless_ci("root, for network namespaces")
    if shutil.which("ip") is None:
        skip_unless_ci("the Debian package iproute2")
    probe = f"wsroll-{uuid.uuid4().hex[:8]}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode != 0:
        skip_unless_ci(f"network namespaces: {made.stderr.strip()}")
    _ip("netns", "del", probe)


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=10)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
