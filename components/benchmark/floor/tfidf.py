"""The floor `tfidf`: TF-IDF of words and pairs of words, and a linear model."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from compaware.components.benchmark.floor.head import Head, choose_head
from compaware.components.benchmark.floor.pairs import combine_texts
from compaware.components.benchmark.floor.rows import TrainingRows
from compaware.components.benchmark.floor.text_split import text_columns
from compaware.components.core.base.files import write_text
from compaware.components.core.data.dataset import Manifest

VOCABULARY_FILE = "tfidf.json"
WEIGHTS_FILE = "tfidf.safetensors"
# The most frequent ones; rarer n-grams hardly change the metric.
_MOST_NGRAMS = 200_000


def train(manifest: Manifest, rows: TrainingRows, folder: Path) -> tuple[int, float]:
    """Trains the model and saves it.

    Returns:
        Number of features, and the inverse strength of regularization that validation chose.

    Raises:
        ValueError: No word occurs in two texts, or all rows have the same class.
    """
    columns = text_columns(rows.train)
    vectorizer = _vectorizer(min_df=2, max_features=_MOST_NGRAMS).fit(itertools.chain(*columns.values()))
    values = [features(vectorizer, list(text_columns(table).values())) for table in (rows.train, rows.validation)]
    head, strength = choose_head(manifest, values[0], rows.labels, values[1], rows.validation_labels)
    ngrams = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    write_text(folder / VOCABULARY_FILE, json.dumps({"columns": list(columns), "ngrams": ngrams}, ensure_ascii=False))
    save_file({"idf": vectorizer.idf_.astype(np.float32), **head.arrays}, folder / WEIGHTS_FILE)
    return values[0].shape[1], strength


def features(vectorizer: Any, columns: Sequence[Sequence[str]]) -> Any:
    """Returns the features of rows with one or two texts, sparse (rows, features)."""
    from scipy import sparse

    def stack(blocks: Sequence[Any]) -> Any:
        # `hstack` is several times slower if one of the blocks is dense.
        return sparse.hstack([sparse.csr_array(block) for block in blocks], format="csr")

    return combine_texts([sparse.csr_array(vectorizer.transform(texts)) for texts in columns], stack)


class TfidfPredictor:
    """A saved model, with the interface of `Predictor`; a batch is an array of texts for each column."""

    def __init__(self, folder: Path):
        vocabulary = json.loads((folder / VOCABULARY_FILE).read_text(encoding="utf-8"))
        arrays = load_file(folder / WEIGHTS_FILE)
        self.input_names: Sequence[str] = vocabulary["columns"]
        self._vectorizer = _vectorizer(vocabulary=vocabulary["ngrams"])
        self._vectorizer.idf_ = arrays["idf"]
        self._head = Head.from_arrays(arrays)

    def predict(self, batch: dict[str, np.ndarray]) -> np.ndarray:
        """See `Predictor`."""
        return self._head.logits(features(self._vectorizer, [batch[name].tolist() for name in self.input_names]))


def _vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    # Unlike the default pattern, this one keeps single letters and punctuation.
    return TfidfVectorizer(
        token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32, **options
    )
