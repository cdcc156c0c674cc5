"""Trainings as their pods run them: a fresh interpreter under torchrun, all that is read and written behind URIs.

All trainings are gone on with by the same code, so one is killed here, and another run with more memory resumes it;
core/test_training.py kills a distillation. The other components run in interpreters of their own under tests/pipelines.
"""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from minio import Minio
from pyarrow import csv

from compaware.components.core.base.errors import UserError
from compaware.components.launch import attempt_component, run
from compaware.components.launch.earlier import Run
from compaware.components.storage import fetch, find, upload
from tests.components.storage.conftest import KEYS, s3_server
from tests.tiny import SMALL_BERT, sentiment_rows

TRAINED = {"epochs": 1, "batch_size": 16, "max_length_tokens": 16, "checkpoint_minutes": 0, "precision": "fp32"}


@dataclass
class Pods:
    """A store, and what pods do with it.

    Attributes:
        root: For whatever is not in the store.
        bucket: URI of a bucket.
        environment: Variables of all pods.
        count: Pods so far; each has a disk of its own.
    """

    root: Path
    bucket: str
    environment: dict[str, str]
    count: int = field(default=0)

    def start(self, component: str, config: dict[str, Any], processes: int | None = None) -> "subprocess.Popen[str]":
        """Starts a pod on an empty disk: that of a job where `processes` are given, else that of a task."""
        self.count += 1
        disk = self.root / f"pod-{self.count}"
        disk.mkdir()
        variables = {
            "COMPAWARE_CONFIG": json.dumps({"existing_output": "resume", **config}),
            "PET_NPROC_PER_NODE": str(processes),
            "HOME": str(disk),
            "XDG_CACHE_HOME": str(disk / "cache"),
        }
        worker = "compaware.components.launch.worker"
        return subprocess.Popen(
            [sys.executable, "-m", *([worker, component] if processes else [f"compaware.components.{component}"])],
            env={**os.environ, **self.environment, **variables},
            cwd=disk,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            umask=0o022,
            text=True,
        )

    def run(self, component: str, config: dict[str, Any], processes: int | None = None) -> str:
        """Runs a pod to its end; gives its log."""
        pod = self.start(component, config, processes)
        log, _ = pod.communicate(timeout=300)
        assert pod.returncode == 0, log
        assert "Traceback" not in log
        assert f"{component} finished: {config['output']}" in log
        assert list((self.root / f"pod-{self.count}").glob("cache/compaware/runs/*")) == []
        return log

    def kill(self, component: str, config: dict[str, Any], processes: int) -> None:
        """Runs a pod until its second checkpoint is in the store, and kills it without a warning."""
        checkpoints = 0
        with self.start(component, config, processes) as pod:
            assert pod.stdout is not None
            for line in pod.stdout:
                checkpoints += line.rstrip().endswith(" s") and "uploaded" in line and "checkpoints.json" in line
                if checkpoints == 2:
                    break
            ranks = psutil.Process(pod.pid).children(recursive=True)
            pod.kill()
            assert psutil.wait_procs(ranks, timeout=60)[1] == []
        assert checkpoints == 2


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pods]:
    with s3_server() as host:
        Minio(host, *KEYS, secure=False).make_bucket("bucket")
        variables = {
            "S3_ENDPOINT": f"http://{host}",
            "AWS_ACCESS_KEY_ID": KEYS[0],
            "AWS_SECRET_ACCESS_KEY": KEYS[1],
            "OMP_NUM_THREADS": "1",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            yield Pods(tmp_path_factory.mktemp("pods"), "s3://bucket", variables)


def test_trainings_work_in_their_pods_and_outlive_them(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, disk = pods.bucket, pods.root / "claim"
    data = f"{bucket}/data"
    student, sparse, int8 = f"{bucket}/student", f"file://{disk}/sparse", f"file://{disk}/int8"

    for name, rows in (("train", 192), ("validation", 48)):
        csv.write_csv(pa.table(sentiment_rows(rows, rows)), pods.root / f"{name}.csv")
        upload(pods.root / f"{name}.csv", f"{bucket}/reviews/{name}.csv")
    pods.run("data_prep", {"output": data, "data": f"{bucket}/reviews"})

    teaching = {"teacher_config": SMALL_BERT, "fine_tune_if_needed": True, "dataset": data}
    teaching |= {**TRAINED, "epochs": 3, "learning_rate": 0.01}
    logs: list[str] = []

    def teach(run_id: str, job: Callable[..., Any], **options: str) -> dict[str, str]:
        """Runs teacher_check in a run of a pipeline whose jobs are done by `job`."""
        root = f"{bucket}/v2/artifacts/compaware-distillation/{run_id}/teacher-check/0a"
        outputs = {"output": f"{root}/model", "soft_labels_output": f"{root}/soft_labels"}
        monkeypatch.setattr(run, "_current_run", lambda: Run(run_id, "kubeflow", lambda _: False))
        monkeypatch.setattr(run, "run_job", lambda name, config, *_: logs.append(job(name, config, 2) or ""))
        two = {"launcher": "pytorchjob", "processes_per_node": 2, **options}
        attempt_component("teacher_check", {**teaching, **outputs}, two)
        return outputs

    with pytest.raises(UserError, match="is not complete"):
        teach("first", pods.kill)
    teach("second", pods.run, memory_per_node="64Gi")
    assert "resuming from checkpoint-" in logs.pop()
    assert find(f"{bucket}/v2/artifacts/compaware-work", "checkpoints.json") == []
    teacher, soft = teach("third", pytest.fail, queue_name="night").values()
    distilling = {"output": student, "dataset": data, "teacher": teacher, "soft_labels": soft, "student_layers": [0]}
    pods.run("distillation", {**distilling, **TRAINED, "work_uri": f"{student}.work"}, 1)
    assert find(f"{student}.work", "checkpoints.json") == []
    shared = {"dataset": data, "model": student, **TRAINED}
    pruning = {"output": sparse, "target_sparsity": 0.5, "soft_labels": soft, "work_uri": f"{sparse}.work"}
    pods.run("sparsity_aware_training", {**shared, **pruning}, 1)
    quantizing = {"output": int8, "mode": "qat", "max_metric_loss": 0.9, "work_uri": f"{int8}.work"}
    pods.run("quantization_aware_training", {**shared, **quantizing}, 1)

    kinds = set()
    for path in disk.rglob("*"):
        kinds.add(path.suffix)
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path
    assert kinds >= {".safetensors", ".onnx", ".xml", ".bin", ".json"}
    assert (fetch(teacher, pods.root / "downloads") / "model.safetensors").is_file()
