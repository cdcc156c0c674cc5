"""Sparsity-aware training: keeps or adds zeros during training, and measures the saved model."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, set_seed

from compaware.components.core.base.distributed import barrier, call_on_main, is_main
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import move_replacing, size_bytes
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import PreparedDataset, load_dataset_folder
from compaware.components.core.data.soft_labels import load_soft_labels
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.evaluation.calibration import calibrate_model, require_classes
from compaware.components.core.evaluation.evaluate import Evaluation, evaluate_folder
from compaware.components.core.evaluation.held_out import evaluate_on_test, metrics_on_test
from compaware.components.core.evaluation.label_order import correct_student_order, require_order
from compaware.components.core.models.first_token import use_first_token_only
from compaware.components.core.models.load import load_aligned, load_student, save_classifier
from compaware.components.core.models.pairing import fit_tokenizer
from compaware.components.core.runtimes.servable import require_servable
from compaware.components.core.sparsity.masks import (
    MaskLock,
    masks_of_zeros,
    prunable_parameters,
    zero_fraction,
)
from compaware.components.core.sparsity.measure import (
    LayerSparsity,
    compressed_bytes,
    layers_markdown,
    measure_layers,
    total_sparsity,
)
from compaware.components.core.sparsity.patterns import parse_pattern, resolve_sparsity
from compaware.components.core.sparsity.selection import check_shapes
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.objectives import LogitObjective
from compaware.components.core.training.trainer import train
from compaware.components.sparsity_aware_training.config import SparsityAwareTrainingConfig
from compaware.components.sparsity_aware_training.pruner import GradualPruner
from compaware.components.storage import local_source

log = logging.getLogger(__name__)
_WEIGHTS = "model.safetensors"


def run(config: SparsityAwareTrainingConfig, workspace: Workspace) -> Summary:
    """Trains the sparse model and saves it in the output folder.

    Raises:
        UserError: The model does not fit the data, has its labels in another order, is dense without a target, or does
            not fit the pattern; or the soft labels belong to other data.
    """
    dataset = load_dataset_folder(config.dataset)
    require_classes(config.calibrate, dataset.manifest)
    soft_labels = load_soft_labels(config.soft_labels, dataset) if config.soft_labels else None
    set_seed(config.seed)
    folder = prepare_student(config, dataset, workspace) if config.student else config.model
    tokenizer = load_tokenizer(folder)
    model, source = load_aligned(folder, dataset.manifest, workspace.work)
    require_servable(model, tokenizer)
    fit_tokenizer(tokenizer, model, config.max_length_tokens)
    names = list(prunable_parameters(model, config.exclude))
    lock = choose_lock(model, config)
    baseline = _evaluate(source, config)
    if not config.student:
        require_order(folder, baseline.logits, dataset)
    use_first_token_only(model)
    trained = train(
        model,
        tokenizer,
        dataset,
        config,
        workspace,
        soft_labels=soft_labels,
        objective=LogitObjective(config.temperature, config.alpha),
        callbacks=[lock],
        whole_vocabulary=_locks_embeddings(lock, model),
    )
    if is_main():
        save_classifier(model, tokenizer, workspace.output)
    sparse = _evaluate(workspace.output, config)
    metrics = {f"baseline_{name}": value for name, value in baseline.metrics.items()}
    metrics |= {f"sparse_{name}": value for name, value in sparse.metrics.items()}
    metrics |= {
        "cut_rows": trained.cut_rows,
        "training_s": trained.seconds,
        "training_samples_per_s": trained.samples_per_s,
    }
    calibration = calibrate_model(workspace.output, sparse, dataset) if config.calibrate else {}
    sizes, facts = call_on_main(_measure, source, config, workspace, names, lock)
    for prefix, finished in (("baseline", source), ("sparse", workspace.output)):
        test = evaluate_on_test(finished, dataset, max_length_tokens=config.max_length_tokens)
        metrics |= metrics_on_test(prefix, test)
    return Summary.create(
        "sparsity_aware_training", config, metrics | sizes, facts | {"training": trained.model_dump(), **calibration}
    )


def prepare_student(config: SparsityAwareTrainingConfig, dataset: PreparedDataset, workspace: Workspace) -> Path:
    """Saves the student with a head for the data in the work folder, and returns that folder.

    Raises:
        UserError: The student cannot be loaded, or has another number of labels than the data.
    """
    folder = workspace.work / "student"
    if is_main() and not folder.exists():
        source = local_source(str(config.student), workspace.work / "downloads")
        staged = workspace.work / ".student"
        student, tokenizer = load_student(source, dataset.manifest), load_tokenizer(source)
        fit_tokenizer(tokenizer, student, config.max_length_tokens)
        correct_student_order(student, tokenizer, dataset, config.max_length_tokens, staged)
        save_classifier(student, tokenizer, staged)
        move_replacing(staged, folder)
    barrier()
    return folder


def choose_lock(model: PreTrainedModel, config: SparsityAwareTrainingConfig) -> MaskLock:
    """Returns a lock for a sparse model's zeros, or a pruner if the model has fewer zeros than the target.

    Raises:
        UserError: The model is dense and there is no target, or its shapes or zeros do not fit the pattern.
    """
    pattern = parse_pattern(config.pattern)
    target = resolve_sparsity(pattern, config.target_sparsity)
    weights = prunable_parameters(model, config.exclude)
    check_shapes({name: tuple(weight.shape) for name, weight in weights.items()}, pattern)
    zeros = masks_of_zeros(model)
    present = zero_fraction(weights)
    if not zeros and target is None:
        raise UserError(
            f"{config.student or config.model} is dense: set target_sparsity (for example 0.8), or give a sparse model"
        )
    for name in zeros.keys() & weights.keys():
        if not pattern.admits(zeros[name]):
            raise UserError(f"the zeros of '{name}' do not follow pattern {pattern}: use pattern=unstructured")
    if zeros and (target is None or present >= target):
        log.info("the model is sparse, %.2f %% zeros: they are kept", 100 * present)
        return MaskLock(zeros)
    assert target is not None
    log.info("pruning from %.2f %% to %.2f %% zeros, %s, by %s", 100 * present, 100 * target, pattern, config.score)
    return GradualPruner(
        model,
        list(weights),
        target,
        pattern,
        score=config.score,
        scope=config.scope,
        begin_fraction=config.pruning_begin_fraction,
        end_fraction=config.pruning_end_fraction,
    )


def _locks_embeddings(lock: MaskLock, model: PreTrainedModel) -> bool:
    """Returns whether the lock keeps zeros of the embedding table."""
    table = model.get_input_embeddings().weight
    return any(model.get_parameter(name) is table for name in lock.masks)


def _evaluate(folder: Path, config: SparsityAwareTrainingConfig) -> Evaluation:
    """Evaluates a saved model on validation, in a new process on rank 0, and returns the result on all ranks."""
    return call_on_main(evaluate_folder, folder, config.dataset, max_length_tokens=config.max_length_tokens)


def _measure(
    source: Path, config: SparsityAwareTrainingConfig, workspace: Workspace, names: list[str], lock: MaskLock
) -> tuple[dict[str, float], dict[str, Any]]:
    """Returns sparsity and sizes of the saved file, as metrics and facts.

    Raises:
        RuntimeError: The file has fewer zeros than the masks.
    """
    file, pattern = workspace.output / _WEIGHTS, parse_pattern(config.pattern)
    layers = measure_layers(file, names, pattern)
    _require_locked_zeros(measure_layers(file, list(lock.masks), pattern), lock)
    before = measure_layers(source / _WEIGHTS, names, pattern)
    metrics = {
        "baseline_sparsity": total_sparsity(before),
        "sparsity": total_sparsity(layers),
        "size_bytes": float(size_bytes(file)),
        "baseline_compressed_bytes": float(compressed_bytes(source / _WEIGHTS)),
        "compressed_bytes": float(compressed_bytes(file)),
    }
    facts = {
        "layers": [asdict(layer) | {"sparsity": layer.sparsity} for layer in layers],
        "layers_markdown": _report(layers, config, metrics),
    }
    return metrics, facts


def _require_locked_zeros(layers: list[LayerSparsity], lock: MaskLock) -> None:
    for layer in layers:
        locked = int((~lock.masks[layer.name]).sum())
        if layer.zeros < locked:
            raise RuntimeError(f"{layer.name} was saved with {layer.zeros} zeros, but {locked} were locked")


def _report(layers: list[LayerSparsity], config: SparsityAwareTrainingConfig, metrics: dict[str, float]) -> str:
    megabytes = {name: f"{value / 1e6:.1f} MB" for name, value in metrics.items() if name.endswith("_bytes")}
    return (
        "## Sparsity of the saved model\n\n"
        f"The weights take {megabytes['size_bytes']}, and {megabytes['compressed_bytes']} compressed (DEFLATE); those "
        f"of the input model take {megabytes['baseline_compressed_bytes']} compressed. Zeros make the file smaller, "
        "but not the model faster: runtimes compute with them as with any number.\n\n"
        + layers_markdown(layers, parse_pattern(config.pattern))
    )
