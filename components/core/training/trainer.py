"""Training, the same for every component: `transformers.Trainer` with our loss, resumed from its last checkpoint."""

import logging
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.compute as pc
import torch
from pydantic import BaseModel
from transformers import (
    EvalPrediction,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from compaware.components.core.base import cpu
from compaware.components.core.base.distributed import (
    broadcast,
    broadcast_weights,
    device,
    gather,
    local_world_size,
    world_size,
)
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.progress import Progress
from compaware.components.core.base.summary import Score
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.soft_labels import SoftLabels
from compaware.components.core.data.text import Collator
from compaware.components.core.data.tokens import token_lengths, tokenize_split
from compaware.components.core.evaluation.metrics import compute_metrics
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.checkpoints import CheckpointedCallback, Checkpoints
from compaware.components.core.training.ipex import Backend, optimize_training
from compaware.components.core.training.length_buckets import LengthBucketSampler
from compaware.components.core.training.losses import task_loss
from compaware.components.core.training.objectives import LogitObjective, Objective
from compaware.components.core.training.precision import TrainingPrecision, choose_training_precision
from compaware.components.core.training.speedups.bit_dropout import use_bit_dropout
from compaware.components.core.training.speedups.frozen_layers import FrozenStates, frozen_states
from compaware.components.core.training.speedups.used_rows import only_used_rows

log = logging.getLogger(__name__)


class TrainingResult(BaseModel):
    """What a training did.

    Attributes:
        steps: Optimizer steps, those before a resume included.
        best_step: The step whose weights the model has now.
        seconds: Wall time of this process's part.
        samples_per_s: Over all ranks, evaluation included.
        precision: `fp32` or `bf16`.
        precision_reason: Why.
        backend: `torch` or `ipex`.
        processes: World size.
        cut_rows: Training rows that were longer than `max_length_tokens`.
        history: Loss by step, and validation metrics by step.
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
    """Trains `model` in place and leaves it, on all ranks, with the weights of its best validation score.

    Args:
        model: Takes the tokenizer's columns, gives an output with `logits`.
        tokenizer: The model's tokenizer.
        dataset: Has splits `train` and `validation`.
        options: Learning rate, epochs and so on.
        workspace: Tokens and checkpoints go in its work folder; a newer call with the same folder resumes from them.
        soft_labels: The teacher's logits for the training split.
        objective: Gives the loss; soft-label distillation with its defaults when not given.
        callbacks: More Trainer callbacks (mask lock, observer freezing).
        whole_vocabulary: Also train embeddings of tokens that the data lacks: for callbacks that know the whole table.
        frozen_layers: So many of the model's first layers are frozen, by `models.freeze_layers`.
        backend: See `ipex.choose_backend`.

    Raises:
        UserError: A key of `training_arguments` is unknown or one that this project sets itself, or the training
            diverged.
    """
    checkpoints = Checkpoints(workspace.work / "checkpoints", workspace.work_uri, workspace.identity)
    build_arguments(options, checkpoints.folder, dataset.manifest.metric, "fp32")  # Mistakes come before long work.
    _set_threads(model)
    use_bit_dropout(model)
    length, folder = options.max_length_tokens, workspace.work / "tokens"
    rows = tokenize_split(dataset, "train", tokenizer, length, folder, soft_labels)
    validation_rows = tokenize_split(dataset, "validation", tokenizer, length, folder)
    cut = _count_cut(rows, min(length, tokenizer.model_max_length))
    objective, collator = objective or LogitObjective(), Collator(tokenizer)
    first = collator([rows[number] for number in range(min(options.batch_size, len(rows)))])
    found = gather(choose_training_precision(options.precision, model, first, objective))
    precision, reason = min(found, key=lambda choice: choice[0] == "bf16")  # FP32 where one node cannot do better.
    log.info("training on %d processes in %s: %s", world_size(), precision, reason)
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
        _settle_weights(trainer, model)
    return TrainingResult(
        steps=result.global_step,
        best_step=trainer.state.best_global_step,
        seconds=time.monotonic() - started,
        samples_per_s=result.metrics["train_samples_per_second"],
        precision=precision,
        precision_reason=reason,
        backend=backend,
        processes=world_size(),
        cut_rows=cut,
        history=_history(trainer.state.log_history),
    )


def _set_threads(model: torch.nn.Module) -> None:
    threads, why = cpu.training_threads(local_world_size(), sum(weight.numel() for weight in model.parameters()))
    torch.set_num_threads(threads)
    log.info("threads of each process: %d (%s)", threads, why)


def _count_cut(rows: datasets.Dataset, length: int) -> int:
    """Rows that were longer than `length` tokens."""
    cut = pc.sum(rows.data.column("cut")).as_py()
    log.info("%d of %d training rows are longer than %d tokens and are cut", cut, len(rows), length)
    return cut


def _require_scores(state: TrainerState, metric: str, learning_rate: float) -> None:
    scores = [entry[f"eval_{metric}"] for entry in state.log_history if f"eval_{metric}" in entry]
    if scores and all(map(math.isnan, scores)):
        raise UserError(
            f"the training diverged: the model's logits for validation are NaN or infinite. Lower learning_rate (now "
            f"{learning_rate:g}), or check that the model it began from gives numbers"
        )


def _settle_weights(trainer: Trainer, model: torch.nn.Module) -> None:
    """Trainer leaves its mixed precision around the model, and the best checkpoint is on the node of rank 0 alone.

    IPEX has trained a copy.
    """
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    if trainer.model is not model:
        model.load_state_dict(trainer.model.state_dict())
    broadcast_weights(model)


def build_arguments(
    options: TrainingOptions, checkpoints: Path, metric: str, precision: TrainingPrecision
) -> TrainingArguments:
    """Turns our options, and the user's own `training_arguments` over our defaults, into Trainer's.

    Raises:
        UserError: A value is refused.
    """
    ours: dict[str, Any] = {
        "output_dir": str(checkpoints),
        "num_train_epochs": options.epochs,
        "learning_rate": options.learning_rate,
        "per_device_train_batch_size": options.batch_size,
        "seed": options.seed,
        "bf16": precision == "bf16",
        "metric_for_best_model": f"eval_{metric}",
        "greater_is_better": True,
        "load_best_model_at_end": True,
        "remove_unused_columns": False,
        "label_names": ["labels"],
        "label_smoothing_factor": 0.0,  # The losses are our own, so it would do nothing.
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        "ddp_backend": None if torch.cuda.is_available() or world_size() == 1 else "gloo",
    }
    defaults: dict[str, Any] = {
        "per_device_eval_batch_size": 64,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "save_total_limit": 2,
        "logging_steps": 10,
        "warmup_steps": 0.1,
        "weight_decay": 0.01,
        "train_sampling_strategy": "group_by_length",
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": False,
    }
    try:
        arguments = TrainingArguments(**{**defaults, **options.training_arguments, **ours})
    except (ValueError, TypeError) as error:
        raise UserError(f"training_arguments are refused: {' '.join(str(error).split())}") from error
    # A process uses one GPU. Trainer would copy the model to all it sees, where cut layers and graphs do not work.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


class CompressionTrainer(Trainer):
    """Trainer whose loss is an `Objective` in training and the task loss in evaluation.

    With the backend `ipex`, it trains a copy of the model, which `model` then is.
    """

    model: torch.nn.Module

    def __init__(self, *, objective: Objective, frozen: FrozenStates | None, backend: Backend, **options: Any):
        super().__init__(**options)
        self.remove_callback(PrinterCallback)
        self._objective = objective
        self._frozen = frozen
        self._backend = backend
        self.model_accepts_loss_kwargs = False  # The losses are means, so Trainer must average over accumulation.

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        lengths = token_lengths(train_dataset or self.train_dataset)
        return LengthBucketSampler(lengths, self.args.train_batch_size * self.args.world_size, self.args.seed)

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        """The longest rows first: batches of similar length, and what is too much for memory fails at once."""
        return np.argsort(-token_lengths(eval_dataset), kind="stable").tolist()

    def _run_epoch(self, *, epoch: int, train_dataloader: Any, **rest: Any) -> None:
        """Sets the epoch on the sampler itself: Trainer loses it where batches are sharded and skipped."""
        batches = train_dataloader.batch_sampler
        while hasattr(batches, "batch_sampler"):
            batches = batches.batch_sampler
        if hasattr(batches.sampler, "set_epoch"):
            batches.sampler.set_epoch(epoch)
        super()._run_epoch(epoch=epoch, train_dataloader=train_dataloader, **rest)

    def _save_rng_state(self, output_dir: str) -> None:
        """Saves every rank's random state and the callbacks' on rank 0's node, before the file that marks the end."""
        super()._save_rng_state(output_dir)
        folder = Path(output_dir)
        if self.args.should_save:
            for callback in self.callback_handler.callbacks:
                if isinstance(callback, CheckpointedCallback):
                    callback.save(folder)
        if self.args.world_size > 1:
            own = (folder / f"rng_state_{self.args.process_index}.pth").read_bytes()
            for rank, state in enumerate(gather(own)):
                if self.args.should_save:
                    (folder / f"rng_state_{rank}.pth").write_bytes(state)

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """See `Trainer.create_optimizer`; here, since IPEX wants to come after it and before DDP."""
        optimizer = super().create_optimizer(model)
        if self._backend == "ipex":
            self.model, self.optimizer = optimize_training(self.model, optimizer, self.args.bf16)
            self.model_wrapped = self.model
        return self.optimizer

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """See `Trainer.compute_loss`."""
        batch = dict(inputs)
        labels = batch.pop("labels")
        teacher_logits = batch.pop("teacher_logits", None)
        if self._frozen:
            self._frozen.show(batch.pop("number"), batch["attention_mask"])
        if model.training:
            loss, output = self._objective(model, batch, labels, teacher_logits)
        else:
            output = model(**batch)
            loss = task_loss(output["logits"], labels)
        return (loss, {"logits": output["logits"]}) if return_outputs else loss


class ProgressLogger(TrainerCallback):
    """Logs step, epoch, loss, samples/s and time left."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Starts the clock."""
        self._progress = Progress("step", state.max_steps, done=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Logs a line."""
        logs = logs or {}
        if "loss" in logs and state.is_world_process_zero:
            samples = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
            details = f"epoch {state.epoch or 0:.2f}, loss {logs['loss']:.4f}"
            self._progress.update(state.global_step, details, samples_per_count=samples)
        scores = {name: value for name, value in logs.items() if name.startswith("eval_")}
        if scores and state.is_world_process_zero:
            timings = ("_per_second", "runtime")
            shown = (f"{name[5:]} {value:.4f}" for name, value in scores.items() if not name.endswith(timings))
            log.info("validation at step %d: %s", state.global_step, ", ".join(shown))


class TimedCheckpoints(TrainerCallback):
    """Asks for a checkpoint every few minutes, whatever the epochs; all ranks ask at the same step.

    Args:
        minutes: Time between checkpoints.
    """

    def __init__(self, minutes: float):
        self._seconds = minutes * 60
        self._last = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Decides on rank 0."""
        if broadcast(time.monotonic() - self._last >= self._seconds):
            control.should_save = True
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Starts the time anew."""
        self._last = time.monotonic()


def _metrics_of(metric: str) -> Any:
    def compute(prediction: EvalPrediction) -> dict[str, float]:
        return compute_metrics(metric, np.asarray(prediction.predictions), np.asarray(prediction.label_ids))

    return compute


def _history(log_history: list[dict[str, float]]) -> list[dict[str, float]]:
    """Keeps the points of the learning curves: loss, and validation metrics."""
    kept = ("step", "epoch", "loss")
    points = [
        {name: value for name, value in entry.items() if name in kept or name.startswith("eval_")}
        for entry in log_history
    ]
    return [point for point in points if len(point.keys() - {"step", "epoch"}) > 0]
