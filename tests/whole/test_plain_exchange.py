"""The plain exchange that the system began with: one request, one reply, ten thousand times."""

import re

from websockets.sync.client import connect


def test_a_bare_client_gets_a_right_reply_to_each_of_ten_thousand_requests(server_url: str) -> None:
    numbers = set()
    with connect(server_url) as websocket:
        for i in range(10_000):
            websocket.send(f"Request {i}")
            reply = websocket.recv(timeout=10)
            assert isinstance(reply, str)
            found = re.fullmatch(rf"Request {i}: (\d+)", reply)
            assert found, reply
            numbers.add(int(found[1]))
    # That one of a hundred numbers never comes has a chance of 2 in 10^42.
    assert numbers == set(range(1, 101))
