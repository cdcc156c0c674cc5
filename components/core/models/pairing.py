"""Makes a model and its tokenizer agree on token ids, padding and the longest input."""

import inspect
import logging
from itertools import cycle, islice

import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from compaware.components.core.base.errors import UserError, first_line

log = logging.getLogger(__name__)
# Used for models without a limit on positions.
_DEFAULT_POSITIONS = 512
# Length of the inputs that models are traced and checked with.
_MIN_TOKENS = 8
# Families that number positions from pad_token_id + 1, which leaves fewer than max_position_embeddings.
_COUNT_FROM_PADDING = {
    "camembert",
    "data2vec-text",
    "esm",
    "ibert",
    "layoutlmv3",
    "lilt",
    "longformer",
    "luke",
    "markuplm",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}


def input_names(model: PreTrainedModel) -> list[str]:
    """Returns the inputs that the model uses.

    DistilBERT takes no `token_type_ids`; RoBERTa takes them but has one segment only; GPT-2 embeds them like tokens.
    """
    accepted = inspect.signature(model.forward).parameters
    has_segments = "token_type_ids" in accepted and getattr(model.config, "type_vocab_size", 0) > 1
    return ["input_ids", "attention_mask"] + (["token_type_ids"] if has_segments else [])


def max_sequence_tokens(config: PreTrainedConfig) -> int:
    """Returns the longest sequence, in tokens, that a model's position embeddings allow."""
    positions = int(getattr(config.get_text_config(), "max_position_embeddings", None) or 0)
    if positions <= 0:
        return _DEFAULT_POSITIONS
    if config.model_type not in _COUNT_FROM_PADDING:
        return positions
    # MPNet's padding is always 1; its configuration may have another value.
    padding = 1 if config.model_type == "mpnet" else config.pad_token_id or 0
    return positions - padding - 1


def limit_length(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> None:
    """Limits a tokenizer's `model_max_length` to the longest sequence of a model."""
    own = tokenizer.model_max_length if tokenizer.model_max_length and tokenizer.model_max_length > 0 else None
    limit = max_sequence_tokens(config)
    tokenizer.model_max_length = int(min(own, limit)) if own else limit


def fit_tokenizer(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, max_length_tokens: int) -> None:
    """Makes a tokenizer and a model agree, and logs a warning for each difference.

    Args:
        tokenizer: Changed in place: it pads on the right, makes only inputs that the model uses, and is limited to the
            model's longest sequence.
        model: Changed in place: its configuration gets the tokenizer's padding token.
        max_length_tokens: The requested length.

    Raises:
        UserError: The tokenizer has tokens that the model lacks, or the model takes fewer than eight tokens.
    """
    config, family = model.config, model.config.model_type
    _require_known_tokens(model, tokenizer)
    if max_sequence_tokens(config) < _MIN_TOKENS:
        raise UserError(
            f"the {family} model takes {max_sequence_tokens(config)} tokens (max_position_embeddings "
            f"{config.max_position_embeddings}): choose a model that takes at least {_MIN_TOKENS}"
        )
    limit_length(tokenizer, config)
    if tokenizer.model_max_length < max_length_tokens:
        positions = max_sequence_tokens(config)
        limited_by = f"the {family} model takes" if tokenizer.model_max_length == positions else "its tokenizer allows"
        log.warning(
            "max_length_tokens is %d, but %s %d tokens: longer inputs are cut there",
            max_length_tokens,
            limited_by,
            tokenizer.model_max_length,
        )
    tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name in input_names(model)]
    # Decoders classify by the last token before the padding, so the padding must be on the right.
    tokenizer.padding_side = "right"
    text_config = config.get_text_config()
    if family not in _COUNT_FROM_PADDING and text_config.pad_token_id != tokenizer.pad_token_id:
        log.warning(
            "pad_token_id is %s in the %s model's config and %s in its tokenizer: the tokenizer's is used",
            text_config.pad_token_id,
            family,
            tokenizer.pad_token_id,
        )
        text_config.pad_token_id = tokenizer.pad_token_id


@torch.no_grad()
def require_padding_ignored(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Checks that a row has the same logits alone and in a batch with a longer one.

    Args:
        model: The classifier; not changed.
        tokenizer: Its tokenizer.

    Raises:
        UserError: The logits differ, or the model takes no batches.
    """
    _require_known_tokens(model, tokenizer)
    padding, family = int(tokenizer.pad_token_id or 0), model.config.model_type
    special = {padding, *tokenizer.all_special_ids}
    rows = model.get_input_embeddings().weight.shape[0]
    words = list(islice(cycle(index for index in range(rows) if index not in special), 12))
    ids = torch.tensor([words[:8], words[8:] + [padding] * 4], device=model.device)
    mask = torch.tensor([[1] * 8, [1] * 4 + [0] * 4], device=model.device)
    training = model.training
    model.eval()
    try:
        together = model(input_ids=ids, attention_mask=mask).logits[1]
        alone = model(input_ids=ids[1:, :4], attention_mask=mask[1:, :4]).logits[0]
    except (ValueError, RuntimeError, IndexError) as error:
        raise UserError(f"the {family} model cannot run a batch ({first_line(error)}): choose another model") from error
    finally:
        model.train(training)
    if not torch.allclose(together, alone, rtol=1e-2, atol=1e-3):
        raise UserError(
            f"the {family} model's logits for a text change with the padding of its batch (token {padding}): "
            "set pad_token_id in config.json to the tokenizer's, or choose another model"
        )


def _require_known_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    rows, largest = model.get_input_embeddings().weight.shape[0], max(tokenizer.get_vocab().values())
    if largest >= rows:
        raise UserError(
            f"the tokenizer has token ids up to {largest}, the {model.config.model_type} model's embedding has {rows} "
            "rows: give the model's own tokenizer, or resize its embeddings (resize_token_embeddings)"
        )
