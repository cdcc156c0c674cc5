"""One benchmark of four real, tiny models, shared by the tests that look at it."""

import shutil
from pathlib import Path

import pytest
import torch

from compaware.components.benchmark import measure
from compaware.components.benchmark.config import BenchmarkConfig
from compaware.components.core.base.summary import Summary
from compaware.components.core.base.validation import validate
from compaware.components.core.data.dataset import PreparedDataset
from compaware.components.core.data.text import Collator, tokenize
from compaware.components.core.data.tokenizer import load_tokenizer
from compaware.components.core.int8.convert import convert_graph
from compaware.components.core.int8.fake_quantized import FakeQuantizedClassifier
from compaware.components.core.int8.save import save_int8_files
from compaware.components.core.models.load import load_classifier, save_classifier
from compaware.components.core.models.pairing import max_sequence_tokens
from compaware.components.core.stage.workspace import Workspace, run_stage
from tests.components.benchmark.synthetic import FACTS
from tests.tiny import make_dataset, make_model


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return make_dataset(
        tmp_path_factory.mktemp("benchmark") / "dataset", validation_rows=90, test_rows=60, unlabelled_rows=20
    )


@pytest.fixture(scope="session")
def models(dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a teacher, a student, a sparse and an INT8 model."""
    root = tmp_path_factory.mktemp("models")
    teacher = make_model(root / "teacher", dataset, seed=1, num_hidden_layers=3)
    student = make_model(root / "student", dataset, seed=2)
    return {
        "teacher": teacher,
        "student": student,
        "sparse": _sparse(student, root / "sparse"),
        "int8": _int8(student, root / "int8", dataset),
    }


@pytest.fixture(scope="session")
def benchmark_run(
    dataset: PreparedDataset, models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Summary]:
    """Output folder and summary of a whole run; only the student is converted for all runtimes, to save time.

    The logits are kept in a folder `logits` beside the output.
    """
    runtimes = {"teacher": ["torch"], "sparse": ["torch"], "student": None, "int8": None}
    output = tmp_path_factory.mktemp("run") / "results"
    config = validate(
        BenchmarkConfig,
        {
            "output": str(output),
            "dataset": str(dataset.path),
            "candidates": [
                {"name": role, "role": role, "folder": str(folder), "runtimes": runtimes[role]}
                for role, folder in models.items()
            ],
            "batch_sizes": [1, 8],
            "rounds": 4,
            "time_budget_s": 3.0,
            "threads": 1,
            "max_length_tokens": 32,
            "floor": ["tfidf", "static"],
        },
    )

    def run(workspace: Workspace) -> Summary:
        summary = measure.run(config, workspace)
        logits = output.with_name("logits")
        logits.mkdir()
        for file in workspace.work.glob("*.npy"):
            shutil.copy(file, logits)
        return summary

    return output, run_stage(config, run)


def _sparse(student: Path, folder: Path) -> Path:
    model = load_classifier(student)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "encoder" in name and weight.ndim == 2:
                weight[torch.rand_like(weight) < 0.8] = 0.0
    save_classifier(model, load_tokenizer(student), folder)
    return folder


def _int8(student: Path, folder: Path, dataset: PreparedDataset) -> Path:
    tokenizer, model = load_tokenizer(student), load_classifier(student)
    columns = tokenize(dataset.split("validation"), tokenizer, 32)
    quantized = FakeQuantizedClassifier(model)
    quantized(
        **Collator(tokenizer)([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])
    )
    folder.mkdir()
    save_int8_files(convert_graph(quantized.eval().graph), folder, max_sequence_tokens(model.config))
    tokenizer.save_pretrained(folder)
    shutil.copy(student / "config.json", folder)
    Summary(component="quantization", version="0", config={}, metrics={}, facts=FACTS, machine={}).save(folder)
    return folder
