"""Trains a model for any component with `CompressionTrainer`, and resumes from the last checkpoint."""

import logging
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import datasets
import numpy as np
import pyarrow.compute as pc
import torch
from pydantic import BaseModel
from transformers import EvalPrediction, PreTrainedTokenizerBase, Trainer, TrainerCallback, TrainerState

from compaware.components.core.base import cpu
from compaware.components.core.base.distributed import broadcast_weights, device, gather, local_world_size, world_size
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Score
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.soft_labels import SoftLabels
from compaware.components.core.data.text import Collator
from compaware.components.core.data.tokens import tokenize_split
from compaware.components.core.evaluation.metrics import REGRESSION_METRICS, compute_metrics, require_defined
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.arguments import build_arguments
from compaware.components.core.training.callbacks import ProgressLogger, TimedCheckpoints
from compaware.components.core.training.checkpoints import Checkpoints
from compaware.components.core.training.compression_trainer import CompressionTrainer
from compaware.components.core.training.ipex import Backend
from compaware.components.core.training.objectives import LogitObjective, Objective
from compaware.components.core.training.precision import TrainingPrecision, choose_training_precision
from compaware.components.core.training.speedups.bit_dropout import use_bit_dropout
from compaware.components.core.training.speedups.frozen_layers import frozen_states
from compaware.components.core.training.speedups.used_rows import only_used_rows

log = logging.getLogger(__name__)


class TrainingResult(BaseModel):
    """Facts of a finished training.

    Attributes:
        steps: Optimizer steps, including those before a resume.
        best_step: The step whose weights the model has.
        seconds: Wall time since the start or the last resume.
        samples_per_s: Training rows per second over all ranks, including the time of evaluations.
        precision: `fp32` or `bf16`.
        precision_reason: Reason for the precision.
        backend: `torch` or `ipex`.
        processes: World size.
        cut_rows: Training rows that were longer than `max_length_tokens`.
        history: Loss and validation metrics by step.
    """

    steps: int
    best_step: int | None
    seconds: float
    samples_per_s: float
    precision: TrainingPrecision
    precision_reason: str
    backend: Backend
    processes: int
    cut_rows: int
    history: list[dict[str, Score]]


def train(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    dataset: PreparedDataset,
    options: TrainingOptions,
    workspace: Workspace,
    *,
    soft_labels: SoftLabels | None = None,
    objective: Objective | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    whole_vocabulary: bool = False,
    frozen_layers: int = 0,
    backend: Backend = "torch",
) -> TrainingResult:
    """Trains `model` in place; it ends with the weights of its best validation score, on all ranks.

    Args:
        model: Takes the tokenizer's columns and returns an output with `logits`.
        tokenizer: The model's tokenizer.
        dataset: Data with the splits `train` and `validation`.
        options: Learning rate, epochs and so on.
        workspace: Its work folder holds tokens and checkpoints; another call with the same folder resumes from them.
        soft_labels: The teacher's logits for the training split.
        objective: Computes the loss; soft-label distillation with default values if not given.
        callbacks: More Trainer callbacks (mask lock, observer freezing).
        whole_vocabulary: Also train embeddings of tokens that the data lacks; for callbacks that need the whole table.
        frozen_layers: Number of the model's first layers that `models.layers.freeze_layers` froze.
        backend: See `ipex.choose_backend`.

    Raises:
        UserError: A value of `training_arguments` is invalid, the metric is undefined on validation, or the training
            diverged.
    """
    require_defined(dataset.manifest.metric, dataset.labels("validation"))
    checkpoints = Checkpoints(workspace.work / "checkpoints", workspace.work_uri, workspace.identity)
    build_arguments(options, checkpoints.folder, dataset.manifest.metric, "fp32")  # Finds mistakes before long work.
    _set_threads(model)
    use_bit_dropout(model)
    length, folder = options.max_length_tokens, workspace.work / "tokens"
    rows = tokenize_split(dataset, "train", tokenizer, length, folder, soft_labels)
    validation_rows = tokenize_split(dataset, "validation", tokenizer, length, folder)
    cut_rows = _count_cut_rows(rows, min(length, tokenizer.model_max_length))
    objective, collator = objective or LogitObjective(), Collator(tokenizer)
    first_batch = collator([rows[number] for number in range(min(options.batch_size, len(rows)))])
    precision, reason = _choose_common_precision(options.precision, model, first_batch, objective)
    arguments = build_arguments(options, checkpoints.folder, dataset.manifest.metric, precision)
    started = time.monotonic()
    with ExitStack() as stack:
        frozen = None
        if frozen_layers and options.epochs > 1 and device().type == "cpu" and backend == "torch":
            frozen = stack.enter_context(frozen_states(model, frozen_layers, [rows, validation_rows], collator, folder))
        if frozen:
            rows, validation_rows = frozen.splits
        if not whole_vocabulary:
            stack.enter_context(only_used_rows(model, [rows, validation_rows], [tokenizer.pad_token_id or 0]))
        trainer = CompressionTrainer(
            model=model,
            args=arguments,
            data_collator=collator,
            train_dataset=rows,
            eval_dataset=validation_rows,
            processing_class=tokenizer,
            compute_metrics=_metrics_of(dataset.manifest.metric),
            callbacks=[ProgressLogger(), TimedCheckpoints(options.checkpoint_minutes), *callbacks, checkpoints],
            objective=objective,
            frozen=frozen,
            backend=backend,
        )
        result = trainer.train(resume_from_checkpoint=str(newest) if (newest := checkpoints.newest()) else None)
        _require_scores(trainer.state, dataset.manifest.metric, options.learning_rate)
        _restore_best_weights(trainer, model)
    return TrainingResult(
        steps=result.global_step,
        best_step=trainer.state.best_global_step,
        seconds=time.monotonic() - started,
        samples_per_s=result.metrics["train_samples_per_second"],
        precision=precision,
        precision_reason=reason,
        backend=backend,
        processes=world_size(),
        cut_rows=cut_rows,
        history=_history(trainer.state.log_history),
    )


def _set_threads(model: torch.nn.Module) -> None:
    threads, reason = cpu.training_threads(local_world_size(), sum(weight.numel() for weight in model.parameters()))
    torch.set_num_threads(threads)
    log.info("threads of each process: %d (%s)", threads, reason)


def _choose_common_precision(
    precision: str, model: torch.nn.Module, batch: dict[str, torch.Tensor], objective: Objective
) -> tuple[TrainingPrecision, str]:
    """Returns the precision for all ranks, which is FP32 if one of their nodes needs it, and the reason for it."""
    choices = gather(choose_training_precision(precision, model, batch, objective))
    common, reason = min(choices, key=lambda choice: choice[0] == "bf16")
    log.info("training with world size %d in %s: %s", world_size(), common, reason)
    return common, reason


def _count_cut_rows(rows: datasets.Dataset, length: int) -> int:
    """Returns the number of rows that were longer than `length` tokens."""
    cut = pc.sum(rows.data.column("cut")).as_py()
    log.info("%d of %d training rows are longer than %d tokens and are cut", cut, len(rows), length)
    return cut


def _require_scores(state: TrainerState, metric: str, learning_rate: float) -> None:
    scores = [entry[f"eval_{metric}"] for entry in state.log_history if f"eval_{metric}" in entry]
    if scores and all(map(math.isnan, scores)):
        constant = ", or the same for every row" if metric in REGRESSION_METRICS else ""
        raise UserError(
            f"the training diverged: the model's logits for validation are NaN or infinite{constant}. Lower "
            f"learning_rate (now {learning_rate:g}), or check that the initial model's logits are finite"
        )


def _restore_best_weights(trainer: Trainer, model: torch.nn.Module) -> None:
    """Removes Trainer's mixed-precision wrapper, copies IPEX's weights back, and sends rank 0's weights to all ranks.

    Only rank 0's node has the best checkpoint.
    """
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    if trainer.model is not model:
        model.load_state_dict(trainer.model.state_dict())
    broadcast_weights(model)


def _metrics_of(metric: str) -> Any:
    def compute(prediction: EvalPrediction) -> dict[str, float]:
        return compute_metrics(metric, np.asarray(prediction.predictions), np.asarray(prediction.label_ids))

    return compute


def _history(log_history: list[dict[str, float]]) -> list[dict[str, float]]:
    """Returns the points of the learning curves: loss and validation metrics."""
    kept = ("step", "epoch", "loss")
    points = [
        {name: value for name, value in entry.items() if name in kept or name.startswith("eval_")}
        for entry in log_history
    ]
    return [point for point in points if len(point.keys() - {"step", "epoch"}) > 0]
