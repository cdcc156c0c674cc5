"""The pods of KFP's tasks pass Pod Security `restricted`, and have what the site sets for them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from compaware.pipelines.client import catalog
from compaware.pipelines.client.specs import compile_pipeline
from tests.pod_security import violations

# A pod of a task on KFP 2.17.0, cut to what Pod Security checks; the task had no security context of its own.
RECORDED = Path(__file__).parent / "recorded" / "pod-of-a-task.json"


def executors(text: str) -> dict[str, dict[str, Any]]:
    """Returns the Kubernetes settings of each executor of a compiled pipeline."""
    _, platform = yaml.safe_load_all(text)
    return platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def task_pod(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the pod that KFP 2.17 makes (backend/src/v2/driver/k8s.go, extendPodSpecPatch: the security context)."""
    pod = json.loads(RECORDED.read_text(encoding="utf-8"))
    [main] = [container for container in pod["containers"] if container["name"] == "main"]
    main["securityContext"] |= settings.get("securityContext", {})
    return pod


def test_a_task_without_a_security_context_is_refused() -> None:
    assert violations(task_pod({})) == ["main: runAsNonRoot != true"]


@pytest.mark.parametrize("name", catalog.names())
def test_every_task_passes_the_restricted_policy_and_leaves_the_user_to_the_cluster(name: str) -> None:
    tasks = executors(compile_pipeline(name, notify=True))
    assert "exec-notify" in tasks
    for settings in tasks.values():
        assert violations(task_pod(settings)) == []
        assert settings["securityContext"] == {"runAsNonRoot": True}


def test_the_autoscaler_does_not_move_a_task() -> None:
    for settings in executors(compile_pipeline("distillation", notify=True)).values():
        annotations = settings["podMetadata"]["annotations"]
        assert annotations == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
