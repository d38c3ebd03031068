"""What Prometheus scrapes: requests, predictions, readiness, the model's identity, the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

if TYPE_CHECKING:
    from .served import Served

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The server's metrics, in a registry of their own."""

    def __init__(self, model: Served) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # one more series for each, and nobody asked when the first request came
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        labels = ("protocol", "operation")
        self._requests = Counter("modelyard_requests", "Requests answered.", (*labels, "code"), registry=self._registry)
        self._duration = Histogram(
            "modelyard_request_seconds", "Time to answer.", labels, buckets=SECONDS, registry=self._registry
        )
        self._active = Gauge("modelyard_requests_in_progress", "Requests being answered.", registry=self._registry)
        self._inference = Histogram(
            "modelyard_inference_seconds", "Time in the model, a request.", buckets=SECONDS, registry=self._registry
        )
        self._samples = Counter("modelyard_samples", "Samples given to the model.", registry=self._registry)
        self._ready = Gauge(
            "modelyard_ready", "1: takes new traffic; 0: starting or draining.", registry=self._registry
        )
        self._model(model)

    def started(self) -> None:
        """Count a request that has arrived."""
        self._active.inc()

    def finished(self, protocol: str, operation: str, status: int, duration_s: float) -> None:
        """Count a request that was answered with `status` after `duration_s`."""
        self._active.dec()
        self._requests.labels(protocol, operation, str(status)).inc()
        self._duration.labels(protocol, operation).observe(duration_s)

    def inference(self, samples: int, duration_s: float) -> None:
        """Count `samples` that the model took `duration_s` for."""
        self._samples.inc(samples)
        self._inference.observe(duration_s)

    def ready(self, ready: bool) -> None:
        """Say whether the server takes new traffic."""
        self._ready.set(int(ready))

    def exposition(self) -> bytes:
        """Return every metric in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)

    def _model(self, model: Served) -> None:
        facts = {"name": model.name, "version": model.version, **model.identity}
        gauge = Gauge("modelyard_model_info", "The model that is served.", tuple(facts), registry=self._registry)
        gauge.labels(**facts).set(1)
