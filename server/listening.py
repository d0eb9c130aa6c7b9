"""Where a server listens: its sockets, and the address by which it is announced."""

import contextlib
import errno
import ipaddress
import os
import socket
import stat
from pathlib import Path
from typing import Any

from server.settings import Settings
from wire.address import announcement
from wire.text import printable

__all__ = ["ListenError", "Listeners", "listen"]

BACKLOG = 4096
"""How many connections may wait to be accepted. The usual 100 makes a burst of clients wait a
second or more, until the kernel asks again; the kernel itself caps this (net.core.somaxconn)."""


PORT_ATTEMPTS = 20
"""How often to pick a port that is free on every address of the host: on a machine with half of its
ports taken, one in a million starts fails."""


class ListenError(Exception):
    """The server cannot listen where it should; the message says why and what to do."""


class Listeners:
    """The bound sockets of a server.

    Args:
        settings: Where to listen.
        sockets: The sockets, bound but not yet listening.
    """

    def __init__(self, settings: Settings, sockets: list[socket.socket]) -> None:
        self.sockets = sockets
        self._settings = settings
        self._path = settings.unix
        self._identity = _identity(settings.unix) if settings.unix else None

    @property
    def port(self) -> int:
        """The TCP port, 0 for a Unix socket."""
        return 0 if self._settings.unix else int(self.sockets[0].getsockname()[1])

    @property
    def local(self) -> bool:
        """Whether only this machine can connect to the TCP sockets."""
        return self._settings.unix is None and all(
            ipaddress.ip_address(listener.getsockname()[0]).is_loopback for listener in self.sockets
        )

    def announcement(self) -> str:
        """Return the line that says where the server listens."""
        settings = self._settings
        if settings.unix is not None:
            return f"Listening on the Unix socket {printable(str(settings.unix))}"
        host = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host
        authority = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        secure = "s" if settings.secure else ""
        page = f"http{secure}://{authority}/" if settings.http else None
        return announcement(f"ws{secure}://{authority}/", page)

    def remove(self) -> None:
        """Remove the file of the Unix socket, unless another server has put its own there.

        This must come before the socket is closed: as long as it is open, no other file can have
        its number.
        """
        path, self._path = self._path, None
        if path is not None:
            with contextlib.suppress(OSError):
                if _identity(path) == self._identity:
                    path.unlink()

    def close(self) -> None:
        """Close the sockets, and remove the file of the Unix socket."""
        self.remove()
        for listener in self.sockets:
            listener.close()


def listen(settings: Settings, *, joining: bool = False) -> Listeners:
    """Bind the sockets of a server, one for each address of its host.

    Args:
        settings: Where to listen.
        joining: Whether to share the port with sockets that are there, which must be our own.

    Raises:
        ListenError: If the host is unknown or the address is taken.
    """
    if settings.unix is not None:
        return Listeners(settings, [_bind_unix(settings.unix)])
    for attempt in range(1, PORT_ATTEMPTS + 1):
        try:
            return Listeners(settings, _bind_all(settings, _addresses(settings), joining))
        except OSError as error:
            # A port that is free on one address may be taken on the other.
            if settings.port == 0 and error.errno == errno.EADDRINUSE and attempt < PORT_ATTEMPTS:
                continue
            if error.errno == errno.EADDRINUSE:
                raise ListenError(
                    f"port {settings.port} is already in use on {settings.host}; "
                    "end what listens there, or choose another with --port (0 picks a free one)"
                ) from None
            raise ListenError(
                f"cannot listen on {settings.host}:{settings.port}: {_reason(error)}"
            ) from None
    raise AssertionError("the last attempt returns or raises")


_Address = tuple[int, tuple[Any, ...]]
"""An address family, and an address in it."""


def _addresses(settings: Settings) -> list[_Address]:
    """Return the addresses of the host.

    Raises:
        ListenError: If it has none.
    """
    # Both loopback addresses are localhost (RFC 6761, section 6.3), whatever the hosts file says.
    is_localhost = settings.host.lower() == "localhost"
    hosts = ("127.0.0.1", "::1") if is_localhost else (settings.host,)
    try:
        found = [
            (info[0], info[4])
            for host in hosts
            for info in socket.getaddrinfo(
                host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        ]
    except (OSError, UnicodeError) as error:
        raise ListenError(f"the host {settings.host!r} is not known: {_reason(error)}") from None
    return list(dict.fromkeys(found))


def _bind_all(settings: Settings, addresses: list[_Address], joining: bool) -> list[socket.socket]:
    """Bind a socket to each address, with port 0 all to the port that the first one gets."""
    sockets: list[socket.socket] = []
    port = settings.port
    shared = settings.workers > 1
    try:
        for family, address in addresses:
            try:
                place = (address[0], port, *address[2:])
                if shared and port and not joining:
                    # Sockets that share a port would share another server's, too.
                    _bind_tcp(family, place, shared=False).close()
                sockets.append(_bind_tcp(family, place, shared=shared))
            except OSError as error:
                # A machine may know of ::1 and have no IPv6.
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and (
                    sockets or (family, address) != addresses[-1]
                ):
                    continue
                raise
            port = sockets[0].getsockname()[1]
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _bind_tcp(family: int, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Elsewhere this option would let two servers share a port by accident.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _bind_unix(path: Path) -> socket.socket:
    try:
        if stat.S_ISSOCK(path.stat().st_mode) and not _answers(path):
            # Left behind by a server that was killed.
            path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ListenError(f"cannot listen on {path}: {_reason(error)}") from None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        # At once: another server that starts takes a socket which nobody answers for a dead one's.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if path.is_dir():
            raise ListenError(f"{path} is a directory; choose another path") from None
        if error.errno == errno.EADDRINUSE:
            raise ListenError(f"{path} already exists; remove it or choose another path") from None
        raise ListenError(f"cannot listen on {path}: {_reason(error)}") from None
    return listener


def _identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from one that took its place."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
