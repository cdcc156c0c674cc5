"""The floor `static`: static embeddings of a transformer's tokens, averaged over a text, and a linear model.

The embeddings are made as model2vec makes them (https://github.com/MinishLab/model2vec): the transformer's mean output
for each token alone, reduced by PCA. Only tokens of the training rows have one; others are ignored. All tokens have the
same weight: smaller weights for frequent tokens (SIF) made no clear difference on SST-2 and emotion.
"""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from compaware.components.benchmark.floor.head import Head, choose_head
from compaware.components.benchmark.floor.pairs import combine_texts
from compaware.components.benchmark.floor.rows import TrainingRows
from compaware.components.benchmark.floor.text_split import text_columns
from compaware.components.core.base.errors import UserError
from compaware.components.core.base.files import write_text
from compaware.components.core.data.dataset import Manifest

TOKENIZER_FILE = "static.json"
WEIGHTS_FILE = "static.safetensors"
_DIMENSIONS = 256
# The most frequent ones, so that the transformer's pass over them takes a minute or two at most.
_MOST_TOKENS = 30_000
_BATCH = 512
_LOG_EVERY_S = 10.0
log = logging.getLogger(__name__)


def train(manifest: Manifest, rows: TrainingRows, folder: Path, transformer: Path) -> tuple[int, float]:
    """Trains the model and saves it.

    Args:
        manifest: Describes the data.
        rows: The rows to train on.
        folder: Folder for the model.
        transformer: Folder of the classifier whose tokens get embeddings.

    Returns:
        Number of features, and the inverse strength of regularization that validation chose.

    Raises:
        UserError: The classifier cannot be loaded, or its tokenizer has no tokenizer.json.
        ValueError: The training rows have no token, or all have the same class.
    """
    tokenizer = _load_tokenizer(transformer)
    columns = [_tokenize(tokenizer, texts) for texts in text_columns(rows.train).values()]
    size = max(tokenizer.get_vocab().values()) + 1
    counts = np.bincount(np.concatenate([ids for column in columns for ids in column]), minlength=size)
    tokens = np.argsort(-counts, kind="stable")[: min(_MOST_TOKENS, np.count_nonzero(counts))]
    if not len(tokens):
        raise ValueError("the training rows have no token")
    index = np.zeros(size, np.int32)
    index[tokens] = np.arange(1, len(tokens) + 1)
    vectors = np.pad(_reduce(_token_outputs(transformer, tokenizer, tokens)), ((1, 0), (0, 0)))
    values = _features(index, vectors, columns)
    validation = [_tokenize(tokenizer, texts) for texts in text_columns(rows.validation).values()]
    head, strength = choose_head(
        manifest, values, rows.labels, _features(index, vectors, validation), rows.validation_labels
    )
    saved = {"columns": list(text_columns(rows.train)), "tokenizer": json.loads(tokenizer.to_str())}
    write_text(folder / TOKENIZER_FILE, json.dumps(saved, ensure_ascii=False))
    save_file({"index": index, "vectors": vectors, **head.arrays}, folder / WEIGHTS_FILE)
    return values.shape[1], strength


class StaticPredictor:
    """A saved model, with the interface of `Predictor`; a batch is an array of texts for each column."""

    def __init__(self, folder: Path):
        saved = json.loads((folder / TOKENIZER_FILE).read_text(encoding="utf-8"))
        arrays = load_file(folder / WEIGHTS_FILE)
        self.input_names: Sequence[str] = saved["columns"]
        self._tokenizer = Tokenizer.from_str(json.dumps(saved["tokenizer"]))
        self._index, self._vectors = arrays["index"], arrays["vectors"]
        self._head = Head.from_arrays(arrays)

    def predict(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        """See `Predictor`."""
        columns = [_tokenize(self._tokenizer, batch[name].tolist()) for name in self.input_names]
        return self._head.logits(_features(self._index, self._vectors, columns))


def _load_tokenizer(transformer: Path) -> Tokenizer:
    from compaware.components.core.data.tokenizer import load_tokenizer

    loaded = load_tokenizer(transformer)
    if not loaded.is_fast:
        raise UserError(f"the tokenizer of {transformer} has no tokenizer.json, which static embeddings need")
    tokenizer: Tokenizer = Tokenizer.from_str(loaded.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> list[np.ndarray]:
    """Returns the token ids of each text, without special tokens."""
    return [np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.int64) for text in texts]


def _token_outputs(transformer: Path, tokenizer: Tokenizer, tokens: np.ndarray) -> np.ndarray:
    """Returns the mean of the last hidden states for each token alone between the special tokens, (tokens, hidden)."""
    import torch

    from compaware.components.core.models.load import load_classifier

    encoder: Any = load_classifier(transformer).base_model.eval()
    frame = tokenizer.encode("a")
    own = [position for position, special in enumerate(frame.special_tokens_mask) if not special]
    before, after = frame.ids[: own[0]], frame.ids[own[-1] + 1 :]
    log.info("running the transformer on %d tokens", len(tokens))
    outputs, logged = [], time.monotonic()
    with torch.inference_mode():
        for start in range(0, len(tokens), _BATCH):
            ids = torch.tensor([[*before, token, *after] for token in tokens[start : start + _BATCH].tolist()])
            states = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            outputs.append(states.mean(dim=1).float().numpy())
            if time.monotonic() - logged > _LOG_EVERY_S:
                log.info("%d of %d tokens", start + len(ids), len(tokens))
                logged = time.monotonic()
    return np.concatenate(outputs)


def _reduce(outputs: np.ndarray) -> np.ndarray:
    """Projects (tokens, hidden) outputs on their first principal components: float32 (tokens, dimensions)."""
    from sklearn.decomposition import PCA

    reduced = PCA(min(_DIMENSIONS, *outputs.shape), svd_solver="covariance_eigh").fit_transform(outputs)
    return np.ascontiguousarray(reduced, np.float32)


def _features(index: np.ndarray, vectors: np.ndarray, columns: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Returns the features of rows with one or two texts, float32 (rows, features).

    Those of a text are the mean of its tokens' embeddings, scaled to length 1, or zeros if no token has one.

    Args:
        index: (vocabulary,) row in `vectors` of each token; 0 for a token without an embedding.
        vectors: (tokens + 1, dimensions) embeddings; the first is zero.
        columns: For each text of the rows, its token ids.
    """
    texts = []
    for column in columns:
        sums = np.stack([vectors[index[ids]].sum(axis=0) for ids in column])
        texts.append(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9))
    return combine_texts(texts, np.hstack)
