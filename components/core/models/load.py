"""Loads and saves classifiers: safetensors only, no code from the hub."""

import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from compaware.components.core.base.distributed import is_main
from compaware.components.core.base.errors import UserError, first_line
from compaware.components.core.data.dataset import Manifest
from compaware.components.core.data.tokenizer import load_tokenizer as load_tokenizer
from compaware.components.core.data.tokenizer import tokenizer_fingerprint as tokenizer_fingerprint
from compaware.components.core.models.config import load_model_config, require_classifier
from compaware.components.core.models.heads import (
    align_labels,
    check_head,
    find_order,
    head_is_fresh,
    renew_head,
    set_labels,
)

log = logging.getLogger(__name__)


def load_classifier(source: str | Path, **options: Any) -> PreTrainedModel:
    """Loads a sequence classifier in FP32 from a folder or a hub id.

    Args:
        source: A folder, or a hub id.
        **options: Options of `from_pretrained` (`attn_implementation`, `revision`, …); `ignore_mismatched_sizes`
            applies to the head only.

    Raises:
        UserError: There is no such model, its weights are missing, pickled or corrupt, or it needs code from the
            hub.
    """
    config = options.pop("config", None) or load_model_config(source)
    new_head = options.pop("ignore_mismatched_sizes", False)
    require_classifier(config)
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(
            str(source),
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            trust_remote_code=False,
            **options,
        )
    except SafetensorError as error:
        raise UserError(f"the weights of {source} are corrupt ({error}): save or download the model again") from error
    except Exception as error:  # The libraries raise many kinds of errors for damaged files.
        raise UserError(f"cannot load a classifier from {source}: {first_line(error)}") from error
    model.fresh_parameters = _check_fresh_parameters(model, source, info, new_head)
    return model


def _check_fresh_parameters(
    model: PreTrainedModel, source: str | Path, info: dict[str, Any], new_head: bool
) -> list[str]:
    """Returns the names of the parameters with fresh weights; only the head may have some.

    Raises:
        UserError: The encoder lacks weights, sizes do not match, or weights are NaN or infinite.
    """
    encoder = f"{model.base_model_prefix}."
    for name, saved, expected in sorted(info["mismatched_keys"]):
        if name.startswith(encoder) or not new_head:
            raise UserError(
                f"the weights of {source} do not fit its config.json: {name} has shape {tuple(saved)}, but should "
                f"have {tuple(expected)} ({model.config.num_labels} labels): correct it, or download the model again"
            )
    missing = sorted({*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])})
    lost = [name for name in missing if name.startswith(encoder) and "pooler" not in name]
    if lost:
        raise UserError(
            f"{source} has no weights for {len(lost)} parameters of its {model.config.model_type} encoder ({lost[0]}): "
            "give a folder that save_pretrained wrote"
        )
    unused = sorted(name for name in info["unexpected_keys"] if name.startswith(encoder) and "pooler" not in name)
    if unused:
        log.warning("%s has %d weights that its config.json does not use (%s)", source, len(unused), unused[0])
    if missing:
        log.warning("%s has no weights for %s: they start fresh", source, ", ".join(missing))
    if not all(torch.isfinite(parameter).all() for parameter in model.parameters()):
        raise UserError(f"the weights of {source} hold NaN or infinite values: save or download the model again")
    return missing


def load_trained(source: str | Path) -> PreTrainedModel:
    """Loads a fine-tuned classifier: one with weights for its head as well.

    Raises:
        UserError: Weights are missing, as in an encoder that is not fine-tuned, or as `load_classifier`.
    """
    model = load_classifier(source)
    if model.fresh_parameters:
        raise UserError(
            f"{source} is not fine-tuned: it has no weights for {', '.join(model.fresh_parameters)}; "
            "give a model that was trained for this data"
        )
    return model


def load_with_new_head(source: str | Path, manifest: Manifest) -> PreTrainedModel:
    """Loads a model and gives it a fresh classification head with the data's labels.

    Raises:
        UserError: As `load_classifier`.
    """
    config = load_model_config(source)
    set_labels(config, manifest)
    model = load_classifier(source, config=config, ignore_mismatched_sizes=True)
    # A head of the same size was loaded, even if it has other labels.
    renew_head(model)
    return model


def load_student(source: str | Path, manifest: Manifest) -> PreTrainedModel:
    """Loads a student: a classifier with as many labels as the data, or an encoder, which gets a new head.

    The labels of a classifier are put in the data's order; a classifier with other labels gets a new head, too.

    Raises:
        UserError: It is a classifier with another number of labels, or as `load_classifier`.
    """
    config = load_model_config(source)
    if any("SequenceClassification" in name for name in config.architectures or []):
        check_head(config, manifest, "student")
    if config.num_labels != manifest.num_labels:
        set_labels(config, manifest)
    model = load_classifier(source, config=config)
    if not head_is_fresh(model):
        try:
            align_labels(model, manifest, role="student")
        except UserError as error:
            log.warning("%s; it gets a new head", error)
            renew_head(model)
    set_labels(model.config, manifest)
    return model


def load_aligned(source: Path, manifest: Manifest, work: Path) -> tuple[PreTrainedModel, Path]:
    """Loads a classifier and puts its labels in the data's order.

    Args:
        source: Folder of the classifier.
        manifest: Names the data's labels.
        work: Folder for the reordered copy, which rank 0 saves if the order differs.

    Returns:
        The classifier, and the folder that holds it in this order (on rank 0).

    Raises:
        UserError: The classifier has other labels, or as `load_trained`.
    """
    model = load_trained(source)
    order, _ = find_order(model.config, manifest, role="model")
    align_labels(model, manifest, role="model")
    if order == sorted(order):
        return model, source
    folder = work / "in_order"
    if is_main():
        save_classifier(model, load_tokenizer(source), folder)
    return model, folder


def save_classifier(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Saves weights (safetensors), configuration and tokenizer for `from_pretrained`."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
