"""Runs the real command on a small part of the sample corpus; the tests share these runs."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

SMALL = {
    "max_train_rows": 2400,
    "max_validation_rows": 200,
    "max_test_rows": 10,
    "max_length_tokens": 32,
    "batch_size": 16,
    "temperature": 2.0,
    "benchmark_batch_sizes": [1, 4],
    "benchmark_rounds": 3,
    "benchmark_time_budget_s": 1,
    "benchmark_floor": [],
}
TEACHER = {
    "teacher_config": {
        "model_type": "bert",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    },
    "fine_tune_teacher_if_needed": True,
    "teacher_epochs": 2,
    "teacher_learning_rate": 3e-3,
}
STUDENT = {"student_layers": [0], "student_epochs": 1, "student_learning_rate": 1e-3}
# A quick quantization with a loose limit: it is chance whether such a small model loses less than half a point.
INT8 = {"quantization_mode": "ptq", "calibration_rows": 16, "max_metric_loss": 0.5}


@dataclass
class Finished:
    """Result of a command."""

    code: int
    out: str
    err: str
    output: Path


def compaware(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command line, outside a terminal."""
    command = [sys.executable, "-m", "compaware.pipelines.client.main", *words]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def run_pipeline(pipeline: str, folder: Path, **parameters: Any) -> Finished:
    """Writes a config file and runs a pipeline with it into `folder/output`."""
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(parameters), encoding="utf-8")
    output = folder / "output"
    done = compaware("run", pipeline, "--config", str(config), "--output", str(output))
    return Finished(done.returncode, done.stdout, done.stderr, output)


@pytest.fixture(scope="session")
def two_step_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which distillation_then_quantization runs."""
    return tmp_path_factory.mktemp("distillation_then_quantization")


def run_two_steps(folder: Path, **more: Any) -> Finished:
    """Runs the pipeline of `make run`, without other inputs, and publishes into `folder/published`."""
    own = {**SMALL, **TEACHER, **STUDENT, **INT8, "publish_uri": str(folder / "published"), **more}
    return run_pipeline("distillation_then_quantization", folder, **own)


@pytest.fixture(scope="session")
def two_step_run(two_step_folder: Path) -> Finished:
    """The first run of distillation_then_quantization."""
    return run_two_steps(two_step_folder)
