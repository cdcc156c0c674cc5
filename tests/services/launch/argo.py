"""Plays KFP and Argo for one run: its Workflow, the pods of one task's launchers, and the signals that they get.

The objects have the shape of those that KFP 2.17 and Argo 4.0.5 create, without what the launcher does not read.
"""

import contextlib
import signal
import subprocess
from typing import Any

from kubernetes.client.exceptions import ApiException

from compaware.components import images
from compaware.components.launch.api import Api
from tests.services.launch.waiting import eventually

NAME = "compaware-distillation-bgqzx"
RUN_ID = "5dd724c9-63ea-4761-af72-90fabef60868"
# argo-workflows 4.0.5, manifests/base/crds/minimal/argoproj.io_workflows.yaml.
_OBJECT = {"type": "object", "x-kubernetes-map-type": "atomic", "x-kubernetes-preserve-unknown-fields": True}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "workflows.argoproj.io"},
    "spec": {
        "group": "argoproj.io",
        "names": {"kind": "Workflow", "listKind": "WorkflowList", "plural": "workflows", "singular": "workflow"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"metadata": {"type": "object"}, "spec": _OBJECT, "status": _OBJECT},
                        "required": ["metadata", "spec"],
                    }
                },
            }
        ],
    },
}
# The longest time between SIGTERM and SIGKILL of a launcher. launcher-v2 ends at once by the signal that its process
# group gets, and argoexec looks for its end every second (argo-workflows 4.0.5, osspecific: Kill, Wait).
_SECONDS_TO_LIVE = 1.0


class Run:
    """A run with one task, whose launchers are processes of the tests."""

    def __init__(self, api: Api):
        self._api = api
        self.path = f"/apis/argoproj.io/v1alpha1/namespaces/{api.namespace}/workflows/{NAME}"
        self._pods = f"/api/v1/namespaces/{api.namespace}/pods"
        with contextlib.suppress(ApiException):
            api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
        workflow = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": NAME, "labels": {"pipeline/runid": RUN_ID}},
            "spec": {"serviceAccountName": "pipeline-runner", "entrypoint": "entrypoint"},
            "status": {"phase": "Running", "startedAt": "2026-11-30T10:42:23Z"},
        }
        self._workflow = eventually(lambda: self._create(workflow))

    def _create(self, workflow: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return self._api.create(self.path.rpartition("/")[0], workflow)
        except ApiException as error:
            if error.status == 404:  # The definition is not yet served.
                return None
            raise

    def create_pod(self, attempt: int = 0) -> str:
        """Creates the pod of a try of the task."""
        owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": NAME}
        owner |= {"uid": self._workflow["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}
        name = f"{NAME}-system-container-impl-{attempt}"
        metadata = {
            "name": name,
            "labels": {"pipeline/runid": RUN_ID, "workflows.argoproj.io/workflow": NAME},
            "annotations": {
                "workflows.argoproj.io/node-name": f"{NAME}(0).root(0).distillation(0).executor({attempt})"
            },
            "ownerReferences": [owner],
        }
        spec = {"containers": [{"name": "main", "image": images.LAUNCHER}], "automountServiceAccountToken": False}
        self._api.create(self._pods, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        return name

    def has_pod(self, name: str) -> bool:
        """Whether a pod exists; Argo repeats the task of a pod that does not."""
        return name in [pod["metadata"]["name"] for pod in self._api.get(self._pods)["items"]]

    def terminate(self) -> None:
        """Terminates the run (kubeflow/pipelines, resource_manager.go: TerminateWorkflow)."""
        self._api.patch(self.path, {"spec": {"activeDeadlineSeconds": 0}})

    def delete(self) -> None:
        """Deletes the run."""
        self._api.delete(self.path)


def expire(api: Api, path: str) -> None:
    """Deletes a lease whose time is over, as Kubernetes does.

    The test cluster runs neither of the two controllers: at `activeDeadlineSeconds` the Job fails (kubernetes,
    pkg/controller/job/job_controller.go: pastActiveDeadline), and after `ttlSecondsAfterFinished` it is deleted
    (pkg/controller/ttlafterfinished/ttlafterfinished_controller.go: processJob).
    """
    api.delete(path, propagationPolicy="Foreground")


def interrupt(launcher: "subprocess.Popen[str]") -> None:
    """Ends a launcher as argoexec does: SIGTERM, and SIGKILL within a second."""
    launcher.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        launcher.wait(_SECONDS_TO_LIVE)
    launcher.kill()
