"""Gradual pruning: masks that grow on a schedule while Trainer trains, and stay fixed after it."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn
from transformers import TrainerControl, TrainerState, TrainingArguments

from compaware.components.core.sparsity.masks import MaskLock, masks_of_zeros, zero_fraction
from compaware.components.core.sparsity.patterns import Pattern
from compaware.components.core.sparsity.schedule import CubicSchedule
from compaware.components.core.sparsity.scores import SCORES, ScoreName
from compaware.components.core.sparsity.selection import Scope, check_shapes, mask_from_scores
from compaware.components.core.training.checkpoints import CheckpointedCallback

SCORES_FILE = "pruning_scores.safetensors"
log = logging.getLogger(__name__)


class GradualPruner(MaskLock, CheckpointedCallback):
    """Prunes parameters to a target sparsity during training; zeros that the model brings stay.

    Resuming needs nothing but the checkpoint: its weights hold the masks, and accumulated scores are written
    beside them. Only checkpoints of the finished sparsity count as best: what Trainer has noted before is forgotten
    when the schedule ends.
    """

    def __init__(
        self,
        model: nn.Module,
        names: Sequence[str],
        target: float,
        pattern: Pattern,
        score: ScoreName = "magnitude",
        scope: Scope = "layer",
        begin_fraction: float = 0.1,
        end_fraction: float = 0.6,
    ):
        """Plans the pruning.

        Args:
            model: The model as it comes in, dense or sparse.
            names: Parameters to prune, out of `model.named_parameters()`.
            target: Fraction of zeros in them at the end.
            pattern: Where zeros may lie.
            score: What a weight is worth.
            scope: Whether every matrix has the target, or all of them together.
            begin_fraction: Part of the training after which pruning begins.
            end_fraction: Part of the training after which the masks stay as they are.

        Raises:
            UserError: The pattern does not divide a matrix.
        """
        super().__init__(masks_of_zeros(model))
        weights = {name: model.get_parameter(name) for name in names}
        check_shapes({name: tuple(weight.shape) for name, weight in weights.items()}, pattern)
        self.masks.update({name: weight.detach() != 0 for name, weight in weights.items()})
        self._names = list(names)
        self._initial = zero_fraction(weights)
        self._target, self._pattern, self._scope = target, pattern, scope
        self._fractions = (begin_fraction, end_fraction)
        self._score = SCORES[score]()
        self._schedule = CubicSchedule(self._initial, target, begin=0, end=1)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Lays the schedule over the training; takes masks and scores from the checkpoint when resuming."""
        self._schedule = CubicSchedule.over(state.max_steps, self._initial, self._target, *self._fractions)
        if state.global_step:
            weights = {name: kwargs["model"].get_parameter(name) for name in self._names}
            self.masks.update({name: weight.detach() != 0 for name, weight in weights.items()})
            file = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}" / SCORES_FILE
            if file.exists():
                self._score.state = load_file(file, device=str(next(kwargs["model"].parameters()).device))
        super().on_train_begin(args, state, control, **kwargs)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Takes the gradients into the score."""
        if state.global_step < self._schedule.end:
            self._score.update({name: self._weights[name] for name in self._names})
        super().on_pre_optimizer_step(args, state, control, **kwargs)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Grows the masks when it is time."""
        step = state.global_step + 1  # Trainer counts the step after this
        if self._schedule.is_due(step):
            self._grow(self._schedule.sparsity(step))
        super().on_optimizer_step(args, state, control, **kwargs)
        if step == self._schedule.end:
            log.info("pruned to %.2f %% zeros at step %d; the masks stay", 100 * self.sparsity(), step)
            state.best_metric = state.best_global_step = state.best_model_checkpoint = None
            self._score.state.clear()

    def save(self, folder: Path) -> None:
        """Keeps the accumulated scores with the checkpoint while they are needed."""
        if self._score.state:
            save_file(self._score.state, folder / SCORES_FILE)

    def sparsity(self) -> float:
        """Fraction of zeros in the pruned parameters' masks now."""
        return zero_fraction({name: self.masks[name] for name in self._names})

    def _grow(self, sparsity: float) -> None:
        scores = {name: self._score.value(name, self._weights[name]) for name in self._names}
        earlier = {name: self.masks[name] for name in self._names}
        self.masks.update(mask_from_scores(scores, sparsity, self._pattern, self._scope, earlier))
