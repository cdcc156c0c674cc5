"""An INT8 model on disk and the scores of its files: one row of the tune result table."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel

from compaware.components.core.base.files import move_replacing, remove, size_bytes, write_text
from compaware.components.core.base.summary import Score
from compaware.components.core.data.dataset import ProblemType
from compaware.components.core.evaluation.calibration import Calibration
from compaware.components.core.evaluation.evaluate import Evaluation, evaluate_folder
from compaware.components.core.evaluation.intervals import Difference, paired_difference
from compaware.components.core.evaluation.metrics import decisions
from compaware.components.core.int8.mixed_precision import count_by_precision
from compaware.components.core.int8.save import save_int8_files
from compaware.components.core.models.pairing import max_sequence_tokens
from compaware.components.core.runtimes.formats import ONNX_FILE, OPENVINO_FILE, RuntimeName
from compaware.components.core.training.trainer import TrainingResult
from compaware.components.quantization_aware_training.inputs import QuantizationInputs

RUNTIMES: tuple[RuntimeName, ...] = ("openvino", "onnxruntime")
_MEASURED = "candidate.json"
_FILES = {
    "openvino": (OPENVINO_FILE, OPENVINO_FILE.replace(".xml", ".bin")),
    "onnxruntime": (ONNX_FILE,),
}


class RuntimeResult(BaseModel):
    """The scores of an INT8 model in a runtime, measured in a new process.

    Attributes:
        metrics: Validation metrics.
        difference: Paired difference to the FP32 model on validation.
        seconds: Time of the predictions after warm-up.
        size_bytes: Size of the files that the runtime loads.
        agreement: Agreement with the simulated INT8 graph: fraction of equal decisions, or Pearson's r for regression.
        mixed_precision: See `core.int8.mixed_precision`.
        calibration: Temperature of its logits, if the options ask for it.
    """

    metrics: dict[str, Score]
    difference: Difference
    seconds: float
    size_bytes: int
    agreement: float
    mixed_precision: list[dict[str, Any]]
    calibration: Calibration | None = None


class QuantizedCandidate(BaseModel):
    """An INT8 model.

    Attributes:
        name: Method that made the model.
        made_in_s: Seconds that it took to make the model.
        served: Results by runtime.
        trials: Number of settings that post-training quantization tried.
        trained: Facts of the training, if there was one.
    """

    name: Literal["PTQ", "QAT"]
    made_in_s: float
    served: dict[str, RuntimeResult]
    trials: int = 0
    trained: TrainingResult | None = None


@dataclass(frozen=True)
class SimulatedLogits:
    """Logits of the INT8 graph in PyTorch for some validation rows.

    Attributes:
        rows: Row numbers.
        logits: float32, (rows, labels).
    """

    rows: np.ndarray
    logits: np.ndarray


def load_candidate(folder: Path) -> QuantizedCandidate | None:
    """Loads the candidate that an earlier run finished in a folder; None if there is none."""
    file = folder / _MEASURED
    return QuantizedCandidate.model_validate_json(file.read_text(encoding="utf-8")) if file.is_file() else None


def save_candidate(
    name: Literal["PTQ", "QAT"],
    graph: torch.fx.GraphModule,
    simulated: SimulatedLogits,
    baseline: Evaluation,
    started: float,
    inputs: QuantizationInputs,
    folder: Path,
    trials: int = 0,
    trained: TrainingResult | None = None,
) -> QuantizedCandidate:
    """Saves an INT8 model's public files and evaluates each in a new process.

    Args:
        name: Method that made the model.
        graph: The converted graph; weights are not folded.
        simulated: Logits of the graph, to compare with those of the files.
        baseline: Evaluation of the FP32 model on validation.
        started: `time.monotonic()` when the work on the model began.
        inputs: Model configuration, tokenizer, data and options.
        folder: Folder of the candidate; it exists only when the candidate is complete.
        trials: See `QuantizedCandidate`.
        trained: See `QuantizedCandidate`.
    """
    staged = folder.with_name(folder.name + "-unfinished")
    remove(staged)
    staged.mkdir(parents=True)
    inputs.model.config.save_pretrained(staged)
    inputs.tokenizer.save_pretrained(staged)
    save_int8_files(graph, staged, max_sequence_tokens(inputs.model.config), inputs.config.aot_package)
    made_in_s = time.monotonic() - started
    candidate = QuantizedCandidate(
        name=name,
        made_in_s=made_in_s,
        served={runtime: _measure(staged, runtime, graph, simulated, baseline, inputs) for runtime in RUNTIMES},
        trials=trials,
        trained=trained,
    )
    write_text(staged / _MEASURED, candidate.model_dump_json())
    move_replacing(staged, folder)
    return candidate


def copy_public_files(folder: Path, output: Path) -> None:
    """Copies a candidate's public files to the output folder; a resumed run may still need the candidate."""
    shutil.copytree(folder, output, ignore=shutil.ignore_patterns(_MEASURED), dirs_exist_ok=True)


def _measure(
    folder: Path,
    runtime: RuntimeName,
    graph: torch.fx.GraphModule,
    simulated: SimulatedLogits,
    baseline: Evaluation,
    inputs: QuantizationInputs,
) -> RuntimeResult:
    options: dict[str, Any] = {"runtime": runtime, "precision": "int8", "warm": True}
    length = inputs.config.max_length_tokens
    evaluation = evaluate_folder(folder, inputs.config.dataset, max_length_tokens=length, **options)
    metric, labels = inputs.dataset.manifest.metric, inputs.dataset.labels("validation")
    return RuntimeResult(
        metrics=evaluation.metrics,
        difference=paired_difference(metric, evaluation.logits, baseline.logits, labels),
        seconds=evaluation.seconds,
        size_bytes=sum(size_bytes(folder / name) for name in _FILES[runtime]),
        agreement=agreement(evaluation.logits[simulated.rows], simulated.logits, inputs.dataset.manifest.problem_type),
        mixed_precision=count_by_precision(graph, folder, runtime),
        calibration=Calibration.fit(evaluation.logits, inputs.dataset.labels("validation"))
        if inputs.config.calibrate
        else None,
    )


def agreement(first: np.ndarray, second: np.ndarray, problem_type: ProblemType) -> float:
    """Returns the fraction of equal decisions of two sets of logits, (rows, labels), or Pearson's r for regression."""
    if problem_type != "regression":
        multi_label = problem_type == "multi_label_classification"
        one, other = (decisions(logits, multi_label=multi_label) for logits in (first, second))
        return float((one == other).mean())
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
