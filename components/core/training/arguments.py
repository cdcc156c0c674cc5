"""Converts the options of a component to `TrainingArguments`."""

from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from compaware.components.core.base.distributed import world_size
from compaware.components.core.base.errors import UserError
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.training.precision import TrainingPrecision


def build_arguments(
    options: TrainingOptions, checkpoints: Path, metric: str, precision: TrainingPrecision
) -> TrainingArguments:
    """Builds the arguments of Trainer: `training_arguments` override the defaults, but not the fixed values.

    Raises:
        UserError: `TrainingArguments` rejects a value.
    """
    fixed: dict[str, Any] = {
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
        "label_smoothing_factor": 0.0,  # It has no effect on the project's losses.
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
        arguments = TrainingArguments(**{**defaults, **options.training_arguments, **fixed})
    except (ValueError, TypeError) as error:
        raise UserError(f"training_arguments are invalid: {' '.join(str(error).split())}") from error
    # A process uses one GPU. Trainer would replicate the model on all GPUs, which fails for exported graphs.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments
