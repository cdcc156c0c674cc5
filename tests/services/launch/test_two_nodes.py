"""A PyTorchJob's pods as real processes on two hosts: they train together and survive the loss of a host.

TWO_NODES names a command: `$TWO_NODES run --names A,B -- COMMAND` runs COMMAND on two hosts that reach only each other,
with their number in NODE_RANK. The hosts share one disk, whose file:// URIs stand for an object store; their other
disks are local.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from compaware.components.core.base.summary import Summary
from compaware.components.launch import JobOptions, run_job
from compaware.components.launch.job import Job
from compaware.components.launch.pods import WORK_FOLDER
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.storage.summaries import load_uploaded_summary
from tests.services.launch import host
from tests.tiny import make_dataset, make_model

COMPONENT = "sparsity_aware_training"
NAME = "two-nodes-job"
# Accuracies of the same training with different seeds differ by up to this.
NOISE = 0.05
_TIMEOUT_S = 900
pytestmark = pytest.mark.timeout(2 * _TIMEOUT_S)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Data and an untrained dense model, by URI."""
    folder = tmp_path_factory.mktemp("inputs")
    dataset = make_dataset(folder / "data", 512, 128)
    model = make_model(folder / "model", dataset)
    return {"dataset": dataset.path.as_uri(), "model": model.as_uri()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, inputs: dict[str, str]) -> Summary:
    """The result of a training with one process."""
    folder = tmp_path_factory.mktemp("alone")
    output = (folder / "out").as_uri()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        run_job(COMPONENT, config(output, inputs), JobOptions(launcher="torchrun"))
    return load_uploaded_summary(output)


def config(output: str, inputs: dict[str, str]) -> dict[str, Any]:
    """A training of a few seconds with checkpoints at a URI, as `run_component` configures it."""
    return {
        **inputs,
        "output": output,
        "work_uri": f"{output}.work",
        "existing_output": "resume",
        "target_sparsity": 0.5,
        "epochs": 8,
        "batch_size": 8,
        "learning_rate": 3e-3,
        "max_length_tokens": 16,
        "checkpoint_minutes": 0.05,
    }


def operator_variables(manifest: dict[str, Any], names: list[str], rank: int) -> dict[str, str]:
    """The variables that the training-operator (1.8) adds to a pod's container."""
    spec = manifest["spec"]
    [port] = {
        port["containerPort"]
        for replica in spec["pytorchReplicaSpecs"].values()
        for container in replica["template"]["spec"]["containers"]
        for port in container["ports"]
    }
    if elastic := spec.get("elasticPolicy"):
        return {
            "PET_RDZV_ENDPOINT": f"{names[0]}:{port}",
            "PET_RDZV_BACKEND": elastic["rdzvBackend"],
            "PET_NNODES": f"{elastic['minReplicas']}:{elastic['maxReplicas']}",
            "PET_MAX_RESTARTS": str(elastic["maxRestarts"]),
        }
    master = {"MASTER_ADDR": names[0], "MASTER_PORT": str(port)}
    return {
        **master,
        **{f"PET_{name}": value for name, value in master.items()},
        "WORLD_SIZE": str(len(names) * int(spec["nprocPerNode"])),
        "RANK": str(rank),
        "PET_NODE_RANK": str(rank),
        "PET_NPROC_PER_NODE": spec["nprocPerNode"],
        "PET_NNODES": str(len(names)),
    }


def train_on_two_hosts(
    folder: Path, values: dict[str, Any], lost: Sequence[int] = (), gone_when: Path | None = None, **options: Any
) -> str:
    """Runs a PyTorchJob's pods on two hosts, with simulated operator and kubelet, and returns the output of both.

    Args:
        folder: Folder on the shared disk.
        values: The component's configuration.
        lost: Hosts that are killed once the file `gone_when` exists; they restart with empty disks.
        gone_when: See `lost`.
        options: Options of the job.
    """
    if not os.environ.get("TWO_NODES"):
        pytest.fail("set TWO_NODES: these tests need two hosts (see tests/services/launch)", pytrace=False)
    manifest = PYTORCHJOB.manifest(Job(NAME, COMPONENT, values, JobOptions(num_nodes=2, cpu_per_node="1", **options)))
    pods = [
        (f"{NAME}-{kind.lower()}-{index}", replica["template"]["spec"]["containers"][0])
        for kind, replica in manifest["spec"]["pytorchReplicaSpecs"].items()
        for index in range(replica["replicas"])
    ]
    names = [name for name, _ in pods]
    disk = folder / "disk"
    disk.mkdir()
    for rank, (_, container) in enumerate(pods):
        variables = {item["name"]: item["value"] for item in container["env"] if "value" in item}
        local = {name: value.replace(WORK_FOLDER, str(disk)) for name, value in variables.items()}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        image = {"PATH": path, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        pod = {"command": container["command"], "env": image | local | operator_variables(manifest, names, rank)}
        (folder / f"pod-{rank}.json").write_text(json.dumps(pod), encoding="utf-8")
    start = f'exec "$0" {host.__file__} {folder}/pod-$NODE_RANK.json {disk}'
    for rank in lost:
        start = f"[ $NODE_RANK != {rank} ] || set -- {shlex.quote(str(gone_when))}; {start}"
    start += ' "$@"'
    two_nodes = [os.environ["TWO_NODES"], "run", "--timeout", str(_TIMEOUT_S), "--names", ",".join(names), "--"]
    file = folder / "log"
    with file.open("w", encoding="utf-8") as log:
        ended = subprocess.run([*two_nodes, "sh", "-c", start, sys.executable], stdout=log, stderr=log, check=False)
    output = file.read_text(encoding="utf-8")
    assert ended.returncode == 0, output[-6000:]
    return output


def assert_same(result: Summary, expected: Summary) -> None:
    assert result.metrics["sparsity"] == pytest.approx(expected.metrics["sparsity"])
    assert expected.metrics["sparse_accuracy"] > 0.9
    assert result.metrics["sparse_accuracy"] == pytest.approx(expected.metrics["sparse_accuracy"], abs=NOISE)


def test_two_hosts_give_the_result_of_one_process(tmp_path: Path, inputs: dict[str, str], alone: Summary) -> None:
    output = (tmp_path / "out").as_uri()
    train_on_two_hosts(tmp_path, config(output, inputs))
    result = load_uploaded_summary(output)
    assert result.facts["training"]["processes"] == 2
    assert_same(result, alone)


# The rendezvous is on host 0.
@pytest.mark.parametrize(
    ("lost", "options"),
    [([1], {}), ([0, 1], {}), ([1], {"min_nodes": 1}), ([0], {"min_nodes": 1})],
    ids=["worker", "all", "elastic-worker", "elastic-rendezvous"],
)
def test_training_resumes_from_a_checkpoint_after_a_lost_host_restarts(
    tmp_path: Path, inputs: dict[str, str], alone: Summary, lost: list[int], options: dict[str, Any]
) -> None:
    output = tmp_path / "out"
    values = config(output.as_uri(), inputs)
    # During the training, and during the upload of a checkpoint.
    log = train_on_two_hosts(tmp_path, values, lost, tmp_path / "out.work" / "checkpoint-64", **options)
    assert log.count("host: killed") == len(lost)
    assert "resuming from checkpoint-" in log
    assert_same(load_uploaded_summary(output.as_uri()), alone)
    assert not (tmp_path / "out.work").exists()
