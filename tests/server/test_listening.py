"""Where the server listens: the sockets themselves."""

import errno
import socket
from pathlib import Path

import pytest

from server import listening
from server.listening import ListenError, listen
from server.settings import Settings
from tests.server.raw import RawClient
from tests.server.running import running


def refuse_ipv6(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Let the port that was picked be taken on ::1, some times."""
    tried: list[int] = []
    bind = listening._bind_tcp

    def bind_tcp(family: int, address: tuple[object, ...], *, shared: bool) -> socket.socket:
        if family == socket.AF_INET6:
            assert isinstance(address[1], int)
            tried.append(address[1])
            if len(tried) <= times:
                raise OSError(errno.EADDRINUSE, "taken")
        return bind(family, address, shared=shared)

    monkeypatch.setattr(listening, "_bind_tcp", bind_tcp)
    return tried


def test_a_picked_port_that_is_taken_on_the_other_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is picked."""
    tried = refuse_ipv6(monkeypatch, 3)
    listeners = listen(Settings(port=0))
    try:
        assert len(tried) == 4
        assert {bound.getsockname()[1] for bound in listeners.sockets} == {tried[-1]}
    finally:
        listeners.close()


def test_ports_that_are_all_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not try for ever; and a port that was named is the only one that is tried."""
    refuse_ipv6(monkeypatch, 1000)
    with pytest.raises(ListenError, match="already in use"):
        listen(Settings(port=0))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError):
        listen(Settings(port=taken.getsockname()[1]))


def test_the_file_of_another_server_is_not_removed(tmp_path: Path) -> None:
    """One that took the place of this one, while this one closed its connections."""
    path = tmp_path / "socket"
    old = listen(Settings(unix=path))
    path.unlink()
    new = listen(Settings(unix=path))
    old.close()
    assert path.is_socket()
    new.close()
    assert not path.exists()


def test_a_server_that_starts_does_not_lose_its_unix_socket(tmp_path: Path) -> None:
    """To another one that starts at the same time: nobody answers at either yet."""
    path = tmp_path / "socket"
    first = listen(Settings(unix=path))
    with pytest.raises(ListenError, match="already exists"):
        listen(Settings(unix=path))
    first.close()


@pytest.mark.parametrize("name", ["", "folder"])
def test_a_folder_is_no_place_for_a_unix_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ListenError, match="is a directory"):
        listen(Settings(unix=Path(name)))


def test_a_server_that_stops_gives_its_unix_socket_away_at_once(tmp_path: Path) -> None:
    """A new server is reached at the same path while the old one still closes its connections."""
    path = tmp_path / "socket"
    with running("--unix", str(path), "--grace", "600") as old, RawClient(str(path)) as client:
        client.open()
        assert old.process.stdin is not None
        old.process.stdin.close()
        client.read_frame()  # the old one stops
        with running("--unix", str(path)):
            client.socket.close()
            assert old.wait() == 0
            with RawClient(str(path)) as newcomer:
                newcomer.open().ask("Request 1")
