"""How long a run was without any open connection."""

__all__ = ["Outage"]


class Outage:
    """Measures the times in which no connection is open. Times are in seconds of the run's clock.

    What lies before the first connection opened does not count.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.total = 0.0
        self._open = 0
        self._stopped = False
        self._since: float | None = None

    def stop(self, now: float) -> None:
        """End."""
        self._end_outage(now)
        self._stopped = True

    def note_opened(self, now: float) -> None:
        """Take down that a connection is open."""
        self._open += 1
        self._end_outage(now)

    def note_ended(self, now: float) -> None:
        """Take down that a connection has ended."""
        self._open -= 1
        if not self._open and not self._stopped:
            self._since = now

    def _end_outage(self, now: float) -> None:
        if self._since is not None:
            length = now - self._since
            self._since = None
            self.longest = max(self.longest, length)
            self.total += length
