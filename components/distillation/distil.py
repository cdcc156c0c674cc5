"""Distillation: builds the student, trains it on soft labels and evaluates the saved model."""

import logging

from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from compaware.components.core.base.distributed import broadcast_weights, call_on_main, is_main
from compaware.components.core.base.files import size_bytes
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import PreparedDataset, load_dataset_folder
from compaware.components.core.data.soft_labels import load_soft_labels
from compaware.components.core.data.tokenizer import load_model_tokenizer, load_tokenizer
from compaware.components.core.evaluation.calibration import calibrate_model, require_classes
from compaware.components.core.evaluation.evaluate import evaluate_folder
from compaware.components.core.evaluation.held_out import evaluate_on_test, metrics_on_test
from compaware.components.core.evaluation.label_order import correct_student_order
from compaware.components.core.models.build import new_classifier
from compaware.components.core.models.first_token import use_first_token_only
from compaware.components.core.models.layers import freeze_layers, keep_layers
from compaware.components.core.models.load import load_classifier, load_student, save_classifier
from compaware.components.core.models.pairing import fit_tokenizer
from compaware.components.core.runtimes.servable import require_servable
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.ipex import choose_backend
from compaware.components.core.training.objectives import LogitObjective, Objective
from compaware.components.core.training.trainer import train
from compaware.components.distillation.config import DistillationConfig
from compaware.components.distillation.transfer import TransferObjective
from compaware.components.storage import local_source

log = logging.getLogger(__name__)


def run(config: DistillationConfig, workspace: Workspace) -> Summary:
    """Trains the student and saves it in the output folder.

    Raises:
        UserError: The soft labels belong to other data or another teacher, the student does not fit the data or the
            teacher or has too few layers to freeze, or the backend cannot run here.
    """
    backend = choose_backend(config.backend, config.precision)
    dataset = load_dataset_folder(config.dataset)
    require_classes(config.calibrate, dataset.manifest)
    soft_labels = load_soft_labels(config.soft_labels, dataset, teacher=config.teacher)
    if soft_labels.key.max_length_tokens != config.max_length_tokens:
        log.warning(
            "the teacher read up to %d tokens for its soft labels, but the student reads up to %d",
            soft_labels.key.max_length_tokens,
            config.max_length_tokens,
        )
    teacher_summary = Summary.load(config.teacher)
    set_seed(config.seed)
    student, tokenizer = build_student(config, dataset, workspace)
    fit_tokenizer(tokenizer, student, config.max_length_tokens)
    require_servable(student, tokenizer)
    if config.student is not None:
        if is_main():
            correct_student_order(student, tokenizer, dataset, config.max_length_tokens, workspace.work / "given")
        broadcast_weights(student)
    if config.frozen_layers:
        freeze_layers(student, config.frozen_layers)
    objective = _objective(config, student, tokenizer)
    log.info("student: %s, %.1f million parameters", student.config.model_type, student.num_parameters() / 1e6)
    trained = train(
        student,
        tokenizer,
        dataset,
        config,
        workspace,
        soft_labels=soft_labels,
        objective=objective,
        # The other losses need the output of each layer.
        frozen_layers=config.frozen_layers if isinstance(objective, LogitObjective) else 0,
        backend=backend,
    )
    if is_main():
        save_classifier(student, tokenizer, workspace.output)
    evaluation = call_on_main(
        evaluate_folder, workspace.output, config.dataset, max_length_tokens=config.max_length_tokens
    )
    teacher_scores = {name: value for name, value in teacher_summary.metrics.items() if name.startswith("teacher_")}
    metrics = {f"student_{name}": value for name, value in evaluation.metrics.items()} | teacher_scores
    metrics |= {
        "student_parameters": student.num_parameters(),
        "teacher_parameters": teacher_summary.facts["parameters"],
        "student_size_bytes": size_bytes(workspace.output / "model.safetensors"),
        "cut_rows": trained.cut_rows,
        "training_s": trained.seconds,
        "training_samples_per_s": trained.samples_per_s,
    }
    calibration = calibrate_model(workspace.output, evaluation, dataset) if config.calibrate else {}
    test = evaluate_on_test(workspace.output, dataset, max_length_tokens=config.max_length_tokens)
    metrics |= metrics_on_test("student", test)
    return Summary.create("distillation", config, metrics, {"training": trained.model_dump(), **calibration})


def build_student(
    config: DistillationConfig, dataset: PreparedDataset, workspace: Workspace
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Returns the student, loaded, built from the teacher's layers or built with fresh weights; and its tokenizer."""
    if config.student is not None:
        source = local_source(config.student, workspace.work / "downloads")
        return load_student(source, dataset.manifest), load_model_tokenizer(source, config.student_tokenizer)
    if config.student_layers is not None:
        tokenizer = load_model_tokenizer(config.teacher, config.student_tokenizer)
        return keep_layers(load_classifier(config.teacher), config.student_layers), tokenizer
    tokenizer = load_tokenizer(config.student_tokenizer or config.teacher)
    return new_classifier(config.student_config or {}, dataset.manifest, tokenizer), tokenizer


def _objective(config: DistillationConfig, student: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Objective:
    logits = LogitObjective(config.temperature, config.alpha)
    if config.hidden_weight == 0 and config.attention_weight == 0:
        use_first_token_only(student)
        return logits
    log.info("hidden-state or attention loss is on: the teacher runs at every step")
    return TransferObjective(
        logits,
        student=student,
        student_tokenizer=tokenizer,
        teacher_folder=config.teacher,
        hidden_weight=config.hidden_weight,
        attention_weight=config.attention_weight,
        layer_map=config.layer_map,
    )
