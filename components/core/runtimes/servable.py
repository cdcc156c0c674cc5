"""Refuses a model that could not be served in the end, before anything is trained."""

import logging
import tempfile
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compaware.components.core.base.distributed import broadcast, is_main
from compaware.components.core.base.errors import UserError, first_line
from compaware.components.core.models.families import FAMILIES, UNSUPPORTED
from compaware.components.core.models.pairing import require_padding_ignored
from compaware.components.core.runtimes.predictors import save_fp32_files

log = logging.getLogger(__name__)
# What the export and the converters stop with at a model that they cannot do, besides OpenVINO's own.
_FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)


def require_servable(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
    """Checks that OpenVINO and onnxruntime can serve a classifier, and that batches leave its answers as they are.

    Families that the project's tests go through are known to work; a model of another is converted once, which takes
    seconds for a small one.

    Args:
        model: The classifier; not changed. All ranks have it.
        tokenizer: Its tokenizer, which says how batches are padded.

    Raises:
        UserError: It cannot be served; names the families that can.
    """
    family = model.config.model_type
    if family not in FAMILIES:
        _require_convertible(model, family)
    if tokenizer is not None:
        require_padding_ignored(model, tokenizer)


def _require_convertible(model: PreTrainedModel, family: str) -> None:
    reason = UNSUPPORTED.get(family)
    if reason is None and model.config.is_encoder_decoder:
        reason = "sequence-to-sequence"
    if reason is None:
        reason = broadcast(conversion_error(model) if is_main() else None)
    if reason is not None:
        raise UserError(f"{family} models cannot be served ({reason}): choose one of {', '.join(FAMILIES)}")


def conversion_error(model: PreTrainedModel) -> str | None:
    """Converts a classifier for both runtimes: what they stop at, or None where they do not."""
    # Takes a second, which families that are known to work need not wait for.
    from openvino.frontend import OpConversionFailure

    log.info(
        "%s is none of the families that are known to work: trying whether it can be served", model.config.model_type
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            save_fp32_files(model, Path(folder))
        except (*_FAILURES, OpConversionFailure) as error:
            return first_line(error)
    return None
