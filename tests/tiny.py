"""Small real data, tokenizers and models that the tests share; a training on them takes seconds."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from compaware.components.core.data.dataset import GROUP_ROWS, PreparedDataset, ProblemType, load_dataset_folder
from compaware.components.core.data.dataset_writer import label_array, write_dataset_folder
from compaware.components.core.data.soft_labels import SoftLabelsKey, write_soft_labels
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.models.build import new_classifier
from compaware.components.core.models.heads import permute_head
from compaware.components.core.models.load import load_classifier, save_classifier
from compaware.components.teacher_check.wordpiece import train_tokenizer

POSITIVE = ["good", "great", "fine", "happy", "bright", "warm", "superb"]
NEGATIVE = ["bad", "poor", "dull", "sad", "dark", "cold", "awful"]
NEUTRAL = [
    "the",
    "a",
    "film",
    "story",
    "actor",
    "scene",
    "was",
    "very",
    "quite",
    "and",
    "of",
    "music",
    "plot",
    "seemed",
]
NUMBERS = ["one", "two", "three", "seven"]
SMALL_BERT = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def sentence(rng: random.Random, words: list[str]) -> str:
    """A few neutral words with one or two of `words` among them."""
    chosen = rng.choices(NEUTRAL, k=rng.randint(2, 8)) + rng.choices(words, k=rng.randint(1, 2))
    rng.shuffle(chosen)
    return " ".join(chosen)


def sentiment_rows(rows: int, seed: int) -> dict[str, list]:
    """Sentences that one word decides, half of them positive."""
    rng = random.Random(seed)
    labels = [index % 2 for index in range(rows)]
    return {"text": [sentence(rng, POSITIVE if label else NEGATIVE) for label in labels], "label": labels}


def three_class_rows(rows: int, seed: int) -> dict[str, list]:
    """As `sentiment_rows`, with a third class of neutral sentences."""
    rng = random.Random(seed)
    labels = [index % 3 for index in range(rows)]
    return {"text": [sentence(rng, (NEGATIVE, NEUTRAL, POSITIVE)[label]) for label in labels], "label": labels}


def similarity_rows(rows: int, seed: int) -> dict[str, list]:
    """Pairs whose target, 0 to 5, grows with the share of positive words in the second."""
    rng = random.Random(seed)
    table: dict[str, list] = {"text": [], "text_pair": [], "label": []}
    for _ in range(rows):
        score = rng.randint(0, 5)
        words = rng.sample(POSITIVE, score) + rng.sample(NEGATIVE, 5 - score)
        table["text"].append(sentence(rng, NEUTRAL))
        table["text_pair"].append(" ".join(words))
        table["label"].append(float(score))
    return table


def topic_rows(rows: int, seed: int) -> dict[str, list]:
    """Sentences that each have any of three topics, or none: praise, blame and numbers, each known by its words."""
    rng = random.Random(seed)
    words = (POSITIVE, NEGATIVE, NUMBERS)
    labels = [[int(rng.random() < 0.35) for _ in words] for _ in range(rows)]
    texts = []
    for row in labels:
        chosen = rng.choices(NEUTRAL, k=3)
        for topic, has in zip(words, row, strict=True):
            chosen += rng.choices(topic, k=2 * has)
        rng.shuffle(chosen)
        texts.append(" ".join(chosen))
    return {"text": texts, "label": labels}


KINDS: dict[str, tuple[Callable[[int, int], dict[str, list]], ProblemType, list[str], str]] = {
    "sentiment": (sentiment_rows, "classification", [], "accuracy"),
    "three_class": (three_class_rows, "classification", ["negative", "neutral", "positive"], "accuracy"),
    # Pairs.
    "similarity": (similarity_rows, "regression", [], "pearson"),
    "topics": (topic_rows, "multi_label_classification", ["praise", "blame", "numbers"], "f1_micro"),
}


def make_dataset(
    folder: Path,
    train_rows: int = 256,
    validation_rows: int = 96,
    kind: str = "sentiment",
    label_names: tuple[str, ...] = ("negative", "positive"),
    seed: int = 0,
    test_rows: int = 0,
    unlabelled_rows: int = 0,
) -> PreparedDataset:
    """Writes a Dataset artifact of a kind of `KINDS`; `label_names` are those of `sentiment`."""
    generate, problem_type, names, metric = KINDS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    splits = {
        "train": [_table(generate(train_rows, seed))],
        "validation": [_table(generate(validation_rows, seed + 1))],
    }
    if test_rows:
        splits["test"] = [_table(generate(test_rows, seed + 2))]
    if unlabelled_rows:
        splits["unlabelled"] = [_table(generate(unlabelled_rows, seed + 3)).drop_columns("label")]
    write_dataset_folder(
        folder,
        splits,
        task="custom",
        problem_type=problem_type,
        text_columns=["text"],
        label_column="label",
        label_names=list(label_names) if kind == "sentiment" else names,
        metric=metric,
        source={"generated": "tests/tiny.py"},
        notes=[],
    )
    return load_dataset_folder(folder)


def with_test_labels_reversed(data: PreparedDataset, folder: Path) -> PreparedDataset:
    """A copy of the data in which every label of the test split is wrong."""
    folder.mkdir()
    described = data.manifest.model_dump(exclude={"splits", "fingerprint", "slice_columns"})
    splits = {name: [data.split(name)] for name in data.manifest.splits}
    test = data.split("test")
    splits["test"] = [test.set_column(test.column_names.index("label"), "label", [pa.array(data.labels("test")[::-1])])]
    write_dataset_folder(folder, splits, **described)
    return load_dataset_folder(folder)


def _table(rows: dict[str, list]) -> pa.Table:
    labels = np.array(rows["label"])
    return pa.table({**rows, "label": label_array(labels.astype(np.int8) if labels.ndim == 2 else labels)})


def make_model(folder: Path, dataset: PreparedDataset, seed: int = 0, **config: object) -> Path:
    """Saves an untrained small BERT for the data, with a tokenizer that knows its words."""
    torch.manual_seed(seed)
    tokenizer = train_tokenizer([" ".join(POSITIVE + NEGATIVE + NEUTRAL + NUMBERS)] * 2, 200)
    save_classifier(new_classifier({**SMALL_BERT, **config}, dataset.manifest, tokenizer), tokenizer, folder)
    return folder


def make_soft_labels(folder: Path, dataset: PreparedDataset, logits: np.ndarray | None = None, **key: object) -> Path:
    """Writes soft labels of the training split; by default they agree with the labels of its two classes."""
    if logits is None:
        logits = 4 * np.eye(2, dtype=np.float32)[dataset.labels("train")]
    described = {"teacher_fingerprint": "teacher", "tokenizer_fingerprint": "tokenizer", "max_length_tokens": 32} | key
    folder.mkdir()
    write_soft_labels(
        folder,
        [logits[start : start + GROUP_ROWS] for start in range(0, len(logits), GROUP_ROWS)],
        SoftLabelsKey(
            dataset_fingerprint=dataset.manifest.fingerprint, split="train", rows=len(logits), num_labels=2, **described
        ),
    )
    return folder


def turn_head(source: Path, folder: Path, names: list[str]) -> Path:
    """A copy of a classifier of two labels whose outputs have changed places; its configuration calls them so."""
    model = load_classifier(source)
    permute_head(model, [1, 0])
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}
    save_classifier(model, load_tokenizer(source), folder)
    return folder
