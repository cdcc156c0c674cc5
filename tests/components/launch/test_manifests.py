"""Manifests of jobs: resources, limits and security settings, and checks before they are submitted."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.validation import validate
from compaware.components.launch import JobOptions
from compaware.components.launch.batchjob import BATCHJOB
from compaware.components.launch.checks import check
from compaware.components.launch.job import Job, JobKind, job_name
from compaware.components.launch.kinds import KINDS
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.trainjob import TRAINJOB, runtime_manifest
from tests.pod_security import violations

OWNER = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "run", "uid": "1"}


def make(name: str = "distillation-0123456789", **options: Any) -> Job:
    values = {"num_nodes": 4, "processes_per_node": 2, "cpu_per_node": "8", **options}
    return Job(name, "distillation", {"output": "s3://b/out", "epochs": 1}, JobOptions(**values), (OWNER,))


def manifest_of(kind: JobKind, **options: Any) -> dict[str, Any]:
    return kind.manifest(make(**{"num_nodes": 1 if kind is BATCHJOB else 4, **options}))


def trainer_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """What has the command and the variables of the training container."""
    return manifest["spec"].get("trainer") or pods_of(manifest)[0]["spec"]["containers"][0]


def pytorchjob(**options: Any) -> dict[str, Any]:
    return PYTORCHJOB.manifest(make(**options))


def pod(manifest: dict[str, Any], replica: str = "Worker") -> dict[str, Any]:
    return manifest["spec"]["pytorchReplicaSpecs"][replica]["template"]["spec"]


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


def test_all_restarts_and_times_are_bounded() -> None:
    spec = pytorchjob(max_restarts=2, timeout_hours=1.5, keep_finished_hours=2)["spec"]
    assert spec["runPolicy"] == {
        "cleanPodPolicy": "Running",
        "activeDeadlineSeconds": 5400,
        "ttlSecondsAfterFinished": 7200,
        "backoffLimit": 9,
    }
    assert {replica["restartPolicy"] for replica in spec["pytorchReplicaSpecs"].values()} == {"OnFailure"}


def test_all_restarts_and_times_of_a_batch_job_are_bounded() -> None:
    spec = BATCHJOB.manifest(make(num_nodes=1, max_restarts=2, timeout_hours=1.5, keep_finished_hours=2))["spec"]
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (5400, 7200)
    # The Job controller ends the job at the limit, not above it, and counts drained pods, too.
    assert spec["backoffLimit"] > 2 + 1
    assert spec["template"]["spec"]["restartPolicy"] == "OnFailure"


def test_nodes_are_one_master_and_workers() -> None:
    spec = pytorchjob()["spec"]
    assert {kind: replica["replicas"] for kind, replica in spec["pytorchReplicaSpecs"].items()} == {
        "Master": 1,
        "Worker": 3,
    }
    assert spec["nprocPerNode"] == "2"
    assert list(pytorchjob(num_nodes=1)["spec"]["pytorchReplicaSpecs"]) == ["Master"]


def test_an_elastic_job_has_workers_only_and_knows_its_processes() -> None:
    manifest = pytorchjob(min_nodes=2, max_nodes=6, max_restarts=5)
    policy = {"rdzvBackend": "c10d", "minReplicas": 2, "maxReplicas": 6, "maxRestarts": 5}
    assert manifest["spec"]["elasticPolicy"] == policy
    day = manifest["spec"]["runPolicy"]["activeDeadlineSeconds"] // 300
    assert manifest["spec"]["runPolicy"]["backoffLimit"] > 4 * day, "four nodes may restart all the time"
    assert list(manifest["spec"]["pytorchReplicaSpecs"]) == ["Worker"]
    assert variables(pod(manifest)["containers"][0])["PET_NPROC_PER_NODE"] == "2"
    check(manifest)


def test_pods_have_no_privileges() -> None:
    for replica in ("Master", "Worker"):
        spec = pod(pytorchjob(), replica)
        [container] = spec["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] == 1000
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True and security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}


def pods_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the pod templates in a job's manifest."""
    spec = manifest["spec"]
    if manifest["kind"] == "Job":
        return [spec["template"]]
    if manifest["kind"] == "PyTorchJob":
        return [replica["template"] for replica in spec["pytorchReplicaSpecs"].values()]
    [patch] = spec["runtimePatches"]
    [node] = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    return [node["template"]["spec"]["template"]]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
@pytest.mark.parametrize("options", [{}, {"run_as_user": None}, {"volumes": {"cache": "/cache"}}])
def test_pods_pass_the_restricted_policy(kind: JobKind, options: dict[str, Any]) -> None:
    for template in pods_of(manifest_of(kind, **options)):
        assert violations(template["spec"]) == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_the_cluster_may_assign_the_user_and_the_group(kind: JobKind) -> None:
    for template in pods_of(manifest_of(kind, run_as_user=None)):
        assert template["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert not template["spec"]["containers"][0]["securityContext"].keys() & {"runAsUser", "runAsGroup"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_the_autoscaler_does_not_move_pods_unless_asked_to(kind: JobKind) -> None:
    key = "cluster-autoscaler.kubernetes.io/safe-to-evict"
    for value, options in {"false": {}, "true": {"annotations": {key: "true"}}}.items():
        for template in pods_of(manifest_of(kind, **options)):
            assert template["metadata"]["annotations"][key] == value


def test_cpus_and_memory_are_requests_and_limits() -> None:
    [container] = pod(pytorchjob(memory_per_node="32Gi"))["containers"]
    assert container["resources"]["requests"] == container["resources"]["limits"] == {"cpu": "8", "memory": "32Gi"}
    assert variables(container)["OMP_NUM_THREADS"] == "4"


def test_the_pods_of_a_job_log_to_the_mlflow_run_of_their_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "run-7")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret-of-the-test")
    [container] = pod(pytorchjob())["containers"]
    assert variables(container)["MLFLOW_RUN_ID"] == "run-7"
    assert "secret-of-the-test" not in str(container)


def scheduled(kind: Any, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns a job's pod and the resources of its training container."""
    manifest = manifest_of(kind, **options)
    spec = pods_of(manifest)[0]["spec"]
    trainer = manifest["spec"].get("trainer")
    return spec, trainer["resourcesPerNode"] if trainer else spec["containers"][0]["resources"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_pods_are_where_the_options_put_them(kind: Any) -> None:
    term = {
        "matchExpressions": [{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["c7i.8xlarge"]}]
    }
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    spread = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    selector = {"labelSelector": {"matchLabels": {"app": "mine"}}}
    options = {"affinity": affinity, "topology_spread": [spread, spread | selector], "priority_class": "batch"}
    spec, _ = scheduled(kind, **options)
    assert spec["affinity"] == affinity
    # A TrainJob's patch has no field for these (its CRD of 2.3): they are in the runtime that the launcher creates.
    ranked = runtime_pod(make(**options)) if kind is TRAINJOB else spec
    first, second = ranked["topologySpreadConstraints"]
    assert second == spread | selector and ranked["priorityClassName"] == "batch"
    assert kind is not TRAINJOB or not spec.keys() & {"topologySpreadConstraints", "priorityClassName"}
    labels = pods_of(manifest_of(kind))[0]["metadata"]["labels"]
    assert first["labelSelector"]["matchLabels"].items() <= labels.items()
    plain, _ = scheduled(kind)
    assert not plain.keys() & {"affinity", "topologySpreadConstraints", "priorityClassName"}


def runtime_pod(job: Job) -> dict[str, Any]:
    [node] = runtime_manifest(job)["spec"]["template"]["spec"]["replicatedJobs"]
    return node["template"]["spec"]["template"]["spec"]


def test_a_named_runtime_does_not_take_a_topology_spread() -> None:
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    with pytest.raises(UserError, match="topology_spread has no effect with runtime mine"):
        validate(JobOptions, {"runtime": "mine", "topology_spread": [spread]})


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_disk_and_gpus_are_requests_and_limits(kind: Any) -> None:
    _, resources = scheduled(kind, ephemeral_storage="50Gi", gpus_per_node=2)
    assert resources["limits"] == resources["requests"]
    assert resources["limits"] == {"cpu": "8", "memory": "16Gi", "ephemeral-storage": "50Gi", "nvidia.com/gpu": "2"}
    check(manifest_of(kind, gpus_per_node=2))


def test_all_writable_folders_are_volumes() -> None:
    spec = pod(pytorchjob(shm_size="2Gi", volumes={"hub-cache": "/cache"}))
    folders = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    kinds = {volume.pop("name"): volume for volume in spec["volumes"]}
    assert folders.pop("certificates") == "/etc/compaware"
    assert folders == {"shm": "/dev/shm", "tmp": "/tmp", "work": "/work", "claim-0": "/cache"}
    assert kinds["shm"] == {"emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}
    assert kinds["claim-0"] == {"persistentVolumeClaim": {"claimName": "hub-cache"}}
    assert variables(spec["containers"][0])["HF_HOME"].startswith("/work/")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_configuration_and_secrets_reach_the_pods(kind: JobKind) -> None:
    manifest = manifest_of(kind, secret_env={"HF_TOKEN": {"secret": "hub", "key": "token"}}, env={"GLOO": "eth0"})
    trainer = trainer_of(manifest)
    assert trainer["command"][-2:] == ["compaware.components.launch.worker", "distillation"]
    assert json.loads(variables(trainer)["COMPAWARE_CONFIG"]) == {"output": "s3://b/out", "epochs": 1}
    assert variables(trainer)["GLOO"] == "eth0"
    [token] = [variable for variable in trainer["env"] if variable["name"] == "HF_TOKEN"]
    assert token["valueFrom"] == {"secretKeyRef": {"name": "hub", "key": "token"}}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_the_sites_settings_reach_the_pods_and_are_optional(kind: JobKind) -> None:
    manifest = manifest_of(kind, env={"HF_ENDPOINT": "https://other.example.com"})
    trainer = trainer_of(manifest)
    names = [variable["name"] for variable in trainer["env"]]
    assert len(names) == len(set(names))
    sources = {variable["name"]: variable["valueFrom"] for variable in trainer["env"] if "valueFrom" in variable}
    assert sources["HTTPS_PROXY"] == {
        "configMapKeyRef": {"name": "compaware-site", "key": "HTTPS_PROXY", "optional": True}
    }
    assert sources["HF_TOKEN"] == {"secretKeyRef": {"name": "compaware-hub", "key": "token", "optional": True}}
    assert variables(trainer)["HF_ENDPOINT"] == "https://other.example.com"
    volume = {"name": "certificates", "configMap": {"name": "compaware-ca", "optional": True}}
    assert json.dumps(volume) in json.dumps(manifest)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_a_queued_job_starts_suspended_and_names_its_queue(kind: JobKind) -> None:
    manifest = manifest_of(kind, queue_name="team-a")
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert manifest["spec"].get("runPolicy", manifest["spec"])["suspend"] is True
    assert manifest["metadata"]["ownerReferences"] == [OWNER]


def test_istio_stays_out_of_the_pods() -> None:
    template = pytorchjob()["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    assert template["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    [patch] = TRAINJOB.manifest(make())["spec"]["runtimePatches"]
    [node] = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    annotations = node["template"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["sidecar.istio.io/inject"] == "false"


def _rename_container(manifest: dict[str, Any]) -> None:
    pod(manifest)["containers"][0]["name"] = "trainer"


def _misspell_replica(manifest: dict[str, Any]) -> None:
    replicas = manifest["spec"]["pytorchReplicaSpecs"]
    replicas["Wroker"] = replicas.pop("Worker")


def _number_processes(manifest: dict[str, Any]) -> None:
    manifest["spec"]["nprocPerNode"] = 2


def _unbound_restarts(manifest: dict[str, Any]) -> None:
    del manifest["spec"]["runPolicy"]["backoffLimit"]


def _drop_master_replicas(manifest: dict[str, Any]) -> None:
    del manifest["spec"]["pytorchReplicaSpecs"]["Master"]["replicas"]


def _break_limit(manifest: dict[str, Any]) -> None:
    pod(manifest)["containers"][0]["resources"]["limits"]["memory"] = "16 GB"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_rename_container, "container must be named 'pytorch'"),
        (_misspell_replica, "'Wroker' is not a replica type of a PyTorchJob: choose Master or Worker"),
        (_number_processes, "nprocPerNode must be a string: write '2'"),
        (_unbound_restarts, "needs a backoffLimit"),
        (_drop_master_replicas, "Master has None replicas: write 1"),
        (_break_limit, "the limit of memory is '16 GB'"),
    ],
)
def test_errors_that_the_api_server_accepts_are_refused(spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    manifest = copy.deepcopy(pytorchjob())
    check(manifest)
    spoil(manifest)
    with pytest.raises(UserError, match=message):
        check(manifest)


@pytest.mark.parametrize("name", ["Distillation", "1st", "a_b", "-a", "a-"])
def test_invalid_dns_names_are_refused(name: str) -> None:
    for kind in (PYTORCHJOB, TRAINJOB):
        with pytest.raises(UserError, match="must begin with a letter"):
            check(manifest_of(kind, name=name))


def test_the_name_is_short_enough_for_the_names_of_its_pods() -> None:
    check(pytorchjob(name="a" * 53, num_nodes=101))
    with pytest.raises(UserError, match="is longer than 52 characters"):
        check(pytorchjob(name="a" * 53, num_nodes=102))


def test_a_configuration_that_is_too_large_for_a_variable_is_refused() -> None:
    job = make()
    large = Job(job.name, job.component, {"layers": "x" * 200_000}, job.options)
    with pytest.raises(UserError, match=r"COMPAWARE_CONFIG is 2000\d\d bytes"):
        check(PYTORCHJOB.manifest(large))


def test_names_are_the_same_for_the_same_task_only() -> None:
    name = job_name("quantization_aware_training", "run-1", "root.qat(0:a)")
    assert name == job_name("quantization_aware_training", "run-1", "root.qat(0:a)")
    others = [("run-2", "root.qat(0:a)"), ("run-1", "root.qat(1:b)")]
    assert name not in [job_name("quantization_aware_training", run, task) for run, task in others]
    check(PYTORCHJOB.manifest(make(name=name, num_nodes=1000)))
