"""Models of many families become INT8 and are served by both public runtimes with the answers of the trained graph."""

from pathlib import Path

import numpy as np
import pytest
import torch

from compaware.components.core.dataset import PreparedDataset
from compaware.components.core.int8.convert import convert_graph
from compaware.components.core.int8.export import input_names, max_sequence_tokens
from compaware.components.core.int8.fake_quantized import FakeQuantizedClassifier
from compaware.components.core.int8.ptq import Batch, run_graph
from compaware.components.core.int8.serve import save_forms
from compaware.components.core.int8.statistics import mixed_precision
from compaware.components.core.models import load_classifier, load_tokenizer
from compaware.components.core.runtimes import RuntimeName, open_runtime
from compaware.components.core.text import sorted_batches
from tests.families.models import FAMILIES, make_family
from tests.tiny import make_dataset

RUNTIMES: tuple[RuntimeName, ...] = ("onnxruntime", "openvino")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return make_dataset(tmp_path_factory.mktemp("data"), 256, 48)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_trained_in_int8_and_served(tmp_path: Path, data: PreparedDataset, family: str) -> None:
    model = load_classifier(make_family(family, tmp_path / "fp32", data))
    batches = _batches(tmp_path / "fp32", input_names(model), data)
    trained = FakeQuantizedClassifier(model)
    optimizer = torch.optim.AdamW(trained.parameters(), 3e-3)
    # Until the answers differ from sentence to sentence by more than rounding does.
    for _ in range(20):
        for batch, labels in batches:
            logits = trained(**{name: torch.from_numpy(value) for name, value in batch.items()}).logits
            torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)).backward()
            optimizer.step()
            optimizer.zero_grad()
    graph = convert_graph(trained.eval().graph)
    counted = {row["op_type"]: row for row in mixed_precision(graph)}
    assert all(counted[kind]["int8"] == counted[kind]["total"] > 0 for kind in ("Linear", "Embedding"))
    (tmp_path / "int8").mkdir()
    save_forms(graph, tmp_path / "int8", max_sequence_tokens(model.config))
    expected = np.concatenate([run_graph(graph, batch) for batch, _ in batches])
    for runtime in RUNTIMES:
        predictor = open_runtime(tmp_path / "int8", runtime, "int8", threads=1)
        answers = np.concatenate([predictor.predict(batch) for batch, _ in batches])
        # Without VNNI sums of two products of bytes may saturate, so the numbers are near, not equal.
        margins = (found[:, 1] - found[:, 0] for found in (answers, expected))
        assert np.corrcoef(*margins)[0, 1] > 0.9, runtime


def _batches(folder: Path, names: list[str], data: PreparedDataset) -> list[tuple[Batch, np.ndarray]]:
    """The validation split in batches of different lengths, padded, with its labels."""
    tokenizer = load_tokenizer(folder)
    rows = data.split("validation")
    encoded = dict(tokenizer(rows["text"].to_pylist()))
    encoded.setdefault("token_type_ids", [[0] * len(ids) for ids in encoded["input_ids"]])
    columns = {name: encoded[name] for name in names}
    labels = data.labels("validation")
    return [(batch, labels[rows]) for rows, batch in sorted_batches(columns, 16, tokenizer.pad_token_id)]
