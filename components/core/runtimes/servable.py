"""Rejects a model that cannot be served before it is trained."""

import logging
import tempfile
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from compaware.components.core.base.distributed import call_on_main
from compaware.components.core.base.errors import UserError, first_line
from compaware.components.core.models.families import FAMILIES, UNSUPPORTED
from compaware.components.core.models.pairing import require_padding_ignored
from compaware.components.core.runtimes.predictors import save_fp32_files

log = logging.getLogger(__name__)
# Errors of the export and the converters for a model that they do not support, besides OpenVINO's own.
_ERRORS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)


def require_servable(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
    """Checks that OpenVINO and onnxruntime can serve a classifier, and that padding does not change its logits.

    The project's tests cover the families of `FAMILIES`; a model of another family is converted once, which takes
    seconds for a small model.

    Args:
        model: The classifier, on all ranks; not changed.
        tokenizer: Its tokenizer, which pads batches.

    Raises:
        UserError: The model cannot be served; the message lists the families that can.
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
        reason = call_on_main(conversion_error, model)
    if reason is not None:
        raise UserError(f"{family} models cannot be served ({reason}): choose one of {', '.join(FAMILIES)}")


def conversion_error(model: PreTrainedModel) -> str | None:
    """Converts a classifier for both runtimes and returns their error; None if it can be converted."""
    # This import takes a second, so it is not at the top.
    from openvino.frontend import OpConversionFailure

    log.info("%s is not one of the tested families: checking whether the model can be served", model.config.model_type)
    with tempfile.TemporaryDirectory() as folder:
        try:
            save_fp32_files(model, Path(folder))
        except (*_ERRORS, OpConversionFailure) as error:
            return first_line(error)
    return None
