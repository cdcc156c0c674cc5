"""A model is pruned during training to the target and in the pattern, also after a kill and on several ranks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.load import load_classifier
from compaware.components.core.sparsity.masks import masks_of_zeros, prunable_parameters, zero_fraction
from compaware.components.core.sparsity.patterns import parse_pattern
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.trainer import train
from compaware.components.sparsity_aware_training.pruner import GradualPruner
from tests.kills import KillAt, KilledError
from tests.tiny import make_dataset, make_model

# 8 steps an epoch; pruning goes from step 2 to 14 of 24.
OPTIONS = {"epochs": 3, "batch_size": 32, "learning_rate": 2e-3, "max_length_tokens": 16}


class KillAfterCheckpoint(TrainerCallback):
    """Ends the run as soon as Trainer has written a step's checkpoint."""

    def __init__(self, step: int):
        self.step = step

    def on_save(self, args, state, control, **kwargs) -> None:
        if state.global_step == self.step:
            raise KilledError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    dataset = make_dataset(folder / "data")
    return dataset, make_model(folder / "model", dataset)


def prune(tiny, work, target=0.8, pattern="unstructured", callbacks=(), options=None, **choices):
    dataset, source = tiny
    model, tokenizer = load_classifier(source), load_tokenizer(source)
    names = list(prunable_parameters(model))
    pruner = GradualPruner(model, names, target, parse_pattern(pattern), **choices)
    settings = TrainingOptions(**{**OPTIONS, **(options or {})})
    workspace = Workspace(ComponentConfig(output=work))
    trained = train(
        model, tokenizer, dataset, settings, workspace, callbacks=[*callbacks, pruner], whole_vocabulary=True
    )
    return model, pruner, trained


@pytest.mark.parametrize(
    ("pattern", "target", "scope", "score"),
    [
        ("unstructured", 0.8, "layer", "magnitude"),
        ("unstructured", 0.8, "global", "movement"),
        ("2:4", 0.5, "layer", "movement"),
        ("2:4", 0.5, "global", "snip_momentum"),
        ("4x1", 0.75, "layer", "snip_momentum"),
        ("4x1", 0.75, "global", "magnitude"),
    ],
)
def test_training_ends_with_exactly_the_target_in_the_pattern(tiny, tmp_path, pattern, target, scope, score):
    model, pruner, _ = prune(tiny, tmp_path / "run", target, pattern, score=score, scope=scope)
    weights = prunable_parameters(model)
    assert zero_fraction(weights) == pytest.approx(target, abs=1e-3)
    for name, weight in weights.items():
        assert torch.equal(weight != 0, pruner.masks[name])
        assert parse_pattern(pattern).holds(weight != 0)
        if scope == "layer":
            assert zero_fraction({name: weight}) == pytest.approx(target, abs=1e-2)


def test_only_checkpoints_of_the_final_sparsity_can_be_the_best(tiny, tmp_path):
    # The last steps ruin the model, so that its best score comes before them.
    ruin = {"lr_scheduler_type": "constant", "eval_strategy": "steps", "eval_steps": 1, "save_strategy": "best"}
    options = {"training_arguments": ruin, "learning_rate": 2e-2}
    model, _, trained = prune(tiny, tmp_path / "run", options=options, begin_fraction=0.5, end_fraction=0.7)
    scores = {point["step"]: point["eval_accuracy"] for point in trained.history if "eval_accuracy" in point}
    final = {step: score for step, score in scores.items() if step >= round(0.7 * trained.steps)}
    assert trained.best_step in final
    assert scores[trained.best_step] == max(final.values())
    assert zero_fraction(prunable_parameters(model)) == pytest.approx(0.8, abs=1e-3)


@pytest.mark.parametrize(
    ("score", "kill"),
    [
        ("movement", KillAt(7)),
        ("movement", KillAfterCheckpoint(8)),
        ("snip_momentum", KillAt(7)),
        ("magnitude", KillAt(20)),
    ],
)
def test_a_killed_run_resumes_with_the_same_result(tiny, tmp_path, score, kill):
    every_4 = {"save_strategy": "steps", "save_steps": 4, "eval_strategy": "steps", "eval_steps": 4}
    options = {"training_arguments": every_4}
    whole, _, _ = prune(tiny, tmp_path / "whole", score=score, options=options)
    with pytest.raises(KilledError):
        prune(tiny, tmp_path / "killed", score=score, options=options, callbacks=[kill])
    resumed, _, trained = prune(tiny, tmp_path / "killed", score=score, options=options)
    assert trained.steps == 24
    for name, weight in prunable_parameters(whole).items():
        assert torch.equal(weight != 0, resumed.get_parameter(name) != 0)
    assert zero_fraction(prunable_parameters(resumed)) == pytest.approx(0.8, abs=1e-3)


def test_a_sparse_model_is_pruned_further_and_keeps_its_zeros(tiny, tmp_path):
    dataset, source = tiny
    model = load_classifier(source)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in prunable_parameters(model).values():
            weight.mul_(torch.rand(weight.shape, generator=generator) > 0.4)
    model.save_pretrained(tmp_path / "sparse")
    load_tokenizer(source).save_pretrained(tmp_path / "sparse")
    pruned, _, _ = prune((dataset, tmp_path / "sparse"), tmp_path / "run", target=0.7)
    for name, kept in masks_of_zeros(model).items():
        assert not (pruned.get_parameter(name) != 0)[~kept].any()
    assert zero_fraction(prunable_parameters(pruned)) == pytest.approx(0.7, abs=1e-3)


RANK_SCRIPT = """
import os, sys
from pathlib import Path
from safetensors.torch import save_file
from compaware.components.core.data.dataset import load_dataset_folder
from tests.components.sparsity_aware_training.test_pruner import prune

data, model, out = map(Path, sys.argv[1:])
trained, pruner, _ = prune((load_dataset_folder(data), model), out, score="movement", options={"batch_size": 16})
weights = {name: trained.get_parameter(name).detach().contiguous() for name in pruner.masks}
save_file(weights, out.with_name(f"rank-{os.environ['RANK']}.safetensors"))
"""


def test_two_ranks_choose_the_same_masks(tiny, tmp_path):
    dataset, source = tiny
    script = tmp_path / "rank.py"
    script.write_text(RANK_SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    subprocess.run([*torchrun, script, dataset.path, source, tmp_path / "out"], check=True, env=environment)
    first, second = (load_file(tmp_path / f"rank-{rank}.safetensors") for rank in (0, 1))
    for name, weight in first.items():
        assert torch.equal(weight, second[name])
    assert zero_fraction(first) == pytest.approx(0.8, abs=1e-3)
