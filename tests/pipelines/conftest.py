"""Runs the real command on a small part of the sample corpus; the tests share these runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
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
# A checkpoint before the first line of progress, which is about step 10.
CHECKPOINTS = {"save_strategy": "steps", "save_steps": 8, "eval_strategy": "steps", "eval_steps": 8}
COMMAND = [sys.executable, "-m", "compaware.pipelines.client.main"]


@dataclass
class Finished:
    """Result of a command."""

    code: int
    out: str
    err: str
    output: Path


@dataclass
class Killed:
    """Result of a command that was ended by a signal, and the processes of its stages that did not end."""

    code: int
    survivors: list[psutil.Process]


def compaware(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the command line, outside a terminal."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def run_words(pipeline: str, folder: Path, parameters: dict[str, Any]) -> list[str]:
    """Writes a config file and returns the words of a command that runs a pipeline with it into `folder/output`."""
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(parameters), encoding="utf-8")
    return ["run", pipeline, "--config", str(config), "--output", str(folder / "output")]


def run_pipeline(pipeline: str, folder: Path, **parameters: Any) -> Finished:
    """Runs a pipeline into `folder/output`."""
    done = compaware(*run_words(pipeline, folder, parameters))
    return Finished(done.returncode, done.stdout, done.stderr, folder / "output")


def kill_pipeline(
    pipeline: str, folder: Path, parameters: dict[str, Any], lines: Sequence[str], number: signal.Signals
) -> Killed:
    """Runs a pipeline and sends a signal to the command once it has printed these lines, in this order."""
    words = run_words(pipeline, folder, parameters)
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        for expected in lines:
            assert any(expected in line for line in running.stdout)
        stages = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(number)
        running.communicate(timeout=60)
    return Killed(running.returncode, psutil.wait_procs(stages, timeout=60)[1])


@pytest.fixture(scope="session")
def two_step_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which distillation_then_quantization runs."""
    return tmp_path_factory.mktemp("distillation_then_quantization")


def two_steps(folder: Path) -> dict[str, Any]:
    """Returns parameters of the pipeline of `make run`, which publishes into `folder/published`."""
    student = {**STUDENT, "student_training_arguments": CHECKPOINTS}
    return {**SMALL, **TEACHER, **student, **INT8, "publish_uri": str(folder / "published")}


def run_two_steps(folder: Path, **more: Any) -> Finished:
    """Runs the pipeline of `make run`, without other inputs."""
    return run_pipeline("distillation_then_quantization", folder, **two_steps(folder), **more)


@pytest.fixture(scope="session")
def two_step_kills(two_step_folder: Path) -> tuple[Killed, Killed]:
    """distillation_then_quantization, ended by SIGTERM while it prepares the data, and by SIGKILL while it distils."""
    run = ("distillation_then_quantization", two_step_folder, two_steps(two_step_folder))
    terminated = kill_pipeline(*run, ["[2/8] data_prep"], signal.SIGTERM)
    return terminated, kill_pipeline(*run, ["[4/8] distillation", "progress: step"], signal.SIGKILL)


@pytest.fixture(scope="session")
def two_step_run(two_step_kills: tuple[Killed, Killed], two_step_folder: Path) -> Finished:
    """The first run of distillation_then_quantization that finishes; it resumes the killed ones."""
    assert not (two_step_folder / "output" / "report.html").exists()
    return run_two_steps(two_step_folder)
