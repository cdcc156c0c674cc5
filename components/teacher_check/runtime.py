"""Chooses the runtime and the precision in which the teacher computes soft labels, and checks its logits in them."""

import logging
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from pydantic import BaseModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compaware.components.core.base import cpu
from compaware.components.core.base.distributed import broadcast, device, gather, is_main, local_world_size, world_size
from compaware.components.core.base.summary import Score
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.text import table_batches
from compaware.components.core.models.pairing import input_names
from compaware.components.core.runtimes.formats import FP32_OPENVINO_FILE, Precision, RuntimeName, TokenBatch

log = logging.getLogger(__name__)
Predict = Callable[[TokenBatch], np.ndarray]

# With fewer rows for each process, OpenVINO would save less time than its conversion takes.
_MANY_ROWS = 20_000
_CHECKED_ROWS = 256
# Largest differences from the FP32 logits, as shares of their standard deviation, that count as rounding.
_MEAN_TOLERANCE, _LARGEST_TOLERANCE = 0.01, 0.1
# From the choice that runs everywhere to the one that needs most.
_CHOICES: list[tuple[RuntimeName, Precision]] = [("torch", "fp32"), ("torch", "bf16"), ("openvino", "bf16")]


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

    @property
    def is_close(self) -> bool:
        """Whether the logits differ by no more than rounding; never if one is NaN."""
        return (
            self.mean_difference <= _MEAN_TOLERANCE * self.logits_std
            and self.largest_difference <= _LARGEST_TOLERANCE * self.logits_std
        )

    def __str__(self) -> str:
        return (
            f"logits differ by {self.mean_difference:.4f} on average and {self.largest_difference:.4f} at most, with a "
            f"standard deviation of {self.logits_std:.2f} ({self.rows} rows)"
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


def choose_runtime(precision: str, rows: int) -> TeacherRuntime:
    """Chooses the fastest runtime and precision that all ranks have.

    Args:
        precision: Precision of the configuration: `auto`, `fp32` or `bf16`.
        rows: Number of rows that all ranks together predict.
    """
    choices = gather(_choose(precision, rows // world_size()))
    # All parts must come from the same runtime, so the rank with the least decides.
    return min(choices, key=lambda choice: _CHOICES.index((choice.runtime, choice.precision)))


def _choose(precision: str, rows: int) -> TeacherRuntime:
    if device().type != "cpu":
        return TeacherRuntime(runtime="torch", precision="fp32", reason="a GPU computes them")
    if precision == "fp32" or not cpu.has_bf16():
        reason = "precision=fp32" if precision == "fp32" else "the CPU has no BF16 hardware"
        return TeacherRuntime(runtime="torch", precision="fp32", reason=reason)
    # IPEX's environment has an older torch without torchao, whose graphs OpenVINO cannot convert.
    if rows >= _MANY_ROWS and find_spec("openvino") and find_spec("torchao"):
        reason = f"the CPU computes BF16 in hardware, and the conversion saves time with {rows} rows for each process"
        return TeacherRuntime(runtime="openvino", precision="bf16", reason=reason)
    reason = "the CPU computes BF16 in hardware"
    return TeacherRuntime(runtime="torch", precision="bf16", reason=reason)


def open_teacher(
    chosen: TeacherRuntime,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: PreparedDataset,
    max_length_tokens: int,
    batch_size: int,
) -> tuple[Predict, TeacherRuntime]:
    """Loads the teacher into a runtime; if its logits there differ from FP32 PyTorch, into FP32 PyTorch.

    Args:
        chosen: See `choose_runtime`.
        model: The teacher, on all ranks; moved to this process's device.
        tokenizer: Its tokenizer.
        dataset: Data whose first training rows are compared on rank 0.
        max_length_tokens: Longer inputs are cut.
        batch_size: Rows in a batch.

    Returns:
        The function that predicts a batch, and what it runs in.
    """
    torch.set_num_threads(cpu.threads(local_world_size()))
    model.to(device()).eval()
    predict, full = _open(chosen, model), _torch(model, bf16=False)
    if chosen.precision != "fp32":
        agreement = None
        if is_main():
            table = _some_rows(next(dataset.groups("train", [0])))
            batches = table_batches(table, tokenizer, input_names(model), max_length_tokens, batch_size)
            agreement = compare(predict, full, [batch for _, batch in batches])
        agreement = broadcast(agreement)
        assert agreement is not None
        chosen = chosen.model_copy(update={"agreement": agreement})
        if not agreement.is_close:
            reason = f"{chosen.precision} in {chosen.runtime} is not close enough to FP32"
            chosen = chosen.model_copy(update={"runtime": "torch", "precision": "fp32", "reason": reason})
            predict = full
    compared = f"; {chosen.agreement}" if chosen.agreement else ""
    log.info("soft labels in %s of %s: %s%s", chosen.precision, chosen.runtime, chosen.reason, compared)
    return predict, chosen


def compare(predict: Predict, reference: Predict, batches: list[TokenBatch]) -> Agreement:
    """Compares the logits of two runtimes."""
    logits, expected = (np.concatenate([run(batch) for batch in batches]) for run in (predict, reference))
    differences = np.abs(logits - expected)
    return Agreement(
        rows=len(logits),
        mean_difference=float(differences.mean()),
        largest_difference=float(differences.max()),
        logits_std=float(expected.std()),
    )


def _some_rows(table: pa.Table) -> pa.Table:
    """Returns rows spread evenly over a row group."""
    return table.take(np.unique(np.linspace(0, table.num_rows - 1, _CHECKED_ROWS).astype(int)))


def _open(chosen: TeacherRuntime, model: PreTrainedModel) -> Predict:
    return _openvino(model) if chosen.runtime == "openvino" else _torch(model, bf16=chosen.precision == "bf16")


def _torch(model: PreTrainedModel, *, bf16: bool) -> Predict:
    def predict(batch: TokenBatch) -> np.ndarray:
        with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
            output = model(**{name: torch.from_numpy(values).to(model.device) for name, values in batch.items()})
        return output.logits.float().cpu().numpy()

    return predict


def _openvino(model: PreTrainedModel) -> Predict:
    # Imported only where OpenVINO is chosen: this takes a second.
    from compaware.components.core.runtimes.export import export_program
    from compaware.components.core.runtimes.openvino_export import save_openvino
    from compaware.components.core.runtimes.predictors import open_runtime

    with tempfile.TemporaryDirectory() as folder:
        save_openvino(export_program(model), Path(folder) / FP32_OPENVINO_FILE)
        return open_runtime(folder, "openvino", "bf16", cpu.threads(local_world_size())).predict
