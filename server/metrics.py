"""The counts of a server in the text format that Prometheus reads."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from server.counters import Counters

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Collects a server's counts at the moment of the scrape."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        """Return all metrics, summed over the server's workers."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Return each metric with its value now."""
        totals = dict(self._counters.totals())
        yield GaugeMetricFamily(
            "wsroll_connections", "WebSocket connections open now.", totals["open"]
        )
        for name, text, key in (
            ("wsroll_connections_opened", "WebSocket connections opened.", "opened"),
            ("wsroll_requests", "Requests answered.", "requests"),
            ("wsroll_received_bytes", "Bytes received, as sent in frames.", "received"),
            ("wsroll_sent_bytes", "Bytes sent, as sent in frames.", "sent"),
        ):
            yield CounterMetricFamily(name, text, totals[key])
        refused = CounterMetricFamily(
            "wsroll_handshakes_refused", "Handshakes refused, by reason.", labels=["reason"]
        )
        closed = CounterMetricFamily(
            "wsroll_closes", "WebSocket connections closed, by close code.", labels=["code"]
        )
        for labelled, total in totals.items():
            if isinstance(labelled, tuple):
                kind, label = labelled
                family = refused if kind == "refused" else closed
                family.add_metric([str(label or "other")], total)
        yield refused
        yield closed
