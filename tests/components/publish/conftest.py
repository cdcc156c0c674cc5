"""A tiny accurate model, variants of it, and the other artifacts of a pipeline."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from compaware.components.benchmark.trivial import Trivial
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.evaluation.calibration import save_temperature
from compaware.components.core.int8.convert import convert_graph
from compaware.components.core.int8.fake_quantized import FakeQuantizedClassifier
from compaware.components.core.int8.save import save_int8_files
from compaware.components.core.models.load import load_classifier, save_classifier
from compaware.components.core.models.pairing import max_sequence_tokens
from compaware.components.core.stage.workspace import run_stage
from compaware.components.publish import publish
from compaware.components.publish.config import PublishConfig
from tests.components.benchmark.synthetic import benchmark, family
from tests.tiny import make_dataset, make_model

Batch = dict[str, torch.Tensor]
Publish = Callable[..., Summary]


@dataclass(frozen=True)
class Folders:
    """Folders that a pipeline would have written."""

    dataset: PreparedDataset
    teacher: Path
    good: Path
    as_good: Path
    bad: Path
    int8: Path
    results: Path


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """An accurate student, an equally accurate one with other weights, a wrong one, and an INT8 model."""
    root = tmp_path_factory.mktemp("publish")
    dataset = make_dataset(root / "dataset", test_rows=40)
    good = _trained(make_model(root / "good", dataset), dataset)
    results = root / "results"
    results.mkdir()
    test = {"teacher": 0.89, "student": 0.88, "int8": 0.875, "sparse": 0.86}
    figures = benchmark(family().candidates, test=test)
    figures.trivial = Trivial(score=0.5, constant={"student_torch": "'negative'"})
    (results / "benchmark.json").write_text(figures.model_dump_json(), encoding="utf-8")
    (results / "report.html").write_text("<html>report</html>", encoding="utf-8")
    _summary(dataset.path, "data_prep", {"task": "custom", "data": "reviews.csv"})
    folders = Folders(
        dataset=dataset,
        teacher=_copy(good, root / "teacher", 1.0),
        good=good,
        as_good=_copy(good, root / "as_good", 1.01),
        bad=_copy(good, root / "bad", -1.0),
        int8=_int8(good, root / "int8", dataset),
        results=results,
    )
    _summary(folders.teacher, "teacher_check", {"teacher": "someone/bert-reviews", "epochs": 3.0})
    for student in (folders.good, folders.as_good, folders.bad):
        _summary(student, "distillation", {"student_layers": [0], "temperature": 2.0, "dataset": str(dataset.path)})
    _summary(folders.int8, "quantization_aware_training", {"mode": "auto"}, {"onnxruntime_agreement": 0.99})
    return folders


@pytest.fixture
def publish_model(folders: Folders, tmp_path: Path) -> Publish:
    """Publishes one of the models as the component does, with a new record folder each time."""
    runs = iter(range(100))

    def run(model: Path, prefix: Path | str, **values: Any) -> Summary:
        config = validate(
            PublishConfig,
            {
                "output": tmp_path / f"record-{next(runs)}",
                "publish_uri": str(prefix),
                "dataset": folders.dataset.path,
                "teacher": folders.teacher,
                "model": model,
                "results": folders.results,
                "max_length_tokens": 32,
            }
            | values,
        )
        return run_stage(config, lambda workspace: publish.run(config, workspace))

    return run


def _summary(folder: Path, component: str, config: dict[str, Any], metrics: dict[str, float] | None = None) -> None:
    Summary(component=component, version="0", config=config, metrics=metrics or {}, facts={}, machine={}).save(folder)


def _batch(folder: Path, dataset: PreparedDataset) -> Batch:
    texts = dataset.split("train")["text"].to_pylist()
    return dict(load_tokenizer(folder)(texts, padding=True, return_tensors="pt"))


def _trained(folder: Path, dataset: PreparedDataset) -> Path:
    """Fits the training split in a few steps; one word decides each sentence."""
    torch.manual_seed(0)
    model, batch = load_classifier(folder).train(), _batch(folder, dataset)
    labels = torch.tensor(dataset.labels("train"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
    save_classifier(model, load_tokenizer(folder), folder)
    return folder


def _copy(source: Path, folder: Path, head: float) -> Path:
    """Copies a model and multiplies its head's weights and bias; a negative factor swaps the labels."""
    shutil.copytree(source, folder)
    model = load_classifier(folder)
    with torch.no_grad():
        model.classifier.weight.mul_(head)
        model.classifier.bias.mul_(head)
    model.save_pretrained(folder)
    return folder


def _int8(source: Path, folder: Path, dataset: PreparedDataset) -> Path:
    model = load_classifier(source)
    quantized = FakeQuantizedClassifier(model)
    quantized(**_batch(source, dataset))
    folder.mkdir()
    save_int8_files(convert_graph(quantized.eval().graph), folder, max_sequence_tokens(model.config))
    load_tokenizer(source).save_pretrained(folder)
    shutil.copy(source / "config.json", folder)
    save_temperature(folder, 2.0)
    return folder
