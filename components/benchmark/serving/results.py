"""The serving figures in `benchmark.json`."""

from collections.abc import Sequence

from pydantic import BaseModel

from compaware.components.benchmark.timing import latency_percentiles


class SingleStream(BaseModel):
    """One query after another, each of one sentence.

    Attributes:
        queries: Number of queries.
        p50_ms: Median latency in milliseconds; `p90_ms` and `p99_ms` likewise.
    """

    queries: int
    p50_ms: float
    p90_ms: float
    p99_ms: float

    @classmethod
    def from_seconds(cls, seconds: Sequence[float]) -> "SingleStream":
        """Summarizes the time of each query."""
        p50, p90, p99 = latency_percentiles([1000 * second for second in seconds])
        return cls(queries=len(seconds), p50_ms=p50, p90_ms=p90, p99_ms=p99)


class Offline(BaseModel):
    """All sentences are there at the start.

    Attributes:
        samples_per_s: Sentences per second.
        samples: Number of sentences.
        batch_size: The measured batch size with the highest throughput.
        streams: Number of batches that the runtime works on at the same time.
    """

    samples_per_s: float
    samples: int
    batch_size: int
    streams: int


class Probe(BaseModel):
    """Queries that arrived at one rate.

    Attributes:
        queries_per_s: Rate of the Poisson process.
        queries: Number of queries.
        p50_ms: Median time from the scheduled arrival to the logits; `p99_ms` likewise.
        queries_per_call: Mean number of queries in a call of the model.
        overloaded: Whether queries still waited when the last one's time was up. They count with the time until then,
            so the percentiles are lower bounds.
        is_held: Whether p99 is within the bound.
    """

    queries_per_s: float
    queries: int
    p50_ms: float
    p99_ms: float
    queries_per_call: float
    overloaded: bool
    is_held: bool

    @classmethod
    def from_latencies(
        cls, queries_per_s: float, seconds: Sequence[float], calls: int, unserved: int, bound_ms: float
    ) -> "Probe":
        """Summarizes the latency of each query; the last `unserved` ones were not served."""
        p50, _, p99 = latency_percentiles([1000 * second for second in seconds])
        return cls(
            queries_per_s=queries_per_s,
            queries=len(seconds),
            p50_ms=p50,
            p99_ms=p99,
            queries_per_call=(len(seconds) - unserved) / max(1, calls),
            overloaded=unserved > 0,
            is_held=not unserved and p99 <= bound_ms,
        )


class Server(BaseModel):
    """Queries arrive at random times and wait for one process with dynamic batching.

    Attributes:
        most_queries_per_call: The largest batch.
        probes: The rates that were tried, in order.
    """

    most_queries_per_call: int
    probes: list[Probe] = []

    @property
    def best(self) -> Probe | None:
        """The probe with the highest rate whose p99 was within the bound; None if there is none."""
        return max(
            (probe for probe in self.probes if probe.is_held), key=lambda probe: probe.queries_per_s, default=None
        )


class ServedForm(BaseModel):
    """One candidate in one runtime and precision, in all scenarios.

    Attributes:
        id: Id of the candidate.
        single_stream: See `SingleStream`.
        offline: See `Offline`.
        server: See `Server`.
    """

    id: str
    single_stream: SingleStream
    offline: Offline
    server: Server


class Serving(BaseModel):
    """Candidates in the scenarios of a server.

    Attributes:
        latency_bound_ms: Bound on the 99th percentile of the latency in the Server scenario.
        reference: Id of the dense FP32 form that the others are compared with; None if there is none.
        forms: The measured candidates, the recommended one first.
        failures: By id, why a candidate could not be measured, in one line.
    """

    latency_bound_ms: float
    reference: str | None = None
    forms: list[ServedForm] = []
    failures: dict[str, str] = {}

    def of(self, identifier: str | None) -> ServedForm | None:
        """Returns the figures of a candidate; None if it was not measured."""
        return next((form for form in self.forms if form.id == identifier), None)
