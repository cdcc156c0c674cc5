"""In a pipeline of one's own, the settings of a task that trains apply to the pods of its job (KFP 2.15 or newer)."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl, kubernetes
from kfp.dsl.executor import Executor

from compaware.components.distillation.component import distillation
from compaware.components.launch import run
from compaware.pipelines.client import catalog


@dsl.pipeline(name="own")
def own() -> None:
    data = dsl.importer(artifact_uri="s3://b/data", artifact_class=dsl.Dataset)
    teacher = dsl.importer(artifact_uri="s3://b/teacher", artifact_class=dsl.Model)
    soft = dsl.importer(artifact_uri="s3://b/soft", artifact_class=dsl.Artifact)
    task = distillation(dataset=data.output, teacher=teacher.output, soft_labels=soft.output, job={"num_nodes": 2})
    task.set_cpu_limit("16").set_memory_limit("32Gi").set_env_variable("NOTE", "mine")
    kubernetes.add_node_selector(task, "pool", "training")
    kubernetes.add_toleration(task, key="spot", operator="Exists")
    kubernetes.mount_pvc(task, "cache", "/cache")


def test_kfp_is_asked_to_pass_the_settings_of_a_task_to_its_job(tmp_path: Path) -> None:
    compiler.Compiler().compile(own, str(tmp_path / "own.yaml"))
    spec, _ = yaml.safe_load_all((tmp_path / "own.yaml").read_text(encoding="utf-8"))
    component = spec["components"]["comp-distillation"]
    passed = {entry["field"]: entry.get("applyToTask", False) for entry in component["taskConfigPassthroughs"]}
    # The small pod that waits needs the variables and volumes of its task, but not the size and place of the training.
    assert [field for field, to_task in passed.items() if to_task] == ["ENV", "KUBERNETES_VOLUMES"]
    assert {"RESOURCES", "KUBERNETES_NODE_SELECTOR", "KUBERNETES_TOLERATIONS", "KUBERNETES_AFFINITY"} <= passed.keys()
    parameter = component["inputDefinitions"]["parameters"]["task_config"]
    assert parameter["parameterType"] == "TASK_CONFIG" and parameter["isOptional"]


@pytest.mark.parametrize("name", catalog.names())
def test_our_pipelines_have_nothing_that_servers_before_2_15_refuse(name: str) -> None:
    text = (catalog.folder(name) / "pipeline.yaml").read_text(encoding="utf-8")
    assert "taskConfigPassthroughs" not in text and "TASK_CONFIG" not in text


# As the driver of KFP 2.17 fills it in (backend/src/v2/driver/driver.go, TaskConfig, and container.go).
TASK_CONFIG = {
    "affinity": None,
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "nodeSelector": {"pool": "training"},
    "env": [
        {"name": "NOTE", "value": "mine"},
        {"name": "HUB", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}},
        {
            "name": "HF_TOKEN",
            "valueFrom": {"secretKeyRef": {"name": "compaware-hub", "key": "token", "optional": True}},
        },
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
    "volumes": [
        {"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}},
        {"name": "compaware-ca", "configMap": {"name": "compaware-ca", "optional": True}},
    ],
    "volumeMounts": [{"name": "cache", "mountPath": "/cache"}, {"name": "compaware-ca", "mountPath": "/etc/compaware"}],
    "resources": {"limits": {"cpu": "16", "memory": "32Gi", "nvidia.com/gpu": "2"}},
}


def started(config: dict[str, Any] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **job: Any) -> Any:
    """Returns the options of the job that KFP's executor starts with this task configuration."""
    options: list[Any] = []

    def stop(name: str, config: dict[str, Any], wanted: Any, part: str) -> None:
        options.append(wanted)
        raise run.UserError("enough")

    monkeypatch.setattr(run, "run_job", stop)
    artifacts = {
        name: {"artifacts": [{"name": name, "uri": str(tmp_path / name), "type": {"schemaTitle": "system.Artifact"}}]}
        for name in ("dataset", "teacher", "soft_labels", "model", "metrics")
    }
    outputs = {name: artifacts.pop(name) for name in ("model", "metrics")}
    values = {"job": {"launcher": "torchrun", **job}, **({"task_config": config} if config else {})}
    given = {
        "inputs": {"artifacts": artifacts, "parameterValues": json.loads(json.dumps(values))},
        "outputs": {"artifacts": outputs, "outputFile": str(tmp_path / "executor_output.json")},
    }
    with pytest.raises(SystemExit, match="enough"):
        Executor(given, distillation.python_func).execute()
    return options[0]


def test_a_job_has_the_settings_of_its_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = started(TASK_CONFIG, tmp_path, monkeypatch, num_nodes=2, cpu_per_node="8")
    assert (options.num_nodes, options.cpu_per_node, options.memory_per_node) == (2, "8", "32Gi"), "the run's own first"
    assert (options.gpus_per_node, options.processes_per_node) == (2, 2)
    assert options.node_selector == {"pool": "training"} and options.tolerations[0]["key"] == "spot"
    assert options.env == {"NOTE": "mine"} and options.volumes == {"cache": "/cache"}
    assert {name: item.secret for name, item in options.secret_env.items()} == {"HUB": "hub"}


def test_a_task_without_settings_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = started(None, tmp_path, monkeypatch)
    assert options.cpu_per_node == "4" and options.env == {}
