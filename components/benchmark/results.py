"""What `benchmark.json` holds: every figure of a benchmark, and where each stands."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel

from compaware.components.benchmark.config import Role, Runtime
from compaware.components.benchmark.timing import Ratio, latency_percentiles, ratio
from compaware.components.core.base.summary import Score
from compaware.components.core.evaluation.criterion import Criterion, sort_key

FILE_NAME = "benchmark.json"
# Where the distribution of latencies is kept.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class BatchSpeed(BaseModel):
    """Speed of one candidate at one batch size.

    Attributes:
        p50_ms: Median time of a call, in milliseconds; `p90_ms` and `p99_ms` likewise.
        samples_per_s: Sentences over time, all timed calls together.
        ratio_to_teacher: Speed over the teacher's (FP32, torch eager), median of the rounds; None without a teacher.
        ratio_to_fp32_student: Speed over the FP32 student's (torch eager), likewise.
        spread: 10th and 90th percentile over the rounds of each ratio.
        calls: Timed calls.
        round_ms: Mean time of a call in each round, from which ratios are made.
        quantiles_ms: Time of a call at the quantiles `QUANTILES`.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    samples_per_s: float
    ratio_to_teacher: float | None = None
    ratio_to_fp32_student: float | None = None
    spread: dict[str, tuple[float, float]] = {}
    calls: int
    round_ms: list[float]
    quantiles_ms: list[float]

    @classmethod
    def from_rounds(cls, rounds: list[list[float]], batch_size: int) -> "BatchSpeed":
        """Sums up the seconds of each call in each round."""
        calls = [second for seconds in rounds for second in seconds]
        p50, p90, p99 = latency_percentiles([1000 * second for second in calls])
        return cls(
            p50_ms=p50,
            p90_ms=p90,
            p99_ms=p99,
            samples_per_s=batch_size * len(calls) / sum(calls),
            calls=len(calls),
            quantiles_ms=[1000 * value for value in np.quantile(calls, QUANTILES).tolist()],
            round_ms=[1000 * sum(seconds) / len(seconds) for seconds in rounds],
        )

    def speed_over(self, other: "BatchSpeed") -> Ratio:
        """How many times faster this is than `other`, which took turns with it, or with the same reference."""
        rounds = min(len(self.round_ms), len(other.round_ms))
        return ratio(other.round_ms[:rounds], self.round_ms[:rounds])


class Measured(BaseModel):
    """One candidate in one runtime and precision.

    Attributes:
        id: `<name>_<runtime>`, with the precision between when the model's name does not tell it.
        name: The candidate's name.
        role: teacher, student, int8 or sparse.
        precision: fp32, bf16 or int8.
        runtime: torch (eager), openvino, onnxruntime or ipex.
        metric_name: The task's primary metric.
        metric: Its value over the whole split, from the logits of the same worker that was timed.
        f1_by_label: F1 of each label of multi-label data, from the same logits; empty for other data.
        size_bytes: Of the files that this runtime reads.
        compressed_bytes: The same files after deflate (level 6): what zeros and INT8 save in transport.
        peak_memory_bytes: Highest resident memory of the worker process, from its start.
        batches: Speed by batch size.
        path: The model's folder.
    """

    id: str
    name: str
    role: Role
    precision: str
    runtime: Runtime
    metric_name: str
    metric: Score
    f1_by_label: dict[str, Score] = {}
    size_bytes: int
    compressed_bytes: int
    peak_memory_bytes: int
    batches: dict[int, BatchSpeed]
    path: str


class Unmeasured(BaseModel):
    """A candidate that could not be measured.

    Attributes:
        name: The candidate's.
        role: teacher, student, int8 or sparse.
        runtime: The runtime that it could not be measured in; empty for all of them.
        precision: Its precision there.
        reason: Why, in one line.
    """

    name: str
    role: Role
    runtime: str = ""
    precision: str = ""
    reason: str


class Group(BaseModel):
    """Candidates that took turns with one another.

    Attributes:
        candidates: Their ids; the first is the reference, which is in every group.
        scales: By batch size, what the times were multiplied by so that the reference's median is that of the first
            group; empty in the first, and where the reference failed.
    """

    candidates: list[str]
    scales: dict[int, float]


class Recommended(BaseModel):
    """What to serve.

    Attributes:
        id: The candidate for most uses: the fastest at the smallest batch size.
        by_batch: The fastest at each batch size.
    """

    id: str
    by_batch: dict[int, str]


class Benchmark(BaseModel):
    """All of `benchmark.json`.

    Attributes:
        machine: cpu, flags, threads, versions.
        data: task, split, rows, fingerprint, metric, lengths in tokens, rows that are cut.
        settings: How it was measured.
        criteria: By name of a candidate, what its primary metric may lose against the dense FP32 model; see
            `fill_criteria`.
        unmeasured: Candidates that could not be measured, in all or in some of their runtimes.
        groups: Which were measured at the same time; one group where memory held them all.
        candidates: Every candidate in every runtime.
        recommended: What to serve; set by `sentences.recommend`.
        words: What the figures say; set by `sentences.sentences`.
    """

    machine: dict[str, Any]
    data: dict[str, Any]
    settings: dict[str, Any]
    candidates: list[Measured]
    criteria: dict[str, Criterion] = {}
    unmeasured: list[Unmeasured] = []
    groups: list[Group] = []
    recommended: Recommended | None = None
    words: list[str] = []

    @property
    def batch_sizes(self) -> list[int]:
        """Smallest first."""
        return sorted(self.candidates[0].batches)

    def of(self, *roles: Role) -> list[Measured]:
        """Candidates with one of these roles."""
        return [candidate for candidate in self.candidates if candidate.role in roles]

    def by_id(self, identifier: str) -> Measured:
        """The candidate with this id."""
        return next(candidate for candidate in self.candidates if candidate.id == identifier)

    def reference(self, role: Role) -> Measured | None:
        """The first candidate of a role in FP32, torch eager: what ratios are against."""
        found = (item for item in self.of(role) if item.runtime == "torch" and item.precision == "fp32")
        return next(found, None)

    def dense(self) -> list[Measured]:
        """The dense FP32 model that small ones are judged against, in all its runtimes: student, or else teacher.

        The teacher does not stand in for a student that could not be measured.
        """
        roles = [item.role for item in self.candidates] + [item.role for item in self.unmeasured]
        models = self.of("student" if "student" in roles else "teacher")
        return [item for item in models if item.name == models[0].name and item.precision == "fp32"]

    def keeps(self, item: Measured) -> bool:
        """Whether a candidate meets its criterion; one that nothing was measured against does."""
        criterion = self.criteria.get(item.name)
        return criterion is None or criterion.passes(item.metric)

    def fill_criteria(self, own: Mapping[str, Criterion]) -> None:
        """Writes each candidate's criterion: its own, or else the usual one, against the dense FP32 model.

        Where that was not measured, a candidate's own baseline stays.

        Args:
            own: What was asked for when a candidate was made, by its name.
        """
        dense = self.dense()
        for item in self.candidates:
            asked = own.get(item.name)
            if asked and asked.metric_name != item.metric_name:
                asked = None  # It was asked for other data.
            if dense:
                reference = dense[0].metric
                asked = asked.with_baseline(reference) if asked else Criterion.usual(item.metric_name, reference)
            if asked:
                self.criteria[item.name] = asked.with_baseline(asked.baseline)

    def fill_ratios(self) -> None:
        """Writes each batch's ratios and their spread."""
        teacher, student = self.reference("teacher"), self.reference("student")
        for candidate in self.candidates:
            for size, batch in candidate.batches.items():
                if teacher:
                    found = batch.speed_over(teacher.batches[size])
                    batch.ratio_to_teacher, batch.spread["ratio_to_teacher"] = found.median, found.spread
                if student:
                    found = batch.speed_over(student.batches[size])
                    batch.ratio_to_fp32_student, batch.spread["ratio_to_fp32_student"] = found.median, found.spread


def fastest(candidates: Iterable[Measured], batch_size: int) -> Measured:
    """The candidate with the lowest median latency at a batch size, of at least one; of equals, the most accurate."""
    return min(candidates, key=lambda item: (item.batches[batch_size].p50_ms, -sort_key(item.metric), item.size_bytes))
