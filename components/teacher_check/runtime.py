"""Chooses the runtime and the precision in which the teacher computes soft labels, and checks its logits in them."""

import logging
import math
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compaware.components.core.base import cpu
from compaware.components.core.base.distributed import call_on_main, device, gather, local_world_size, world_size
from compaware.components.core.base.summary import Score
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.text import table_batches
from compaware.components.core.models.pairing import input_names
from compaware.components.core.runtimes.formats import FP32_OPENVINO_FILE, Precision, RuntimeName, TokenBatch

log = logging.getLogger(__name__)
Predict = Callable[[TokenBatch], np.ndarray]
# Row numbers, and the inputs or the logits of these rows.
RowsAndInputs = tuple[np.ndarray, TokenBatch]
RowsAndLogits = tuple[np.ndarray, np.ndarray]

# With fewer rows for each process, OpenVINO would save less time than its conversion takes.
_MANY_ROWS = 20_000
_CHECKED_ROWS = 256
# Largest mean and single difference from the logits of FP32 PyTorch, as shares of their standard deviation, that count
# as rounding.
_TOLERANCES: dict[Precision, tuple[float, float]] = {"fp32": (1e-5, 1e-4), "bf16": (0.01, 0.1)}
# Each batch in work needs memory. With more threads than this, each batch gets the same number of them.
_MAX_WORKERS = 8


class Agreement(BaseModel):
    """How far logits are from those of FP32 PyTorch.

    Attributes:
        rows: Number of compared rows.
        mean_difference: Mean absolute difference of a logit.
        largest_difference: Largest absolute difference of a logit.
        logits_std: Standard deviation of the FP32 logits, to compare the differences with.
    """

    rows: int
    mean_difference: Score
    largest_difference: Score
    logits_std: Score

    def is_close(self, precision: Precision) -> bool:
        """Whether the logits differ by no more than rounding in `precision`; never if one is NaN."""
        mean, largest = _TOLERANCES[precision]
        return self.mean_difference <= mean * self.logits_std and self.largest_difference <= largest * self.logits_std

    def __str__(self) -> str:
        return (
            f"logits differ by {self.mean_difference:.2g} on average and {self.largest_difference:.2g} at most, with a "
            f"standard deviation of {self.logits_std:.2g} ({self.rows} rows)"
        )


class TeacherRuntime(BaseModel):
    """Runtime and precision of a teacher's pass over the data, the same on all ranks.

    Attributes:
        runtime: `torch` or `openvino`.
        precision: `fp32` or `bf16`.
        reason: Reason for log and report.
        agreement: Comparison with FP32 PyTorch on some rows; None if that was chosen at once.
    """

    runtime: RuntimeName
    precision: Precision
    reason: str
    agreement: Agreement | None = None


@dataclass(frozen=True)
class Teacher:
    """A teacher that was loaded into a runtime for throughput.

    Each worker computes a batch of its own. Threads that share a batch wait for each other after every operator: for
    short texts this takes a fifth more CPU time in OpenVINO, and in PyTorch on a busy machine several times more.

    Attributes:
        predict: Returns the logits of a batch, float32 (batch, labels); workers call it at the same time.
        workers: Number of batches in work.
    """

    predict: Predict
    workers: int

    def run(self, batches: Iterable[RowsAndInputs]) -> Iterator[RowsAndLogits]:
        """Yields the row numbers and logits of each batch, in the order of the batches."""
        pending: deque[tuple[np.ndarray, Future[np.ndarray]]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            for rows, batch in batches:
                pending.append((rows, pool.submit(self.predict, batch)))
                # One more batch for each worker waits, so that all have work while the caller uses the logits.
                if len(pending) >= 2 * self.workers:
                    first, logits = pending.popleft()
                    yield first, logits.result()
            for last, logits in pending:
                yield last, logits.result()


def choose_runtime(precision: str, rows: int) -> TeacherRuntime:
    """Chooses the fastest runtime and precision that all ranks have.

    Args:
        precision: Precision of the configuration: `auto`, `fp32` or `bf16`.
        rows: Number of rows that all ranks together predict.
    """
    choices = gather(_choose(precision, rows // world_size()))
    # All parts must come from the same runtime and precision, so the rank with the least decides.
    return min(choices, key=lambda choice: (choice.precision == "bf16", choice.runtime == "openvino"))


def _choose(precision: str, rows: int) -> TeacherRuntime:
    if device().type != "cpu":
        return TeacherRuntime(runtime="torch", precision="fp32", reason="a GPU computes them")
    chosen: Precision = "fp32" if precision == "fp32" or not cpu.has_bf16() else "bf16"
    reason = "the CPU computes BF16 in hardware"
    if chosen == "fp32":
        reason = "precision=fp32" if precision == "fp32" else "the CPU has no BF16 hardware"
    # IPEX's environment has an older torch without torchao, whose graphs OpenVINO cannot convert.
    if rows < _MANY_ROWS or not find_spec("openvino") or not find_spec("torchao"):
        return TeacherRuntime(runtime="torch", precision=chosen, reason=reason)
    reason = f"{reason}, and the conversion saves time with {rows} rows for each process"
    return TeacherRuntime(runtime="openvino", precision=chosen, reason=reason)


def open_teacher(
    chosen: TeacherRuntime,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: PreparedDataset,
    expected: np.ndarray,
    max_length_tokens: int,
    batch_size: int,
) -> tuple[Teacher, TeacherRuntime]:
    """Loads the teacher into a runtime; if its logits there differ from FP32 PyTorch, into FP32 PyTorch.

    Args:
        chosen: See `choose_runtime`.
        model: The teacher, on all ranks; moved to this process's device.
        tokenizer: Its tokenizer.
        dataset: Data of which some validation rows are compared on rank 0.
        expected: The teacher's logits for validation in FP32 PyTorch.
        max_length_tokens: Longer inputs are cut.
        batch_size: Rows in a batch.

    Returns:
        The teacher in the runtime, and which one it is.
    """
    threads = cpu.threads(local_world_size())
    workers, threads_each = _workers(threads) if device().type == "cpu" else (1, threads)
    # Each worker takes this number from the process when it starts.
    torch.set_num_threads(threads_each)
    model.to(device()).eval()
    teacher = Teacher(_open(chosen, model, workers), workers)
    if (chosen.runtime, chosen.precision) != ("torch", "fp32"):
        rows = _checked_rows(len(expected))
        table = dataset.split("validation").take(rows)
        batches = table_batches(table, tokenizer, input_names(model), max_length_tokens, batch_size)
        agreement = call_on_main(compare, teacher, batches, expected[rows])
        chosen = chosen.model_copy(update={"agreement": agreement})
        if not agreement.is_close(chosen.precision):
            reason = f"{chosen.precision} in {chosen.runtime} is not close enough to FP32"
            if chosen.precision == "fp32":
                reason += " in torch"
            chosen = chosen.model_copy(update={"runtime": "torch", "precision": "fp32", "reason": reason})
            teacher = Teacher(_torch(model, bf16=False), workers)
    compared = f"; {chosen.agreement}" if chosen.agreement else ""
    log.info("soft labels in %s of %s: %s%s", chosen.precision, chosen.runtime, chosen.reason, compared)
    return teacher, chosen


def compare(teacher: Teacher, batches: Iterable[RowsAndInputs], expected: np.ndarray) -> Agreement:
    """Compares the logits of a teacher with those of FP32 PyTorch, (rows, labels)."""
    logits = np.empty_like(expected)
    for rows, predicted in teacher.run(batches):
        logits[rows] = predicted
    differences = np.abs(logits - expected)
    return Agreement(
        rows=len(logits),
        mean_difference=float(differences.mean()),
        largest_difference=float(differences.max()),
        logits_std=float(expected.std()),
    )


def _workers(threads: int) -> tuple[int, int]:
    """Returns the number of workers, and that of the threads of each; few threads are left over."""
    threads_each = math.ceil(threads / _MAX_WORKERS)
    return threads // threads_each, threads_each


def _checked_rows(count: int) -> np.ndarray:
    """Returns numbers of rows that are spread evenly over a split."""
    return np.unique(np.linspace(0, count - 1, _CHECKED_ROWS).astype(int))


def _open(chosen: TeacherRuntime, model: PreTrainedModel, workers: int) -> Predict:
    if chosen.runtime == "openvino":
        return _openvino(model, chosen.precision, workers)
    return _torch(model, bf16=chosen.precision == "bf16")


def _torch(model: PreTrainedModel, *, bf16: bool) -> Predict:
    def predict(batch: TokenBatch) -> np.ndarray:
        with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            output = model(**{name: torch.from_numpy(values).to(model.device) for name, values in batch.items()})
        return output.logits.float().cpu().numpy()

    return predict


def _openvino(model: PreTrainedModel, precision: Precision, workers: int) -> Predict:
    # Imported only where OpenVINO is chosen: this takes a second.
    from compaware.components.core.runtimes.export import export_program
    from compaware.components.core.runtimes.openvino_export import save_openvino
    from compaware.components.core.runtimes.predictors import compile_openvino

    with tempfile.TemporaryDirectory() as folder:
        save_openvino(export_program(model), Path(folder) / FP32_OPENVINO_FILE)
        threads = cpu.threads(local_world_size())
        compiled = compile_openvino(Path(folder), precision, threads, {"NUM_STREAMS": workers})
    names = [port.get_any_name() for port in compiled.inputs]
    of_worker = threading.local()

    def predict(batch: TokenBatch) -> np.ndarray:
        if not hasattr(of_worker, "request"):
            of_worker.request = compiled.create_infer_request()
        result = of_worker.request.infer({name: batch[name] for name in names}, share_inputs=True)
        return np.array(result[0], np.float32)

    return predict
