"""Callbacks of every training: progress on the log and in a TrainJob's status, and checkpoints by time."""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import KubeflowCallback

from compaware.components.core.base.distributed import broadcast
from compaware.components.core.base.progress import Progress

log = logging.getLogger(__name__)


class ProgressLogger(TrainerCallback):
    """Logs step, epoch, loss, samples/s and remaining time."""

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
        """Logs the progress of a training step, or the scores of an evaluation."""
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


class StatusReporter(KubeflowCallback):
    """Reports progress to Kubeflow Trainer, which shows it in the TrainJob's `status.trainerStatus`.

    transformers' own callback waits up to 5 s for the server at a step, which would stop the training while the server
    does not answer. This one sends in a thread, and skips a report while the last one is being sent.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sender = ThreadPoolExecutor(1, "status")
        self._sent: Future[Any] | None = None

    def _update_status(self, *args: Any, force: bool = False, **status: Any) -> bool:
        if self._sent and not self._sent.done() and not force:
            return False
        self._sent = self._sender.submit(super()._update_status, *args, force=force, **status)
        return True


class TimedCheckpoints(TrainerCallback):
    """Saves a checkpoint every few minutes, independent of epochs, at the same step on all ranks.

    Args:
        minutes: Time between checkpoints.
    """

    def __init__(self, minutes: float):
        self._seconds = minutes * 60
        self._last = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Requests a checkpoint when rank 0 finds that it is time."""
        if broadcast(time.monotonic() - self._last >= self._seconds):
            control.should_save = True
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Restarts the timer."""
        self._last = time.monotonic()
