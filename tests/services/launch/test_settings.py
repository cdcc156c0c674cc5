"""The API server keeps what the options set for pods: nothing is refused, and no field is dropped."""

from typing import Any

import pytest

from compaware.components.launch.batchjob import BATCHJOB
from compaware.components.launch.job import JobKind
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.trainjob import RUNTIMES, TRAINJOB, runtime_manifest
from tests.services.launch.conftest import Site

TERM = {"matchExpressions": [{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["c7i.8xlarge"]}]}
OPTIONS: dict[str, Any] = {
    "num_nodes": 1,
    "gpus_per_node": 2,
    "ephemeral_storage": "50Gi",
    "node_selector": {"pool": "training"},
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]}}},
    "topology_spread": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}],
    "priority_class": "batch",
    "volumes": {"cache": "/cache"},
    "run_as_user": None,
}


def lost(sent: Any, kept: Any, path: str = "") -> list[str]:
    """Returns the paths of what was sent and is not in the object that the server keeps."""
    if isinstance(sent, dict):
        kept = kept if isinstance(kept, dict) else {}
        return [
            problem
            for key, value in sent.items()
            for problem in (lost(value, kept[key], f"{path}.{key}") if key in kept else [f"{path}.{key}"])
        ]
    if isinstance(sent, list):
        pairs = zip(sent, kept, strict=True)
        return [problem for index, pair in enumerate(pairs) for problem in lost(*pair, f"{path}[{index}]")]
    return []


@pytest.mark.parametrize("kind", [PYTORCHJOB, TRAINJOB, BATCHJOB], ids=lambda kind: kind.title)
def test_no_setting_of_a_job_is_dropped(site: Site, kind: JobKind) -> None:
    job = site.job(**OPTIONS)
    collection = kind.path(site.direct.namespace)
    objects = {collection: kind.manifest(job)}
    if kind is TRAINJOB:
        objects[collection.replace(kind.plural, RUNTIMES)] = runtime_manifest(job)
    for path, sent in objects.items():
        kept = site.direct.create(path, sent)
        # Before Kubernetes 1.23, a batch Job has no time to live.
        assert set(lost(sent["spec"], kept["spec"])) <= {".ttlSecondsAfterFinished"}
