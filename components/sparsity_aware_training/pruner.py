"""Gradual pruning: masks grow by a schedule during training and are fixed after it."""

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
    """Prunes parameters to a target sparsity during training, and keeps the zeros that the model already has.

    A resumed run needs only the checkpoint: its weights contain the masks, and the accumulated scores are saved beside
    them. Only checkpoints with the final sparsity can be the best one: earlier scores are cleared when the schedule
    ends.
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
        """Sets the target and the schedule.

        Args:
            model: The model before training, dense or sparse.
            names: Names of the parameters to prune, from `model.named_parameters()`.
            target: Final fraction of zeros in them.
            pattern: Allowed positions of zeros.
            score: Score of a weight; the lowest are pruned.
            scope: Whether the target applies to every matrix, or to all together.
            begin_fraction: Fraction of the training after which pruning begins.
            end_fraction: Fraction of the training after which the masks are fixed.

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
        """Creates the schedule; a resumed run takes masks and scores from the checkpoint."""
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
        """Updates the scores with the gradients."""
        if state.global_step < self._schedule.end:
            self._score.update({name: self._weights[name] for name in self._names})
        super().on_pre_optimizer_step(args, state, control, **kwargs)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Prunes more weights if the schedule says so."""
        step = state.global_step + 1  # Trainer increments the step after this callback.
        if self._schedule.is_due(step):
            self._grow(self._schedule.sparsity(step))
        super().on_optimizer_step(args, state, control, **kwargs)
        if step == self._schedule.end:
            log.info("pruned to %.2f %% zeros at step %d; the masks are fixed now", 100 * self.sparsity(), step)
            state.best_metric = state.best_global_step = state.best_model_checkpoint = None
            self._score.state.clear()

    def save(self, folder: Path) -> None:
        """Saves the accumulated scores in the checkpoint while pruning continues."""
        if self._score.state:
            save_file(self._score.state, folder / SCORES_FILE)

    def sparsity(self) -> float:
        """Returns the present fraction of zeros in the masks of the pruned parameters."""
        return zero_fraction({name: self.masks[name] for name in self._names})

    def _grow(self, sparsity: float) -> None:
        scores = {name: self._score.value(name, self._weights[name]) for name in self._names}
        earlier = {name: self.masks[name] for name in self._names}
        self.masks.update(mask_from_scores(scores, sparsity, self._pattern, self._scope, earlier))
