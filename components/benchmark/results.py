"""Contents of `benchmark.json`: all figures of a benchmark."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel

from compaware.components.benchmark.config import Role
from compaware.components.benchmark.timing import Ratio, latency_percentiles, ratio
from compaware.components.core.base.summary import Score
from compaware.components.core.evaluation.criterion import Criterion, sort_key
from compaware.components.core.runtimes.formats import RuntimeName

FILE_NAME = "benchmark.json"
# Quantiles of the latency that are stored for each batch size.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class BatchSpeed(BaseModel):
    """Speed of one candidate at one batch size.

    Attributes:
        p50_ms: Median time of a call, in milliseconds; `p90_ms` and `p99_ms` likewise.
        samples_per_s: Sentences per second over all timed calls.
        ratio_to_teacher: Speed over the teacher's (FP32, torch eager), median of the rounds; None without a teacher.
        ratio_to_fp32_student: Speed over the FP32 student's (torch eager), median of the rounds; None without one.
        spread: 10th and 90th percentile over the rounds, by name of the ratio.
        calls: Number of timed calls.
        round_ms: Mean time of a call in each round, from which the ratios are computed.
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
        """Summarizes the seconds of each call in each round."""
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
        """Returns how many times faster this is than `other`, which took turns with it or with the same reference."""
        rounds = min(len(self.round_ms), len(other.round_ms))
        return ratio(other.round_ms[:rounds], self.round_ms[:rounds])


class Measured(BaseModel):
    """One candidate in one runtime and precision.

    Attributes:
        id: `<name>_<runtime>`, or `<name>_<precision>_<runtime>` if the role does not imply the precision.
        name: The candidate's name.
        role: teacher, student, int8 or sparse.
        precision: fp32, bf16 or int8.
        runtime: torch (eager), openvino, onnxruntime or ipex.
        metric_name: The task's primary metric.
        metric: Its value over the whole split, from the logits of the worker that was timed.
        f1_by_label: F1 of each label of multi-label data, from the same logits; empty for other data.
        size_bytes: Size of the files that this runtime reads.
        compressed_bytes: Size of the same files after deflate (level 6), which shows what zeros and INT8 save.
        loaded_memory_bytes: Resident memory of the worker process after loading and a first prediction; None in older
            files.
        peak_memory_bytes: Highest resident memory of the worker process, from its start to the last timed call: it
            includes scoring the timed split.
        batches: Speed by batch size.
        path: The model's folder.
    """

    id: str
    name: str
    role: Role
    precision: str
    runtime: RuntimeName
    metric_name: str
    metric: Score
    f1_by_label: dict[str, Score] = {}
    size_bytes: int
    compressed_bytes: int
    loaded_memory_bytes: int | None = None
    peak_memory_bytes: int
    batches: dict[int, BatchSpeed]
    path: str


class Unmeasured(BaseModel):
    """A candidate that could not be measured.

    Attributes:
        name: The candidate's name.
        role: teacher, student, int8 or sparse.
        runtime: The runtime that it could not be measured in; empty for all of them.
        precision: The precision that it could not be measured in.
        reason: Why not, in one line.
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
        scales: By batch size, the factor that makes the reference's median time equal to that in the first group; all
            times of the group are multiplied by it. Empty for the first group, and if the reference failed.
    """

    candidates: list[str]
    scales: dict[int, float]


class Recommended(BaseModel):
    """The candidates to serve.

    Attributes:
        id: Id of the candidate for most uses, the fastest at the smallest batch size.
        by_batch: Id of the fastest candidate at each batch size.
    """

    id: str
    by_batch: dict[int, str]


class Benchmark(BaseModel):
    """All of `benchmark.json`.

    Attributes:
        machine: cpu, flags, threads, versions; in a cluster also node and, if pods have that label, node_type.
        data: task, split, rows, fingerprint, metric, lengths in tokens, number of cut rows.
        settings: How it was measured.
        criteria: By name of a candidate, how much its primary metric may lose against the dense FP32 model; see
            `fill_criteria`.
        unmeasured: Candidates that could not be measured in some or all of their runtimes.
        groups: Candidates that were measured at the same time; one group if memory holds them all.
        candidates: Every candidate in every runtime.
        recommended: The candidates to serve; set by `sentences.recommend`.
        words: The report's sentences; set by `sentences.sentences`.
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
        """The measured batch sizes, smallest first."""
        return sorted(self.candidates[0].batches)

    def of(self, *roles: Role) -> list[Measured]:
        """Returns the candidates with one of these roles."""
        return [candidate for candidate in self.candidates if candidate.role in roles]

    def by_id(self, identifier: str) -> Measured:
        """Returns the candidate with this id."""
        return next(candidate for candidate in self.candidates if candidate.id == identifier)

    def reference(self, role: Role) -> Measured | None:
        """Returns the first candidate of a role in FP32 and torch eager, which ratios are computed against."""
        eager = (item for item in self.of(role) if item.runtime == "torch" and item.precision == "fp32")
        return next(eager, None)

    def dense(self) -> list[Measured]:
        """Returns the dense FP32 model that compressed ones are compared with, in all its runtimes.

        It is the student, or the teacher if there is no student. The teacher does not replace a student that could not
        be measured.
        """
        roles = [item.role for item in self.candidates] + [item.role for item in self.unmeasured]
        models = self.of("student" if "student" in roles else "teacher")
        return [item for item in models if item.name == models[0].name and item.precision == "fp32"]

    def meets_criterion(self, item: Measured) -> bool:
        """Whether a candidate meets its criterion; a candidate without one does."""
        criterion = self.criteria.get(item.name)
        return criterion is None or criterion.passes(item.metric)

    def fill_criteria(self, own: Mapping[str, Criterion]) -> None:
        """Sets each candidate's criterion: its own, or else the usual one, against the dense FP32 model.

        If that model was not measured, a candidate's own criterion keeps its baseline.

        Args:
            own: Criteria that candidates were made with, by name of the candidate.
        """
        dense = self.dense()
        for item in self.candidates:
            criterion = own.get(item.name)
            if criterion and criterion.metric_name != item.metric_name:
                criterion = None  # It belongs to other data.
            if dense:
                reference = dense[0].metric
                usual = Criterion.usual(item.metric_name, reference)
                criterion = criterion.with_baseline(reference) if criterion else usual
            if criterion:
                self.criteria[item.name] = criterion.with_baseline(criterion.baseline)

    def fill_ratios(self) -> None:
        """Sets each batch's ratios and their spread."""
        teacher, student = self.reference("teacher"), self.reference("student")
        for candidate in self.candidates:
            for size, batch in candidate.batches.items():
                if teacher:
                    speed = batch.speed_over(teacher.batches[size])
                    batch.ratio_to_teacher, batch.spread["ratio_to_teacher"] = speed.median, speed.spread
                if student:
                    speed = batch.speed_over(student.batches[size])
                    batch.ratio_to_fp32_student, batch.spread["ratio_to_fp32_student"] = speed.median, speed.spread


def fastest(candidates: Iterable[Measured], batch_size: int) -> Measured:
    """Returns the candidate with the lowest median latency at a batch size; of equally fast ones the most accurate."""
    return min(candidates, key=lambda item: (item.batches[batch_size].p50_ms, -sort_key(item.metric), item.size_bytes))
