"""The log's text, and that no line of it waits for a reader."""

import contextlib
import json
import logging
import queue
import re
from collections.abc import Iterator

import pytest

from server.logs import LONGEST_TEXT, _DroppingHandler, _JSONFormatter, _TextFormatter
from tests.server.raw import CLOSE, TEXT, RawClient, frame, handshake
from tests.server.running import Running, running


@pytest.mark.parametrize("code", [*range(0x100), 0x200B, 0x2028, 0x2029, 0x202E, 0xD800, 0xFEFF])
@pytest.mark.parametrize("formatter", [_TextFormatter(), _JSONFormatter()])
def test_a_record_with_any_character_is_one_printable_line(
    code: int, formatter: logging.Formatter
) -> None:
    """Whether the character comes from the message or from an argument."""
    text = f"a{chr(code)}b"
    record = logging.makeLogRecord({"msg": text if code % 2 else "%s", "levelno": logging.INFO})
    record.args = () if code % 2 else (text,)
    line = formatter.format(record)
    assert line.isprintable(), line
    if isinstance(formatter, _JSONFormatter):
        assert json.loads(line)["message"].isprintable()


@pytest.mark.parametrize("size", [LONGEST_TEXT, LONGEST_TEXT + 1, 10**6])
def test_no_more_of_a_text_waits_than_fits_a_line(size: int) -> None:
    """A peer chooses how long its headers are, and nobody may be reading the log."""
    waiting: queue.Queue[logging.LogRecord] = queue.Queue()
    record = logging.makeLogRecord({"msg": "%s", "args": ("%" * size,)})
    _DroppingHandler(waiting).handle(record)
    kept = waiting.get_nowait()
    more = "..." if size > LONGEST_TEXT else ""
    assert kept.getMessage() == "%" * LONGEST_TEXT + more
    assert not kept.args


PLACES = {
    "method": b"G%b / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "path": b"POST /%b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "version": b"GET / HTTP/%b\r\nHost: localhost\r\n\r\n",
    "header name": b"GET / HTTP/1.1\r\nHo%bst: localhost\r\n\r\n",
    "Host": b"GET / HTTP/1.1\r\nHost: evil%b\r\n\r\n",
    "Origin": handshake("localhost", "Origin: http://evil%b"),
    "Upgrade": handshake().replace(b"Upgrade: websocket", b"Upgrade: websocket%b"),
    "Connection": handshake().replace(b"Connection: Upgrade", b"Connection: %b"),
    "version of the protocol": handshake().replace(b"Version: 13", b"Version: 1%b"),
    "key": handshake().replace(b"Key: ", b"Key: %b"),
    "subprotocol": handshake("localhost", "Sec-WebSocket-Protocol: a%b"),
    "extension": handshake("localhost", "Sec-WebSocket-Extensions: a%b"),
    "body": handshake("localhost", "Content-Length: %b"),
}


@pytest.mark.parametrize("head", PLACES.values(), ids=PLACES)
def test_no_byte_of_a_request_reaches_the_log_raw(server: Running, head: bytes) -> None:
    """Every byte, in every place: each line is one line, and printable."""
    for byte in range(256):
        with RawClient(server.url) as client, contextlib.suppress(ConnectionError):
            client.send(head.replace(b"%b", bytes([byte])))
            client.finish()
            while client.socket.recv(2**16):
                pass
    check_log(server)


def test_no_byte_of_a_frame_reaches_the_log_raw(server: Running) -> None:
    for byte in range(256):
        some = bytes([byte])
        for data in (some * 9, frame(TEXT, some), frame(CLOSE, b"\x03\xe8" + some)):
            with server.connect() as client, contextlib.suppress(ConnectionError):
                client.send(data)
                client.finish()
                while client.socket.recv(2**16):
                    pass
    check_log(server)


def check_log(server: Running) -> None:
    """Check every line so far."""
    for line in server.log.split("\n"):
        assert line.isprintable(), repr(line)
        assert re.match(r"\d\d:\d\d:\d\d |Listening on |$", line), repr(line)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running("-v") as server:
        yield server
