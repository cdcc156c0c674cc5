"""Small classifiers of three architectures with fresh weights, and inputs for them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from compaware.components.core.int8.ptq import TunedGraph
from compaware.components.core.runtimes.formats import TokenBatch

VOCABULARY = 2000
ARCHITECTURES = ("bert", "distilbert", "roberta")


def build(architecture: str) -> PreTrainedModel:
    """A small classifier of three classes, its weights large enough for logits that differ."""
    torch.manual_seed(0)
    common = {"vocab_size": VOCABULARY, "num_labels": 3}
    size = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    dropouts = {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.2, "classifier_dropout": 0.3}
    if architecture == "bert":
        model = BertForSequenceClassification(BertConfig(max_position_embeddings=64, **common, **size, **dropouts))
    elif architecture == "roberta":
        model = RobertaForSequenceClassification(
            RobertaConfig(max_position_embeddings=66, type_vocab_size=1, **common, **size)
        )
    else:
        config = DistilBertConfig(dim=64, n_layers=2, n_heads=2, hidden_dim=128, max_position_embeddings=64, **common)
        model = DistilBertForSequenceClassification(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(4)
    return model.eval()


def batch(rows: int, tokens: int, seed: int = 0) -> TokenBatch:
    """Random token ids, the first row padded by half."""
    ids = np.random.default_rng(seed).integers(5, VOCABULARY, (rows, tokens))
    mask = np.ones_like(ids)
    mask[0, tokens // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def logits_of(model: PreTrainedModel, inputs: TokenBatch, names: list[str]) -> np.ndarray:
    """The Hugging Face model's own answer."""
    with torch.no_grad():
        return model(**{name: torch.from_numpy(inputs[name]) for name in names}).logits.numpy()


@dataclass(frozen=True)
class ServedModel:
    """A quantized BERT on disk."""

    folder: Path
    model: PreTrainedModel
    tuned: TunedGraph
    fp32_bytes: int
