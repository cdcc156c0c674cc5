"""A `transformers.Trainer` with the project's losses, batches of similar length and complete checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PrinterCallback, Trainer
from transformers.integrations import KubeflowCallback

from compaware.components.core.base.distributed import gather
from compaware.components.core.data.tokens import token_lengths
from compaware.components.core.training.callbacks import StatusReporter
from compaware.components.core.training.checkpoints import CheckpointedCallback
from compaware.components.core.training.ipex import Backend, optimize_training
from compaware.components.core.training.length_buckets import LengthBucketSampler
from compaware.components.core.training.losses import task_loss
from compaware.components.core.training.objectives import Objective
from compaware.components.core.training.speedups.frozen_layers import FrozenStates


class CompressionTrainer(Trainer):
    """Trainer whose loss is an `Objective` in training and the task loss in evaluation.

    With the backend `ipex` it trains an optimized copy of the model, to which `model` is set.
    """

    model: torch.nn.Module

    def __init__(self, *, objective: Objective, frozen: FrozenStates | None, backend: Backend, **options: Any):
        super().__init__(**options)
        self.remove_callback(PrinterCallback)
        if self.pop_callback(KubeflowCallback):  # transformers adds it in a pod of a TrainJob that offers a status.
            self.add_callback(StatusReporter())
        self._objective = objective
        self._frozen = frozen
        self._backend = backend
        self.model_accepts_loss_kwargs = False  # The losses are means: Trainer must average over accumulated batches.

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        lengths = token_lengths(train_dataset or self.train_dataset)
        return LengthBucketSampler(lengths, self.args.train_batch_size * self.args.world_size, self.args.seed)

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        """Evaluates the longest rows first: batches have similar lengths, and a lack of memory shows at once."""
        return np.argsort(-token_lengths(eval_dataset), kind="stable").tolist()

    def _run_epoch(self, *, epoch: int, train_dataloader: Any, **rest: Any) -> None:
        """Sets the epoch on the sampler: Trainer does not reach it through wrapped batch samplers."""
        batches = train_dataloader.batch_sampler
        while hasattr(batches, "batch_sampler"):
            batches = batches.batch_sampler
        if hasattr(batches.sampler, "set_epoch"):
            batches.sampler.set_epoch(epoch)
        super()._run_epoch(epoch=epoch, train_dataloader=train_dataloader, **rest)

    def _save_rng_state(self, output_dir: str) -> None:
        """Saves the random state of all ranks and the state of callbacks on rank 0, before the last file."""
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
        """See `Trainer.create_optimizer`. IPEX must be applied after it and before DDP."""
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
            self._frozen.load(batch.pop("number"), batch["attention_mask"])
        if model.training:
            # accelerate casts in the model's own forward only; an objective may run a teacher, too.
            with self.accelerator.autocast():
                loss, output = self._objective(model, batch, labels, teacher_logits)
        else:
            output = model(**batch)
            loss = task_loss(output["logits"], labels)
        return (loss, {"logits": output["logits"]}) if return_outputs else loss
