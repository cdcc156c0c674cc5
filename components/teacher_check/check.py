"""Teacher check: aligns the head, evaluates, fine-tunes if allowed, and saves the soft labels."""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from compaware.components.core.base.distributed import barrier, call_on_main, is_main
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.core.data.dataset import Manifest, PreparedDataset, load_dataset_folder
from compaware.components.core.data.soft_labels import SoftLabelsKey, model_fingerprint, write_soft_labels
from compaware.components.core.data.tokenizer import load_model_tokenizer, load_tokenizer, tokenizer_fingerprint
from compaware.components.core.evaluation.calibration import calibrate_model, require_classes
from compaware.components.core.evaluation.confusion import classification_facts
from compaware.components.core.evaluation.evaluate import Evaluation, evaluate_folder
from compaware.components.core.evaluation.held_out import evaluate_on_test, metrics_on_test
from compaware.components.core.evaluation.metrics import (
    chance_score,
    compute_metrics,
    majority_baseline,
    metric_label,
    perfect_score,
    require_defined,
    why_undefined,
)
from compaware.components.core.models.build import new_classifier
from compaware.components.core.models.first_token import use_first_token_only
from compaware.components.core.models.heads import Alignment, align_labels
from compaware.components.core.models.load import load_classifier, load_with_new_head, save_classifier
from compaware.components.core.models.pairing import fit_tokenizer, input_names
from compaware.components.core.runtimes.servable import require_servable
from compaware.components.core.stage.workspace import Workspace
from compaware.components.core.training.ipex import choose_backend
from compaware.components.core.training.trainer import TrainingResult, train
from compaware.components.storage import local_source
from compaware.components.teacher_check.config import TeacherCheckConfig
from compaware.components.teacher_check.correction import correct_head
from compaware.components.teacher_check.parts import SoftLabelParts, require_shared_storage
from compaware.components.teacher_check.runtime import TeacherRuntime, choose_runtime, open_teacher
from compaware.components.teacher_check.wordpiece import train_tokenizer

log = logging.getLogger(__name__)

# A fine-tuned teacher must be clearly better than the best predictions that do not depend on the text: it must close
# this share of their gap to a perfect score. (A fixed difference would be too much if they score high, such as F1 0.81
# on MRPC; if one class has 95 % of the rows, no teacher could be five points better.)
MIN_GAIN = 0.1
# A correlation is never quite 1.
_PERFECT = 0.999


def run(config: TeacherCheckConfig, workspace: Workspace) -> Summary:
    """Checks the teacher, and saves it with its labels in the data's order, and its soft labels.

    Raises:
        UserError: The teacher's labels cannot be matched, or its score is too low and fine-tuning is not allowed or
            does not help; or the nodes of the job share no storage, or the backend cannot run here.
    """
    backend = choose_backend(config.backend, config.precision)
    require_shared_storage(workspace)
    dataset = load_dataset_folder(config.dataset)
    require_classes(config.calibrate, dataset.manifest)
    metric = dataset.manifest.metric
    labels = dataset.labels("validation")
    require_defined(metric, labels)
    majority = majority_baseline(metric, labels, dataset.manifest.num_labels)
    if config.min_score is None:
        _require_room_above(majority, dataset.manifest, labels)
    set_seed(config.seed)
    model, tokenizer, aligned = _load(config, dataset, workspace)
    fit_tokenizer(tokenizer, model, config.max_length_tokens)
    require_servable(model, tokenizer)
    use_first_token_only(model)
    trained: TrainingResult | None = None
    evaluation: Evaluation | None = None
    if aligned is not None:
        evaluation = _measure(model, tokenizer, workspace.output, config)
        corrected = correct_head(model, evaluation, dataset, aligned, config)
        if corrected is not None:
            aligned = corrected
            evaluation = _measure(model, tokenizer, workspace.output, config)
    shortfall = "the teacher has a new head"
    if evaluation is not None:
        shortfall = find_shortfall(metric, evaluation.logits, labels, majority, config.min_score)
    if evaluation is None or shortfall:
        _require_permission(config, shortfall, aligned)
        trained = train(model, tokenizer, dataset, config, workspace, backend=backend)
        evaluation = _measure(model, tokenizer, workspace.output, config)
        shortfall = find_shortfall(metric, evaluation.logits, labels, majority, config.min_score)
        if shortfall:
            raise UserError(
                f"after fine-tuning, {shortfall}: train longer (epochs), change learning_rate, or use another teacher"
            )
    # Before the soft labels, whose key holds a hash of config.json.
    calibration = calibrate_model(workspace.output, evaluation, dataset) if config.calibrate else {}
    started = time.monotonic()
    runtime = _write_soft_labels(model, tokenizer, dataset, evaluation.logits, config, workspace)
    soft_labels_s = time.monotonic() - started
    metrics = {f"teacher_{name}": value for name, value in evaluation.metrics.items()}
    metrics |= {"majority_score": majority, "fine_tuned": float(trained is not None), "soft_labels_s": soft_labels_s}
    facts = {
        "labels": aligned.how if aligned else "a new head",
        **classification_facts(dataset.manifest, evaluation.logits, labels),
        "parameters": model.num_parameters(),
        "training": trained.model_dump() if trained else None,
        **calibration,
        "soft_labels_runtime": runtime.model_dump(exclude={"agreement"}),
        "soft_labels_agreement": runtime.agreement.model_dump() if runtime.agreement else None,
    }
    test = evaluate_on_test(
        workspace.output,
        dataset,
        max_length_tokens=config.max_length_tokens,
        batch_size=config.soft_label_batch_size,
    )
    metrics |= metrics_on_test("teacher", test)
    return Summary.create("teacher_check", config, metrics, facts)


def _require_room_above(majority: float, manifest: Manifest, labels: np.ndarray) -> None:
    if majority >= perfect_score(manifest.metric, labels, manifest.num_labels):
        raise UserError(
            f"no model can reach a better {metric_label(manifest.metric)} on validation than predictions that ignore "
            f"the text ({majority:.4f}): add rows with other labels, or set min_score to accept a teacher anyway"
        )


def _load(
    config: TeacherCheckConfig, dataset: PreparedDataset, workspace: Workspace
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Alignment | None]:
    """Loads or builds the teacher; the third value tells how its labels were matched, None if its head is new."""
    if config.teacher_config is not None:
        if config.tokenizer:
            tokenizer = load_tokenizer(config.tokenizer)
        else:
            tokenizer = train_tokenizer(_Texts(dataset), config.vocabulary_size)
        return new_classifier(config.teacher_config, dataset.manifest, tokenizer), tokenizer, None
    source = local_source(config.teacher or "", workspace.work / "downloads")
    model = load_classifier(source)
    tokenizer = load_model_tokenizer(source, config.tokenizer)
    if not model.fresh_parameters:
        try:
            return model, tokenizer, align_labels(model, dataset.manifest, config.label_order)
        except UserError as error:
            if not config.fine_tune_if_needed:
                raise
            log.warning("%s; it gets a new head and is fine-tuned", error)
    elif not config.fine_tune_if_needed:
        raise UserError(
            f"the teacher {config.teacher} is not fine-tuned: it has no weights for "
            f"{', '.join(model.fresh_parameters)}; give a fine-tuned one, or set fine_tune_if_needed=true"
        )
    return load_with_new_head(source, dataset.manifest), tokenizer, None


def _measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, config: TeacherCheckConfig
) -> Evaluation:
    """Saves the teacher and evaluates it on validation, in a new process on rank 0; returns the result on all ranks."""
    if is_main():
        save_classifier(model, tokenizer, folder)
    return call_on_main(
        evaluate_folder,
        folder,
        config.dataset,
        max_length_tokens=config.max_length_tokens,
        batch_size=config.soft_label_batch_size,
    )


def find_shortfall(
    metric: str, logits: np.ndarray, labels: np.ndarray, majority: float, min_score: float | None
) -> str:
    """Returns why a teacher is not good enough, as part of a sentence; empty if it is good enough.

    Args:
        metric: The data's primary metric.
        logits: The teacher's logits for validation.
        labels: The true labels.
        majority: See `majority_baseline`.
        min_score: Required score; if None, the score must be clearly above chance.
    """
    score = compute_metrics(metric, logits, labels)[metric]
    if math.isnan(score):
        return f"{metric_label(metric)} of the teacher is undefined, since {why_undefined(metric, labels, logits)}"
    bars = [(majority + MIN_GAIN * (1 - majority), f"predictions that ignore the text reach {majority:.4f}")]
    chance = chance_score(metric, logits, labels)
    if chance < _PERFECT:
        bars.append((chance + 1e-9, f"its predictions in random order reach {chance:.4f} on {len(labels)} rows"))
    else:
        # Even a perfect score can be chance, but no teacher can be better.
        bars.append((_PERFECT, f"{len(labels)} validation rows are too few to tell it from chance"))
    needed, reason = max(bars)
    if min_score is not None:
        if min_score <= score < needed:
            log.warning("the teacher reaches %s %.4f, which min_score allows, but %s", metric, score, reason)
        needed, reason = min_score, "min_score"
    return "" if score >= needed else f"the teacher reaches {metric} {score:.4f}, {needed:.4f} is needed ({reason})"


def _require_permission(config: TeacherCheckConfig, reason: str, aligned: Alignment | None) -> None:
    if not config.fine_tune_if_needed:
        guessed = aligned is not None and aligned.how.startswith("by index")
        hint = " label_order (its labels were matched by index)," if guessed else ""
        raise UserError(f"{reason}: give a fine-tuned teacher,{hint} a lower min_score, or fine_tune_if_needed=true")
    log.info("%s: fine-tuning it", reason)


def _write_soft_labels(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: PreparedDataset,
    expected: np.ndarray,
    config: TeacherCheckConfig,
    workspace: Workspace,
) -> TeacherRuntime:
    """Computes the soft labels on all ranks, saves them on rank 0, and returns what the teacher ran in.

    `expected` holds the teacher's logits for validation, see `open_teacher`.
    """
    chosen = choose_runtime(config.precision, dataset.manifest.splits["train"])
    length, batch_size = config.max_length_tokens, config.soft_label_batch_size
    teacher, chosen = open_teacher(chosen, model, tokenizer, dataset, expected, length, batch_size)
    key = call_on_main(_key, dataset, config, workspace.output, chosen)
    parts = SoftLabelParts(dataset, key, workspace)
    folder = workspace.extra(config.soft_labels_output)
    parts.compute(teacher, input_names(model), tokenizer, batch_size)
    barrier()
    if is_main():
        write_soft_labels(folder, parts.groups(), parts.key)
    return chosen


def _key(dataset: PreparedDataset, config: TeacherCheckConfig, teacher: Path, chosen: TeacherRuntime) -> SoftLabelsKey:
    return SoftLabelsKey(
        dataset_fingerprint=dataset.manifest.fingerprint,
        split="train",
        rows=dataset.manifest.splits["train"],
        num_labels=dataset.manifest.num_labels,
        teacher_fingerprint=model_fingerprint(teacher),
        tokenizer_fingerprint=tokenizer_fingerprint(teacher),
        max_length_tokens=config.max_length_tokens,
        runtime=chosen.runtime,
        precision=chosen.precision,
    )


@dataclass(frozen=True)
class _Texts:
    """Iterates over the training split's sentences, one row group at a time; can be iterated repeatedly."""

    dataset: PreparedDataset

    def __iter__(self) -> Iterator[str]:
        for table in self.dataset.groups("train"):
            for column in table.drop_columns("label").columns:
                yield from column.to_pylist()
