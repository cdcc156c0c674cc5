"""Ends a training in the middle of a test, as a kill does, for tests that resume it."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class KilledError(Exception):
    """Ends a run in the middle of a test."""


class KillAt(TrainerCallback):
    """Ends the run at the beginning of a step."""

    def __init__(self, step: int):
        self.step = step

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Raises at the step."""
        if state.global_step == self.step:
            raise KilledError
