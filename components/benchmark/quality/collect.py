"""Collects the figures of the predictions from the logits that the workers wrote."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from compaware.components.benchmark.quality.calibration import calibration
from compaware.components.benchmark.quality.class_scores import class_rows, class_scores
from compaware.components.benchmark.quality.disagreements import disagreements, drift
from compaware.components.benchmark.quality.results import Disagreement, Drift, Quality
from compaware.components.benchmark.quality.slices import Part, by_length, by_value, score_part
from compaware.components.benchmark.recommendation import best_int8
from compaware.components.benchmark.report.formatting import reported_split
from compaware.components.benchmark.results import Benchmark, Measured, fastest
from compaware.components.benchmark.splits import inputs_file
from compaware.components.benchmark.workers.scoring import logits_file
from compaware.components.benchmark.workers.tokenized_split import TokenizedSplit
from compaware.components.core.base.rendering import cut
from compaware.components.core.data.dataset import UNLABELLED, PreparedDataset
from compaware.components.core.evaluation.calibration import read_temperature

_LONGEST_TEXT = 200


def collect_quality(benchmark: Benchmark, dataset: PreparedDataset, work: Path) -> Quality:
    """Returns the figures of the test split, or without one of the split that the benchmark measures on.

    Args:
        benchmark: The benchmark, with its recommendation.
        dataset: The data.
        work: Folder of the logits and the tokenized splits.
    """
    assert benchmark.recommended is not None
    split = reported_split(benchmark)
    served = benchmark.by_id(benchmark.recommended.id)
    dense = benchmark.dense()
    int8 = _int8_form(benchmark, served)
    forms = _forms(benchmark, served)
    names, labels = dataset.manifest.label_names, dataset.labels(split)
    logits = {item.id: _load(work, item.id, split) for item in [*forms, *dense[:1], *filter(None, [int8])]}
    quality = Quality(
        split=split,
        rows=len(labels),
        forms={item.name: item.id for item in forms},
        served=served.id,
        reference=dense[0].id if dense else None,
        int8=int8.id if int8 else None,
    )

    def reference_for(item: Measured) -> np.ndarray | None:
        is_same = bool(dense) and item.name == dense[0].name and item.precision == dense[0].precision
        return logits[dense[0].id] if dense and not is_same else None

    if names:
        quality.class_rows = class_rows(labels, names)
        for item in forms:
            pair = logits[item.id], labels
            quality.classes[item.name] = class_scores(*pair, names, reference_for(item))
            quality.calibration[item.name] = calibration(*pair, _temperature(item), reference_for(item))
    quality.slices = [
        score_part(part, dataset.manifest.metric, logits[served.id], labels, reference_for(served))
        for part in _parts(dataset, split, inputs_file(work / served.name, split))
    ]
    if int8 and dense:
        found = disagreements(logits[int8.id], logits[dense[0].id], labels, names)
        quality.disagreements = _with_texts(found, dataset, split)
        splits = [split, *([UNLABELLED] if dataset.manifest.splits.get(UNLABELLED) else [])]
        quality.drift = [_drift(dataset, name, int8, dense[0], work) for name in splits]
    return quality


def _forms(benchmark: Benchmark, served: Measured) -> list[Measured]:
    """Returns one form of each model: the recommended one, or else the fastest accurate one."""
    names, size = dict.fromkeys(item.name for item in benchmark.candidates), benchmark.batch_sizes[0]
    return [served if name == served.name else fastest(benchmark.accurate_forms(name), size) for name in names]


def _int8_form(benchmark: Benchmark, served: Measured) -> Measured | None:
    """Returns the INT8 form to serve, or else the best one at the smallest batch size."""
    if served.role == "int8":
        return served
    return best_int8(benchmark, benchmark.batch_sizes[0]) if benchmark.of("int8") else None


def _load(work: Path, identifier: str, split: str) -> np.ndarray:
    logits: np.ndarray = np.load(logits_file(work, identifier, split))
    return logits


def _temperature(item: Measured) -> float | None:
    if not item.path:
        return None
    folder = Path(item.path)
    return read_temperature(folder) if (folder / "config.json").is_file() else None


def _parts(dataset: PreparedDataset, split: str, inputs: Path) -> Iterator[Part]:
    yield from by_length(TokenizedSplit.load(inputs).lengths)
    columns = dataset.slices(split)
    for name in columns.column_names:
        yield from by_value(name, columns[name].to_pylist())


def _drift(dataset: PreparedDataset, split: str, int8: Measured, fp32: Measured, work: Path) -> Drift:
    pair = _load(work, int8.id, split), _load(work, fp32.id, split)
    is_multi_label = dataset.manifest.problem_type == "multi_label_classification"
    return drift(split, *pair, dataset.manifest.label_names, multi_label=is_multi_label)


def _with_texts(found: list[Disagreement], dataset: PreparedDataset, split: str) -> list[Disagreement]:
    rows = dataset.split(split).take(np.array([item.row for item in found], np.int64)).to_pylist()
    for item, row in zip(found, rows, strict=True):
        item.text = cut(" / ".join(row[name] for name in ("text", "text_pair") if row.get(name)), _LONGEST_TEXT)
    return found
