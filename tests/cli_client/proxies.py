"""Proxies to send through: HTTP CONNECT and SOCKS 5, each on a thread of its own."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from tests.cli_client.raw import serving_streams


@contextlib.contextmanager
def http_proxy(
    status: str = "200 OK", behind: Sequence[bytes] = ()
) -> Iterator[tuple[str, list[str]]]:
    """A proxy for CONNECT, and the requests that it gets; with what it sends behind its answers."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        more = behind[len(heads) - 1] if len(heads) <= len(behind) else b""
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode() + more)
        if status.startswith("200"):
            host, _, port = heads[-1].split()[1].rpartition(":")
            await _join(reader, writer, host, int(port))

    with serving_streams(serve) as port:
        yield f"http://127.0.0.1:{port}", heads


@contextlib.contextmanager
def socks_proxy(login: str = "") -> Iterator[tuple[str, list[str]]]:
    """A SOCKS 5 proxy (RFC 1928) that may want 'user:password', and where it was sent to."""
    targets: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = await reader.readexactly((await reader.readexactly(2))[1])
        method = 2 if login else 0
        if method not in methods:
            writer.write(b"\x05\xff")
            return
        writer.write(bytes([5, method]))
        if login:  # RFC 1929
            user = await reader.readexactly((await reader.readexactly(2))[1])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            right = user + b":" + password == login.encode()
            writer.write(b"\x01\x00" if right else b"\x01\x01")
            if not right:
                return
        kind = (await reader.readexactly(4))[3]
        assert kind == 3, "socks5h leaves the host's name to the proxy"
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        targets.append(f"{host}:{port}")
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await _join(reader, writer, host, port)

    with serving_streams(serve) as port:
        yield f"socks5h://127.0.0.1:{port}", targets


@contextlib.contextmanager
def proxy_to_silence() -> Iterator[str]:
    """A proxy that grants a tunnel to a server that says nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read()

    with serving_streams(serve) as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def mute_proxy() -> Iterator[int]:
    """The port of a proxy that reads what it is sent and closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(2**16)

    with serving_streams(serve) as port:
        yield port


async def _join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    there = await asyncio.open_connection(host, port)
    await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()
