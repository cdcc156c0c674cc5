"""Contents of `benchmark.json`: all figures of a benchmark."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from compaware.components.benchmark.config import FloorRuntime, Role
from compaware.components.benchmark.quality.results import Quality
from compaware.components.benchmark.serving.results import Serving
from compaware.components.benchmark.timing import BatchSpeed
from compaware.components.benchmark.trivial import Trivial
from compaware.components.core.base.summary import Score
from compaware.components.core.evaluation.criterion import Criterion, sort_key
from compaware.components.core.evaluation.intervals import Difference, Interval
from compaware.components.core.runtimes.formats import RuntimeName

FILE_NAME = "benchmark.json"


class SplitScore(BaseModel):
    """The metric of one candidate on a split that is only reported.

    Attributes:
        rows: Rows of the split.
        metric: The task's primary metric.
        interval: The metric with its 95 % interval.
    """

    rows: int
    metric: Score
    interval: Interval


class Differences(BaseModel):
    """Differences of a candidate's metric from a reference's, on the same rows.

    Attributes:
        validation: On the split that decides, which is usually validation.
        test: On the test split; None without one.
    """

    validation: Difference
    test: Difference | None = None

    @property
    def reported(self) -> Difference:
        """The difference on test, or without a test split that on validation."""
        return self.test or self.validation


class Measured(BaseModel):
    """One candidate in one runtime and precision.

    Attributes:
        id: `<name>_<runtime>`, or `<name>_<precision>_<runtime>` if the role does not imply the precision.
        name: The candidate's name.
        role: teacher, student, int8, sparse or floor.
        precision: fp32, bf16 or int8.
        runtime: torch (eager), openvino, onnxruntime or ipex; for floors sklearn or numpy.
        metric_name: The task's primary metric.
        metric: Its value over the whole split, from the logits of the worker that was timed.
        interval: The metric with its 95 % interval; None in files of earlier versions.
        test: The metric on the test split; None without one.
        differences: By id of a reference (the teacher and the dense FP32 model), the paired differences from it.
        f1_by_label: F1 of each label of multi-label data, from the same logits; empty for other data.
        size_bytes: Size of the files that this runtime reads.
        compressed_bytes: Size of the same files after deflate (level 6), which shows what zeros and INT8 save.
        loaded_memory_bytes: Resident memory of the worker process after loading and a first prediction; None in older
            files.
        peak_memory_bytes: Highest resident memory of the worker process, from its start to the last timed call: it
            includes scoring the timed split.
        batches: Speed by batch size.
        path: The model's folder; empty for a floor, which is not kept.
    """

    id: str
    name: str
    role: Role
    precision: str
    runtime: RuntimeName | FloorRuntime
    metric_name: str
    metric: Score
    interval: Interval | None = None
    test: SplitScore | None = None
    differences: dict[str, Differences] = {}
    f1_by_label: dict[str, Score] = {}
    size_bytes: int
    compressed_bytes: int
    loaded_memory_bytes: int | None = None
    peak_memory_bytes: int
    batches: dict[int, BatchSpeed]
    path: str

    @property
    def reported_metric(self) -> float:
        """The metric on test, or without a test split on the rows that decide."""
        return self.test.metric if self.test else self.metric

    @property
    def reported_interval(self) -> Interval | None:
        """The interval of `reported_metric`."""
        return self.test.interval if self.test else self.interval


class Unmeasured(BaseModel):
    """A candidate that could not be measured.

    Attributes:
        name: The candidate's name.
        role: teacher, student, int8, sparse or floor.
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


class FloorTraining(BaseModel):
    """How a floor was trained.

    Attributes:
        rows: Number of training rows; fewer than the data has if it is large.
        features: Number of features.
        regularization_c: Inverse strength of the regularization, the best of some on validation.
        seconds: Time of the training.
    """

    rows: int
    features: int
    regularization_c: float
    seconds: float


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
        machine: cpu, flags, threads, versions; in a cluster also node and, if known, node_type.
        data: task, split, rows, fingerprint, metric, lengths in tokens, number of cut rows.
        settings: How it was measured.
        criteria: By name of a candidate, the loss that is allowed; see `comparisons.fill_criteria`.
        unmeasured: Candidates that could not be measured in some or all of their runtimes.
        floors: How each floor was trained, by name.
        groups: Candidates that were measured at the same time; one group if memory holds them all.
        candidates: Every candidate in every runtime.
        serving: The recommended candidates in the scenarios of a server; None if they were not measured.
        recommended: The candidates to serve; set by `recommendation.recommend`.
        quality: Classes, calibration, slices and drift; None in a sweep, and in files that were written without them.
        trivial: Predictions that ignore the text; None in older files, and if all rows have one label.
        words: The report's sentences; set by `sentences.sentences`.
    """

    machine: dict[str, Any]
    data: dict[str, Any]
    settings: dict[str, Any]
    candidates: list[Measured]
    criteria: dict[str, Criterion] = {}
    unmeasured: list[Unmeasured] = []
    floors: dict[str, FloorTraining] = {}
    groups: list[Group] = []
    recommended: Recommended | None = None
    serving: Serving | None = None
    quality: Quality | None = None
    trivial: Trivial | None = None
    words: list[str] = []

    @property
    def batch_sizes(self) -> list[int]:
        """The measured batch sizes, smallest first."""
        return sorted(self.candidates[0].batches)

    @property
    def models(self) -> list[Measured]:
        """The candidates except floors: those that can be recommended."""
        return [candidate for candidate in self.candidates if candidate.role != "floor"]

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

    def forms(self, name: str) -> list[Measured]:
        """Returns a model in all its runtimes and precisions."""
        return [item for item in self.candidates if item.name == name]

    def accurate_forms(self, name: str) -> list[Measured]:
        """Returns the forms of a model that lose no more than allowed against its most accurate form."""
        forms = self.forms(name)
        best = max((item.metric for item in forms), key=sort_key)
        criterion = self.criteria.get(name, Criterion.usual(forms[0].metric_name, best)).with_baseline(best)
        limit = Criterion.create(criterion.metric_name, best, criterion.allowed_loss)
        return [item for item in forms if limit.passes(item.metric)] or forms

    def dense(self, precision: str = "fp32") -> list[Measured]:
        """Returns the dense model that compressed ones are compared with, in all runtimes that have this precision.

        It is the student, or the teacher if there is no student. The teacher does not replace a student that could not
        be measured.
        """
        roles = [item.role for item in self.candidates] + [item.role for item in self.unmeasured]
        models = self.of("student" if "student" in roles else "teacher")
        return [item for item in models if item.name == models[0].name and item.precision == precision]

    def references(self) -> list[Measured]:
        """Returns the candidates that others are compared with: the teacher and the dense model, in FP32."""
        references = [*filter(None, [self.reference("teacher")]), *self.dense()[:1]]
        return list({item.id: item for item in references}.values())

    def best_teacher(self, batch_size: int) -> Measured | None:
        """Returns the fastest form of the teacher that keeps its accuracy; None without a teacher as the reference."""
        teacher = self.reference("teacher")
        return fastest(self.accurate_forms(teacher.name), batch_size) if teacher else None

    def meets_criterion(self, item: Measured) -> bool:
        """Whether a candidate meets its criterion; a candidate without one does."""
        criterion = self.criteria.get(item.name)
        differences = next((item.differences.get(dense.id) for dense in self.dense()), None)
        return criterion is None or criterion.passes(item.metric, differences.validation if differences else None)


def fastest(candidates: Iterable[Measured], batch_size: int) -> Measured:
    """Returns the candidate with the lowest median latency at a batch size; of equally fast ones the most accurate."""
    return min(candidates, key=lambda item: (item.batches[batch_size].p50_ms, -sort_key(item.metric), item.size_bytes))
