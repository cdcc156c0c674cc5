"""Training learns, applies the user's arguments, resumes after a kill, and is the same on every rank."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import TrainingArguments

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import validate
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.evaluation.calibration import read_temperature
from compaware.components.core.models.load import load_classifier
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.training_arguments import REFUSED, known_arguments
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.arguments import build_arguments
from compaware.components.core.training.trainer import TrainingResult, train
from tests.tiny import make_dataset, make_model

ONE_DISTILLATION = [sys.executable, "-m", "compaware.components.distillation"]


def test_training_learns_and_keeps_the_weights_that_are_best_by_the_datas_metric(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    by_correlation = data.manifest.model_copy(update={"metric": "matthews_correlation"})
    data = dataclasses.replace(data, manifest=by_correlation)
    folder = make_model(tmp_path / "model", data)
    model, tokenizer = load_classifier(folder), load_tokenizer(folder)
    options = TrainingOptions(epochs=5, learning_rate=3e-3, max_length_tokens=32)
    trained = train(model, tokenizer, data, options, Workspace(ComponentConfig(output=tmp_path / "out")))
    name = "eval_matthews_correlation"
    scores = {point["step"]: point[name] for point in trained.history if name in point}
    assert scores[trained.best_step] == max(scores.values()) > 0.8
    assert trained.steps == 5 * 8 and trained.processes == 1


def test_a_training_that_diverges_ends_in_one_line(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 32, 16)
    folder = make_model(tmp_path / "model", data)
    model, tokenizer = load_classifier(folder), load_tokenizer(folder)
    torch.nn.init.constant_(model.classifier.weight, torch.nan)
    options = TrainingOptions(epochs=2, max_length_tokens=32)
    with pytest.raises(UserError, match=r"diverged: .* NaN or infinite\. Lower learning_rate \(now 5e-05\)"):
        train(model, tokenizer, data, options, Workspace(ComponentConfig(output=tmp_path / "out")))


def test_training_arguments_pass_through_and_mistakes_are_named(tmp_path: Path) -> None:
    options = TrainingOptions(training_arguments={"weight_decay": 0.3, "lr_scheduler_type": "cosine"})
    arguments = build_arguments(options, tmp_path, "accuracy", "fp32")
    assert arguments.weight_decay == 0.3 and arguments.lr_scheduler_type == "cosine"
    for wrong, says in [
        ({"no_such": 1}, "unknown key 'no_such': see transformers"),
        ({"weigth_decay": 1}, "unknown key 'weigth_decay': did you mean 'weight_decay'"),
        ({"output_dir": "x"}, "must not have 'output_dir': compaware sets it"),
    ]:
        with pytest.raises(UserError, match=says):
            validate(TrainingOptions, {"training_arguments": wrong})
    with pytest.raises(UserError, match="are invalid"):
        build_arguments(
            TrainingOptions(training_arguments={"lr_scheduler_type": "square"}), tmp_path, "accuracy", "fp32"
        )


def test_forbidden_training_arguments_are_rejected_without_showing_their_value() -> None:
    for key in REFUSED:
        with pytest.raises(UserError, match=f"training_arguments must not have '{key}'") as caught:
            validate(TrainingOptions, {"training_arguments": {"max_steps": 3, key: "hf_secret"}})
        assert "hf_secret" not in str(caught.value)


def test_no_training_argument_with_a_hub_or_a_secret_is_accepted() -> None:
    # A new version of transformers may bring keys that publish or take secrets: decide on each.
    fields = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert set(REFUSED) <= fields == known_arguments()
    telling = re.compile("hub|token|trackio|wandb|report|resume|fsdp|deepspeed|secret|key|url|path")
    assert {name for name in fields - set(REFUSED) if telling.search(name)} == {
        "average_tokens_across_devices",
        "include_num_input_tokens_seen",
    }


def test_a_checkpoint_that_was_not_written_to_its_end_is_not_resumed_from(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", 64, 32)
    folder = make_model(tmp_path / "model", data)
    options = TrainingOptions(epochs=2, learning_rate=3e-3, max_length_tokens=32)

    def run() -> tuple[torch.Tensor, int]:
        model = load_classifier(folder)
        trained = train(model, load_tokenizer(folder), data, options, Workspace(ComponentConfig(output=tmp_path / "o")))
        return model.classifier.weight.detach(), trained.steps

    whole, steps = run()
    checkpoints = sorted((tmp_path / "o.work/checkpoints").iterdir())
    (checkpoints[-1] / "trainer_state.json").unlink()
    again, steps_again = run()
    assert steps == steps_again == 4
    torch.testing.assert_close(whole, again)


def test_a_moved_work_folder_keeps_its_best_checkpoint(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data")
    folder = make_model(tmp_path / "model", data)
    options = TrainingOptions(epochs=8, learning_rate=3e-3, max_length_tokens=32)

    def run(output: str) -> tuple[torch.Tensor, TrainingResult]:
        model = load_classifier(folder)
        workspace = Workspace(ComponentConfig(output=tmp_path / output))
        trained = train(model, load_tokenizer(folder), data, options, workspace)
        return model.classifier.weight.detach(), trained

    best, trained = run("here")
    assert trained.best_step is not None and trained.best_step < trained.steps
    (tmp_path / "here.work").rename(tmp_path / "there.work")
    moved, again = run("there")
    assert again.best_step == trained.best_step
    torch.testing.assert_close(moved, best)


@pytest.fixture(scope="module")
def distillation_inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Data, a quick teacher and its soft labels, as words for the distillation component."""
    root = tmp_path_factory.mktemp("inputs")
    data = make_dataset(root / "data", 512, 96)
    make_model(root / "fresh", data, vocab_size=400)  # Most of it is never looked up, and so not trained.
    words = [f"output={root}/teacher", f"soft_labels_output={root}/soft", f"dataset={data.path}"]
    words += [f"teacher={root}/fresh", "fine_tune_if_needed=true", "epochs=4", "learning_rate=3e-3"]
    subprocess.run([sys.executable, "-m", "compaware.components.teacher_check", *words], check=True)
    common = [f"dataset={data.path}", f"teacher={root}/teacher", f"soft_labels={root}/soft", "student_layers=[0]"]
    return [*common, "epochs=6", "learning_rate=3e-3", "batch_size=16", "max_length_tokens=32"]


def test_a_killed_training_resumes_on_another_node_with_the_same_result(
    tmp_path: Path, distillation_inputs: list[str]
) -> None:
    kept = tmp_path / "kept"
    words = [*distillation_inputs, "existing_output=resume", "checkpoint_minutes=0.0"]
    command = [*ONE_DISTILLATION, *words, f"work_uri=file://{kept}", f"output=file://{tmp_path}/moved"]
    killed = subprocess.Popen(command, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "node-1")})
    deadline = time.monotonic() + 120
    while not (kept / "checkpoints.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "moved").exists()
    elsewhere = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "node-2")}
    resumed = subprocess.run(command, env=elsewhere, check=True, capture_output=True, text=True)
    assert "resuming from checkpoint-" in resumed.stderr
    assert not kept.exists()
    subprocess.run([*ONE_DISTILLATION, *words, f"output={tmp_path}/whole"], check=True)
    moved_files, whole_files = ({path.name for path in (tmp_path / name).iterdir()} for name in ("moved", "whole"))
    assert moved_files - whole_files == {".compaware-manifest.json"} and whole_files <= moved_files
    first, second = (load_classifier(tmp_path / name).state_dict() for name in ("moved", "whole"))
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], msg=name)
    again = subprocess.run(command, env=elsewhere, check=True, capture_output=True, text=True)
    assert "already finished" in again.stderr


def test_two_processes_train_one_student_that_is_as_good(tmp_path: Path, distillation_inputs: list[str]) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    words = [*distillation_inputs, "calibrate=true", f"output={tmp_path}/student"]
    subprocess.run([*command, "compaware.components.distillation", *words], check=True, env=dict(os.environ))
    summary = json.loads((tmp_path / "student/summary.json").read_text())
    assert summary["facts"]["training"]["processes"] == 2
    assert summary["facts"]["training"]["steps"] == 6 * 512 // (2 * 16)
    assert summary["metrics"]["student_accuracy"] > 0.9
    # What the ranks found together, a batch each, is what one process finds.
    scores = [point["eval_accuracy"] for point in summary["facts"]["training"]["history"] if "eval_accuracy" in point]
    assert max(scores) == pytest.approx(summary["metrics"]["student_accuracy"])
    assert read_temperature(tmp_path / "student") == summary["facts"]["calibration"]["temperature"]


def test_ranks_have_the_same_weights_and_temperature_and_a_precision_that_all_support(tmp_path: Path) -> None:
    """A stand-in says that rank 0 alone has BF16."""
    data = make_dataset(tmp_path / "data", 64, 32)
    folder = make_model(tmp_path / "model", data, vocab_size=400)
    script = tmp_path / "ranks.py"
    script.write_text(
        "import json, os, numpy, pathlib, types\n"
        "from compaware.components.core.stage.config import ComponentConfig\n"
        "from compaware.components.core.data.dataset import load_dataset_folder\n"
        "from compaware.components.core.models.load import load_classifier, load_tokenizer\n"
        "from compaware.components.core.stage.options import TrainingOptions\n"
        "from compaware.components.core.training import trainer as training\n"
        "from compaware.components.core.stage.workspace import Workspace\n"
        "found = [('bf16', 'has it'), ('fp32', 'lacks it')][int(os.environ['RANK'])]\n"
        "training.choose_training_precision = lambda *_: found\n"
        f"root = pathlib.Path({str(tmp_path)!r})\n"
        "model, tokenizer = load_classifier(root / 'model'), load_tokenizer(root / 'model')\n"
        "options = TrainingOptions(epochs=4, batch_size=8, learning_rate=3e-3)\n"
        "workspace = Workspace(ComponentConfig(output=root / 'out'))\n"
        "trained = training.train(model, tokenizer, load_dataset_folder(root / 'data'), options, workspace)\n"
        "assert (trained.precision, trained.precision_reason) == ('fp32', 'lacks it')\n"
        "flat = numpy.concatenate([p.detach().numpy().ravel() for p in model.parameters()])\n"
        "from compaware.components.core.evaluation import calibration\n"
        "if os.environ['RANK'] == '1':\n"
        "    calibration.Calibration.fit = calibration.save_temperature = None\n"
        "data = load_dataset_folder(root / 'data')\n"
        "seen = types.SimpleNamespace(logits=numpy.random.RandomState(0).normal(size=(32, 2)))\n"
        "fact = calibration.calibrate_model(root / 'model', seen, data)\n"
        "(root / f'fact{os.environ[\"RANK\"]}.json').write_text(json.dumps(fact))\n"
        "numpy.save(root / f'rank{os.environ[\"RANK\"]}.npy', flat)\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    subprocess.run(command, check=True)
    first, second = (np.load(tmp_path / f"rank{rank}.npy") for rank in (0, 1))
    untrained = load_classifier(folder)
    assert np.array_equal(first, second)
    # Rank 0 alone fits the temperature and saves it; both return it.
    facts = [json.loads((tmp_path / f"fact{rank}.json").read_text()) for rank in (0, 1)]
    assert facts[0] == facts[1] and read_temperature(folder) == facts[0]["calibration"]["temperature"]
    assert not np.array_equal(first, np.concatenate([p.detach().numpy().ravel() for p in untrained.parameters()]))
