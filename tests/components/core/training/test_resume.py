"""A resumed training has the rows and the final weights of an uninterrupted one."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from compaware.components.core.data.dataset import load_dataset_folder
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.load import load_classifier
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.checkpoints import Checkpoints
from compaware.components.core.training.objectives import LogitObjective
from compaware.components.core.training.trainer import train
from tests.tiny import make_dataset, make_model

ROOT = Path(__file__).parents[4]
Rows = list[list[list[int]]]


class InterruptedTrainingError(Exception):
    """Stands for a kill: nothing is written after it."""


class Recorder(LogitObjective):
    """The usual objective, which notes the rows that it sees and can end the training before a batch."""

    def __init__(self, end_before: int | None = None):
        super().__init__()
        self.seen: Rows = []
        self._end_before = end_before

    def __call__(self, model: Any, batch: Any, labels: Any, teacher_logits: Any) -> Any:
        if len(self.seen) == self._end_before:
            raise InterruptedTrainingError
        self.seen.append([row[row != 0].tolist() for row in batch["input_ids"]])
        return super().__call__(model, batch, labels, teacher_logits)


def seen_rows(root: Path, name: str, end_before: int | None, accumulation: int, strategy: str) -> Rows:
    """Trains two epochs of ten batches, or as many batches as come before the end.

    Checkpoints are kept at a URI, which `name` begins with; the rest of `name` tells the nodes' own folders apart.
    """
    ranks = int(os.environ["WORLD_SIZE"])
    model, tokenizer = load_classifier(root / "model"), load_tokenizer(root / "model")
    arguments = {"gradient_accumulation_steps": accumulation, "train_sampling_strategy": strategy}
    options = TrainingOptions(
        epochs=2,
        batch_size=8 // ranks,
        learning_rate=3e-3,
        max_length_tokens=32,
        precision="fp32",
        checkpoint_minutes=0,
        training_arguments=arguments,
    )
    kept = f"file://{root}/{name.partition('.')[0]}"
    workspace = Workspace(ComponentConfig(output=root / f"{name}.{os.environ['RANK']}", work_uri=kept))
    recorder = Recorder(end_before)
    with suppress(InterruptedTrainingError):
        train(model, tokenizer, load_dataset_folder(root / "data"), options, workspace, objective=recorder)
    return recorder.seen


def check_resume(root: Path, accumulation: int, strategy: str) -> None:
    """Compares a training that is ended in its second epoch, and goes on on other nodes, with one that is not ended."""
    name = f"{accumulation}-{strategy}"
    whole = seen_rows(root, f"whole-{name}", None, accumulation, strategy)
    assert len(whole) == 20 and whole[:10] != whole[10:]
    first = seen_rows(root, f"ended-{name}.here", 14, accumulation, strategy)
    second = seen_rows(root, f"ended-{name}.there", None, accumulation, strategy)
    assert first == whole[:14]
    assert second == whole[14:]
    last = f"checkpoint-{20 // accumulation}/model.safetensors"
    weights, resumed = (load_file(root / f"{kind}-{name}" / last) for kind in ("whole", "ended"))
    for key, value in weights.items():
        torch.testing.assert_close(resumed[key], value, rtol=0, atol=0, msg=key)


@pytest.mark.parametrize(
    ("ranks", "combinations"), [(1, [(2, "group_by_length")]), (2, [(2, "group_by_length"), (1, "random")])]
)
def test_an_interrupted_epoch_resumes_with_the_same_order_of_rows(
    tmp_path: Path, ranks: int, combinations: list[tuple[int, str]]
) -> None:
    make_model(tmp_path / "model", make_dataset(tmp_path / "data", 80, 16))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    arguments = ["-m", "tests.components.core.training.test_resume", str(tmp_path), json.dumps(combinations)]
    subprocess.run([sys.executable, *launcher, *arguments], check=True, cwd=ROOT)


def write_checkpoint(folder: Path, step: int, random_states: Sequence[str] = ("rng_state.pth",)) -> None:
    (folder / f"checkpoint-{step}").mkdir()
    for name in random_states:
        (folder / f"checkpoint-{step}" / name).touch()
    (folder / f"checkpoint-{step}/trainer_state.json").write_text(json.dumps({"global_step": step}))


def test_a_resume_with_another_number_of_processes_logs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_checkpoint(tmp_path, 3, ["rng_state_0.pth", "rng_state_1.pth"])
    assert Checkpoints(tmp_path, None, "").newest() == tmp_path / "checkpoint-3"
    assert "saved by 2 processes and is resumed by 1" in caplog.text


@pytest.mark.parametrize("cut_off", [None, "", '{"global_step": 3, "log_history": ['])
def test_an_incomplete_checkpoint_is_not_resumed_from(tmp_path: Path, cut_off: str | None) -> None:
    for step in (1, 2, 3):
        write_checkpoint(tmp_path, step)
    last = tmp_path / "checkpoint-3/trainer_state.json"
    last.unlink() if cut_off is None else last.write_text(cut_off)
    assert Checkpoints(tmp_path, None, "").newest() == tmp_path / "checkpoint-2"
    assert not last.parent.exists()


if __name__ == "__main__":
    os.environ |= {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}  # Each process stands for a node, with its own folders.
    for combination in json.loads(sys.argv[2]):
        check_resume(Path(sys.argv[1]), *combination)
