"""Tiny random classifiers of many model families, each with the family's kind of tokenizer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.models.build import new_classifier
from compaware.components.core.models.load import save_classifier
from compaware.components.teacher_check.wordpiece import train_tokenizer

_VOCABULARY = 300
_SPECIAL = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def _wordpiece(texts: list[str]) -> PreTrainedTokenizerBase:
    return train_tokenizer(texts, _VOCABULARY)


def _wordpiece_without_segments(texts: list[str]) -> PreTrainedTokenizerBase:
    tokenizer = train_tokenizer(texts, _VOCABULARY)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return tokenizer


def _byte_level(texts: list[str]) -> PreTrainedTokenizerBase:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2 * _VOCABULARY,
        special_tokens=list(_SPECIAL.values()),
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _framed(tokenizer)


def _unigram(texts: list[str]) -> PreTrainedTokenizerBase:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=_VOCABULARY, special_tokens=list(_SPECIAL.values()), unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _framed(tokenizer)


def _framed(tokenizer: Tokenizer) -> PreTrainedTokenizerBase:
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "attention_mask"],
        cls_token="<s>",
        sep_token="</s>",
        **_SPECIAL,
    )


MODELS: dict[str, tuple[Callable[[list[str]], PreTrainedTokenizerBase], dict[str, Any]]] = {
    "bert": (_wordpiece, SMALL),
    "distilbert": (
        _wordpiece_without_segments,
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 64},
    ),
    "electra": (_wordpiece, {**SMALL, "embedding_size": 16}),
    "mpnet": (_wordpiece_without_segments, SMALL),
    "roberta": (_byte_level, {**SMALL, "type_vocab_size": 1}),
    "xlm-roberta": (_unigram, {**SMALL, "type_vocab_size": 1}),
    "albert": (_unigram, {**SMALL, "embedding_size": 16}),
    "deberta-v2": (
        _unigram,
        {
            **SMALL,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
        },
    ),
    "modernbert": (_byte_level, {**SMALL, "global_attn_every_n_layers": 2, "local_attention": 16}),
    "gpt2": (_byte_level, {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}),
    "qwen2": (_byte_level, {**SMALL, "num_key_value_heads": 2}),
}


def classifier(family: str, num_labels: int = 3) -> PreTrainedModel:
    """Returns a random classifier of a family with a vocabulary of 50 tokens and without a tokenizer."""
    torch.manual_seed(0)
    config = {**MODELS[family][1], "vocab_size": 50, "pad_token_id": 1, "num_labels": num_labels}
    return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(family, **config)).eval()


def make_family(family: str, folder: Path, data: PreparedDataset) -> Path:
    """Saves a random classifier of a family for the data, with a tokenizer trained on its texts."""
    train, config = MODELS[family]
    tokenizer = train(data.split("train")["text"].to_pylist())
    names = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
    ids = {name: getattr(tokenizer, name) for name in names if getattr(tokenizer, name) is not None}
    torch.manual_seed(0)
    model = new_classifier({"model_type": family, **config, **ids}, data.manifest, tokenizer)
    save_classifier(model, tokenizer, folder)
    return folder
