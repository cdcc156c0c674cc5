"""The component keeps the zeros of sparse models, prunes dense ones, and reports what is in the saved file."""

import inspect
import json
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch.nn.utils import prune
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import load_config, validate
from compaware.components.core.base.values import kind_of
from compaware.components.core.data.dataset import load_dataset_folder
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.load import load_classifier, save_classifier
from compaware.components.core.sparsity.masks import MaskLock, masks_of_zeros, prunable_parameters, zero_fraction
from compaware.components.core.sparsity.patterns import NofM
from compaware.components.core.sparsity.selection import mask_from_scores
from compaware.components.core.stage.config import ComponentConfig
from compaware.components.core.stage.interface import empty_value
from compaware.components.core.stage.options import TrainingOptions
from compaware.components.core.stage.workspace import Workspace, run_stage
from compaware.components.core.training.trainer import train
from compaware.components.launch import run_component
from compaware.components.sparsity_aware_training.component import sparsity_aware_training
from compaware.components.sparsity_aware_training.config import SparsityAwareTrainingConfig
from compaware.components.sparsity_aware_training.sparsify import choose_lock, run
from tests.tiny import make_dataset, make_model, make_soft_labels, turn_head

OPTIONS = {"epochs": 4, "batch_size": 16, "learning_rate": 5e-3, "max_length_tokens": 16}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Folders of a data set and of a dense model that is trained on it."""
    folder = tmp_path_factory.mktemp("tiny")
    dataset = make_dataset(folder / "data")
    source = make_model(folder / "untrained", dataset)
    model, tokenizer = load_classifier(source), load_tokenizer(source)
    workspace = Workspace(ComponentConfig(output=folder / "run"))
    train(model, tokenizer, dataset, TrainingOptions(**OPTIONS), workspace)
    save_classifier(model, tokenizer, folder / "model")
    return {"dataset": str(dataset.path), "model": str(folder / "model")}


def sparse_copy(source, folder, sparsity, pattern=None) -> str:
    """Prunes a model at once: unstructured by torch's own pruning, so that ours has no say, or in a pattern."""
    model = load_classifier(source)
    weights = prunable_parameters(model)
    if pattern is None:
        for name in weights:
            layer = model.get_submodule(name.removesuffix(".weight"))
            prune.remove(prune.l1_unstructured(layer, "weight", sparsity), "weight")
    else:
        masks = mask_from_scores({name: weight.abs() for name, weight in weights.items()}, sparsity, pattern)
        MaskLock(masks).attach(model)
    save_classifier(model, load_tokenizer(source), folder)
    return str(folder)


def configured(output, values) -> SparsityAwareTrainingConfig:
    return validate(SparsityAwareTrainingConfig, {**OPTIONS, "output": str(output), **values})


def retrained(output, values) -> PreTrainedModel:
    """The component's training alone, without its measurements."""
    config = configured(output, values)
    model = load_classifier(config.model)
    dataset, lock = load_dataset_folder(config.dataset), choose_lock(model, config)
    train(
        model, load_tokenizer(config.model), dataset, config, Workspace(config), callbacks=[lock], whole_vocabulary=True
    )
    return model


def test_a_killed_run_is_resumed_and_its_figures_are_those_of_the_saved_file(tiny, tmp_path):
    output = tmp_path / "out"
    soft_labels = str(make_soft_labels(tmp_path / "soft", load_dataset_folder(tiny["dataset"])))
    values = {**OPTIONS, **tiny, "epochs": 10, "output": str(output), "existing_output": "resume"}
    values |= {"soft_labels": soft_labels, "target_sparsity": 0.8, "score": "movement"}
    (tmp_path / "config.json").write_text(json.dumps(values))
    arguments = ["--config", str(tmp_path / "config.json")]
    with subprocess.Popen(
        [sys.executable, "-m", "compaware.components.sparsity_aware_training", *arguments]
    ) as process:
        while not list(tmp_path.glob("out.work/checkpoints/checkpoint-*/trainer_state.json")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not output.exists()
    resumed_from = max(
        int(folder.name.removeprefix("checkpoint-")) for folder in tmp_path.glob("out.work/checkpoints/checkpoint-*")
    )
    config = validate(SparsityAwareTrainingConfig, values)
    summary = run_stage(config, lambda workspace: run(config, workspace))

    assert min(point["step"] for point in summary.facts["training"]["history"]) <= resumed_from
    weights = prunable_parameters(AutoModelForSequenceClassification.from_pretrained(output))
    assert summary.metrics["sparsity"] == zero_fraction(weights) == pytest.approx(0.8, abs=1e-3)
    assert summary.metrics["baseline_sparsity"] == 0
    assert summary.metrics["sparse_accuracy"] > 0.9 and summary.metrics["baseline_accuracy"] > 0.9
    assert summary.metrics["size_bytes"] == (output / "model.safetensors").stat().st_size
    assert summary.metrics["compressed_bytes"] < summary.metrics["baseline_compressed_bytes"]
    assert [layer["name"] for layer in summary.facts["layers"]] == list(weights)
    assert all(name in summary.facts["layers_markdown"] for name in weights)


def test_two_processes_keep_a_sparse_students_zeros_together(tiny, tmp_path):
    student = sparse_copy(tiny["model"], tmp_path / "in", 0.8)
    model = load_classifier(student)
    with torch.no_grad():
        model.get_input_embeddings().weight[:, ::8] = 0
    save_classifier(model, load_tokenizer(student), tmp_path / "in")
    values = {**OPTIONS, **tiny, "student": student, "batch_size": 8, "output": str(tmp_path / "out")}
    summary = run_component("sparsity_aware_training", values, {"processes_per_node": 2})
    assert summary.facts["training"]["processes"] == 2
    assert summary.metrics["sparse_accuracy"] > 0.9
    saved, masks = load_classifier(tmp_path / "out"), masks_of_zeros(model)
    assert "bert.embeddings.word_embeddings.weight" in masks
    for name, kept in masks.items():
        assert torch.equal(saved.get_parameter(name) != 0, kept)


@pytest.mark.parametrize("values", [{}, {"target_sparsity": 0.6}, {"exclude": ["*.layer.0.*"]}])
def test_a_sparse_model_keeps_exactly_its_zeros(tiny, tmp_path, values):
    model = sparse_copy(tiny["model"], tmp_path / "in", 0.8)
    trained = retrained(tmp_path / "out", {**tiny, "model": model, **values})
    for name, kept in masks_of_zeros(load_classifier(model)).items():
        assert torch.equal(trained.get_parameter(name) != 0, kept)


def test_a_2_4_sparse_model_keeps_its_zeros_without_a_target(tiny, tmp_path):
    model = sparse_copy(tiny["model"], tmp_path / "in", 0.5, NofM(2, 4))
    trained = retrained(tmp_path / "out", {**tiny, "model": model, "pattern": "2:4"})
    assert all(NofM(2, 4).holds(weight != 0) for weight in prunable_parameters(trained).values())


def test_an_unquoted_pattern_in_yaml_is_understood(tiny, tmp_path):
    # YAML reads 2:4 as a number of base 60.
    words = ["pattern=2:4", f"output={tmp_path / 'out'}", *(f"{name}={value}" for name, value in tiny.items())]
    assert load_config(SparsityAwareTrainingConfig, None, words).pattern == "2:4"


def test_a_higher_target_prunes_a_sparse_model_further(tiny, tmp_path):
    model = sparse_copy(tiny["model"], tmp_path / "in", 0.5)
    trained = retrained(tmp_path / "out", {**tiny, "model": model, "target_sparsity": 0.75})
    for name, kept in masks_of_zeros(load_classifier(model)).items():
        assert not (trained.get_parameter(name) != 0)[~kept].any()
    assert zero_fraction(prunable_parameters(trained)) == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "is dense: set target_sparsity"),
        ({"target_sparsity": 80}, "target_sparsity 80 must be a fraction between 0 and 1"),
        ({"target_sparsity": 0.8, "pattern": "2:4"}, "does not fit pattern 2:4"),
        ({"target_sparsity": 0.8, "pattern": "blocky"}, "pattern 'blocky' is not one of 'unstructured'"),
        ({"target_sparsity": 0.8, "pattern": "5x1"}, "pattern 5x1 does not divide 'bert.encoder"),
        ({"target_sparsity": 0.8, "exclude": ["nothing"]}, "exclude 'nothing' matches no linear layer"),
        ({"target_sparsity": 0.8, "score": "luck"}, "'score' is"),
        ({"target_sparsity": 0.8, "pruning_begin_fraction": 0.9}, "must be less than pruning_end_fraction"),
        ({"target_sparsty": 0.8}, "did you mean 'target_sparsity'"),
    ],
)
def test_invalid_input_is_rejected_in_one_line_that_names_it(tiny, tmp_path, values, message):
    def begin() -> None:
        config = configured(tmp_path / "out", {**tiny, **values})
        choose_lock(load_classifier(config.model), config)

    with pytest.raises(UserError) as refusal:
        begin()
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_model_in_another_order_is_rejected_and_a_student_is_reordered(tiny, tmp_path):
    turned = str(turn_head(tiny["model"], tmp_path / "turned", ["LABEL_0", "LABEL_1"]))
    values = {**tiny, "target_sparsity": 0.1, "epochs": 1, "learning_rate": 1e-9}
    refused = configured(tmp_path / "refused", {**values, "model": turned})
    with pytest.raises(UserError, match=r"not in the data's order: accuracy is 0\.0"):
        run_stage(refused, lambda workspace: run(refused, workspace))
    config = configured(tmp_path / "out", {**values, "student": turned})
    assert run_stage(config, lambda workspace: run(config, workspace)).metrics["baseline_accuracy"] > 0.9


def test_zeros_that_do_not_follow_the_pattern_are_refused(tiny, tmp_path):
    model = load_classifier(sparse_copy(tiny["model"], tmp_path / "in", 0.5))
    config = configured(tmp_path / "out", {**tiny, "pattern": "4x1", "target_sparsity": 0.8})
    with pytest.raises(UserError, match="do not follow pattern 4x1"):
        choose_lock(model, config)


def test_the_kfp_interface_has_the_configurations_names_and_defaults():
    parameters = inspect.signature(sparsity_aware_training.python_func).parameters
    fields = SparsityAwareTrainingConfig.model_fields
    artifacts = {"dataset", "model", "sparse", "metrics", "layers", "soft_labels"}
    for name, parameter in parameters.items():
        if name not in artifacts | {"training_options", "options", "job", "task_config"}:
            default = fields[name].get_default(call_default_factory=True)
            assert parameter.default == (empty_value(kind_of(fields[name])) if default is None else default), name
    assert artifacts - {"sparse", "metrics", "layers"} <= fields.keys()
