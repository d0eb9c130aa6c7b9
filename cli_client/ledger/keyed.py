"""Requests that can be found by key, and a bounded memory of keys.

Each look-up costs the same however many there are.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable

from cli_client.ledger.expectation import Key
from cli_client.ledger.ledger import Request

__all__ = ["KeyedRequests", "Memory"]


class KeyedRequests:
    """Requests in the order in which they were sent, which can also be found by key.

    Several requests may have the same key; they are found oldest first.
    """

    def __init__(self) -> None:
        # Not a plain dict: that one skips all that was removed each time it is asked for its first.
        self._requests: OrderedDict[int, tuple[Key, Request]] = OrderedDict()
        self._serials: dict[Key, deque[int]] = {}
        self._lengths: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._requests)

    def __contains__(self, key: Key) -> bool:
        return key in self._serials

    def add(self, serial: int, key: Key, request: Request) -> None:
        """Add a request. Serial numbers grow with each one that is added."""
        self._requests[serial] = key, request
        self._serials.setdefault(key, deque()).append(serial)
        self._lengths[len(request.payload)] += 1

    def find(self, key: Key) -> int | None:
        """Return the serial number of the oldest request with this key."""
        serials = self._serials.get(key)
        return None if serials is None else serials[0]

    def find_prefix(self, message: bytes) -> int | None:
        """Return the serial number of the request whose payload begins the message.

        Of several, it is the one with the longest payload. An empty payload begins every message,
        which says nothing, so it is left out; and a number that goes on is another number, so
        "Request 9" does not begin "Request 99". The keys must be the payloads.
        """
        size = len(message)
        for length in sorted(self._lengths, reverse=True):
            if 0 < length <= size and not _number_goes_on(message, length):
                serial = self.find(message[:length])
                if serial is not None:
                    return serial
        return None

    def get(self, serial: int) -> Request:
        """Return the request with this serial number."""
        return self._requests[serial][1]

    def take(self, serial: int) -> tuple[Key, Request]:
        """Remove the request with this serial number, and return it with its key."""
        key, request = self._requests.pop(serial)
        serials = self._serials[key]
        serials.remove(serial)  # the first, except where equal requests are taken out of order
        if not serials:
            del self._serials[key]
        length = len(request.payload)
        self._lengths[length] -= 1
        if not self._lengths[length]:
            del self._lengths[length]
        return key, request

    def take_older(self, serial: int) -> list[tuple[int, Key, Request]]:
        """Remove the requests that were sent before the one with this serial number."""
        older = []
        for one, (key, request) in self._requests.items():
            if one >= serial:
                break
            older.append((one, key, request))
        for one, _, _ in older:
            self.take(one)
        return older

    @property
    def oldest_serial(self) -> int:
        """The serial number of the request that was sent before all others."""
        return next(iter(self._requests))

    @property
    def oldest(self) -> Request:
        """The request that was sent before all others."""
        return self.get(self.oldest_serial)

    def take_oldest(self) -> tuple[Key, Request]:
        """Remove the oldest request, and return it with its key."""
        return self.take(self.oldest_serial)

    def keys(self) -> Iterable[Key]:
        """Return each key once."""
        return self._serials.keys()

    def clear(self) -> list[tuple[Key, Request]]:
        """Remove all requests, and return them with their keys."""
        requests = list(self._requests.values())
        self._requests.clear()
        self._serials.clear()
        self._lengths.clear()
        return requests


def _number_goes_on(message: bytes, place: int) -> bool:
    around = message[place - 1 : place + 1]
    return len(around) == 2 and around.isdigit()


class Memory:
    """Remembers the last keys that it was given.

    It keeps their hashes, so that long keys take no more room than short ones. Two of 65,536 keys
    have the same 64-bit hash once in 10^10 runs.

    Args:
        limit: How many.
    """

    def __init__(self, limit: int) -> None:
        self._hashes: deque[int] = deque(maxlen=limit)
        # Counted only once somebody asks: most runs never do.
        self._counts: Counter[int] | None = None

    def __contains__(self, key: Key) -> bool:
        if self._counts is None:
            self._counts = Counter(self._hashes)
        return hash(key) in self._counts

    def extend(self, keys: Iterable[Key]) -> None:
        """Remember keys, and forget the oldest beyond the limit."""
        if self._counts is None:
            self._hashes.extend(map(hash, keys))
            return
        for one in map(hash, keys):
            if len(self._hashes) == self._hashes.maxlen:
                self._forget_oldest(self._counts)
            self._hashes.append(one)
            self._counts[one] += 1

    def _forget_oldest(self, counts: Counter[int]) -> None:
        oldest = self._hashes.popleft()
        counts[oldest] -= 1
        if not counts[oldest]:
            del counts[oldest]
