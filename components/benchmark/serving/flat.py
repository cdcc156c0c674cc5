"""Flat serving metrics."""

from compaware.components.benchmark.serving.results import Serving


def serving_metrics(serving: Serving | None, identifier: str) -> dict[str, float]:
    """Returns the figures of the model to serve, under names that are the same in every run; a rate of 0 if none holds.

    Args:
        serving: The serving figures; None if they were not measured.
        identifier: Id of the model to serve.
    """
    form = serving.of(identifier) if serving else None
    if form is None:
        return {}
    best = form.server.best
    return {
        "serving_single_stream_p99_ms": form.single_stream.p99_ms,
        "serving_offline_samples_per_s": form.offline.samples_per_s,
        "serving_server_queries_per_s": best.queries_per_s if best else 0.0,
    }
