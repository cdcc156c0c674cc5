"""With our template of its init container, the training-operator's pods pass Pod Security `restricted`."""

from typing import Any

import pytest
import yaml

from compaware.components.launch import JobOptions
from compaware.components.launch.job import Job
from compaware.components.launch.pytorchjob import PYTORCHJOB
from tests.manifests.reading import MANIFESTS
from tests.pod_security import violations

FOLDER = MANIFESTS / "training-operator"
# The operator's own template, v1.9.0, pkg/controller.v1/pytorch/initcontainer.go: it has no security settings.
STOCK = {"name": "init-pytorch", "image": "alpine:3.10", "command": ["sh", "-c", "nslookup master"]}


def configured() -> list[dict[str, Any]]:
    """Returns the init containers that the operator makes of our template (Go's text/template, then YAML)."""
    [config_map] = yaml.safe_load_all((FOLDER / "init-container.yaml").read_text(encoding="utf-8"))
    text = config_map["data"]["initContainer.yaml"]
    for name, value in {"InitContainerImage": "alpine:3.10", "MaxTries": "100", "MasterAddr": "job-master-0"}.items():
        assert f"{{{{.{name}}}}}" in text
        text = text.replace(f"{{{{.{name}}}}}", value)
    assert "{{" not in text
    return yaml.safe_load(text)


def worker(init_containers: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    job = Job("distillation-0", "distillation", {}, JobOptions(num_nodes=2, **options))
    pod = PYTORCHJOB.manifest(job)["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]
    return {**pod, "initContainers": init_containers}


@pytest.mark.parametrize("options", [{}, {"run_as_user": None}])
def test_a_worker_with_our_init_container_passes_the_restricted_policy(options: dict[str, Any]) -> None:
    assert "init-pytorch: allowPrivilegeEscalation != false" in violations(worker([STOCK], **options))
    assert violations(worker(configured(), **options)) == []


def test_the_patch_mounts_the_template_where_the_operator_looks() -> None:
    patch = yaml.safe_load((FOLDER / "deployment-patch.yaml").read_text(encoding="utf-8"))["spec"]["template"]["spec"]
    [container], [volume] = patch["containers"], patch["volumes"]
    [mount] = container["volumeMounts"]
    assert container["name"] == "training-operator" and mount["mountPath"] == "/etc/config"
    assert mount["name"] == volume["name"] and volume["configMap"]["name"] == "pytorch-init-container"
