"""HAProxy and nginx as processes of the tests' own, with the files of ``deploy/`` as they are.

Replaced are addresses, certificates and the user: for HAProxy by the variables that its
configuration takes, for nginx in the two small files that it includes.
"""

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.certificates import Pair
from tests.conftest import skip_unless_ci
from tests.processes import LoggedProcess
from tests.server.raw import Address

__all__ = ["CONFIGURATION", "DEPLOY", "Proxy", "find", "haproxy", "nginx"]

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFIGURATION = DEPLOY / "haproxy" / "haproxy.cfg"


class Proxy(LoggedProcess):
    """A proxy in front of two servers; its log tells what it does."""

    address: Address = ""
    """Where it takes TLS connections."""
    sender_options: tuple[object, ...] = ()
    """What a sender needs to reach it and trust it."""
    admin: Path | None = None
    """The socket that takes HAProxy's commands."""


@contextlib.contextmanager
def haproxy(pair: Pair, a: str, b: str) -> Iterator[Proxy]:
    """Run HAProxy in front of two servers, given by address and port."""
    command = find("haproxy")
    with _folder() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        both = folder / "both.pem"
        both.write_text(pair.certificate.read_text() + pair.key.read_text())
        admin = folder / "admin"
        environment = {
            **os.environ,
            "PROXY_BIND": f"fd@{listener.fileno()}",
            "PROXY_CERT": str(both),
            "PROXY_ADMIN": str(admin),
            # This machine may not let it have all the files that the default takes.
            "PROXY_MAXCONN": "1000",
            "SERVER_A": a,
            "SERVER_B": b,
        }
        if os.geteuid() != 0:
            environment["PROXY_USER"] = pwd.getpwuid(os.geteuid()).pw_name
            environment["PROXY_GROUP"] = grp.getgrgid(os.getegid()).gr_name
        proxy = Proxy(
            *(command, "-db", "-f", CONFIGURATION),
            stdin=subprocess.DEVNULL,
            env=environment,
            pass_fds=[listener.fileno()],
        )
        port: int = listener.getsockname()[1]
        proxy.address = ("127.0.0.1", port)
        proxy.sender_options = (f"wss://localhost:{port}/", "--cacert", pair.certificate)
        proxy.admin = admin
        try:
            yield proxy
        finally:
            proxy.end()


@contextlib.contextmanager
def nginx(pair: Pair, a: str, b: str) -> Iterator[Proxy]:
    """Run nginx in front of two servers, given by address and port."""
    command = find("nginx")
    with _folder() as folder:
        place = folder / "https"
        for name, changes in {
            "nginx.conf": {},
            "listen.conf": {
                "listen 443 ssl;": f"listen unix:{place} ssl;",
                "listen [::]:443 ssl;": "",
                "/etc/nginx/wsroll/cert.pem": str(pair.certificate),
                "/etc/nginx/wsroll/key.pem": str(pair.key),
            },
            "servers.conf": {"127.0.0.1:8765": a, "127.0.0.1:8766": b},
        }.items():
            text = (DEPLOY / "nginx" / name).read_text()
            for old, new in changes.items():
                assert text.count(old) == 1, f"{old!r} in {name}"
                text = text.replace(old, new)
            (folder / name).write_text(text)
        with (folder / "listen.conf").open("a") as listen:
            # Debian's nginx has these in folders of root.
            listen.write("access_log off;\n")
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
                listen.write(f"{kind}_temp_path {folder}/{kind};\n")
        proxy = Proxy(
            *(command, "-c", folder / "nginx.conf", "-g"),
            f"daemon off; pid {folder}/pid; error_log stderr notice;",
            stdin=subprocess.DEVNULL,
        )
        proxy.address = str(place)
        proxy.sender_options = (
            *("wss://localhost/", "--unix", place, "--cacert", pair.certificate),
        )
        try:
            proxy.wait_for("start worker process ")
            yield proxy
        finally:
            proxy.end()


def find(name: str) -> str:
    """Return the command of a proxy, which Debian has where only root looks."""
    command = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if command is None:
        skip_unless_ci(f"the Debian package {name}")
    return command


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # The path of a Unix socket must be short.
    with tempfile.TemporaryDirectory(prefix="wsroll-") as folder:
        yield Path(folder)
