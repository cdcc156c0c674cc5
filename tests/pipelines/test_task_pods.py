"""The pods of KFP's tasks pass Pod Security `restricted`, and have what the site sets for them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import MessageToDict
from kfp import dsl

from compaware.components.core.base.cpu import machine_facts
from compaware.components.launch import run
from compaware.components.launch.pod_settings import PodOptions
from compaware.pipelines.client import catalog
from compaware.pipelines.client.main import main
from compaware.pipelines.client.site import read_site, run_pods
from compaware.pipelines.client.specs import compile_pipeline
from compaware.pipelines.task_settings import Layers
from tests.compiled import compiled_pipeline
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
    tasks = executors(compiled_pipeline(name, True))
    assert "exec-notify" in tasks
    for settings in tasks.values():
        assert violations(task_pod(settings)) == []
        assert settings["securityContext"] == {"runAsNonRoot": True}


def test_the_autoscaler_does_not_move_a_task() -> None:
    for settings in executors(compiled_pipeline("distillation", True)).values():
        annotations = settings["podMetadata"]["annotations"]
        assert annotations == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}


SITE = """
pods:
  default:
    node_selector: {pool: cpu}
    tolerations: [{key: spot, operator: Exists, effect: NoSchedule, tolerationSeconds: 30}]
    labels: {team: nlp}
    priority_class: batch
    cpu: "3"
  launcher: {memory: 2Gi}
  distillation: {cpu: "16", env: {NOTE: costs $5}}
  benchmark:
    cpu: "8"
    memory: 32Gi
    node_selector: {node.kubernetes.io/instance-type: c7i.4xlarge}
    annotations: {cluster-autoscaler.kubernetes.io/safe-to-evict: "true"}
    env: {HTTPS_PROXY: "http://proxy:3128"}
    volumes: {models: /models}
    run_as_user: 2000
    affinity:
      nodeAffinity:
        preferredDuringSchedulingIgnoredDuringExecution:
          - {weight: 1, preference: {matchExpressions: [{key: zone, operator: In, values: [a]}]}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    file = tmp_path / "site.yaml"
    file.write_text(SITE, encoding="utf-8")
    return file


def compiled(layers: Layers, name: str = "distillation") -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the containers and the Kubernetes settings of a compiled pipeline's executors."""
    text = compile_pipeline(name, layers=layers)
    spec, _ = yaml.safe_load_all(text)
    containers = spec["deploymentSpec"]["executors"]
    return {name: executor["container"] for name, executor in containers.items()}, executors(text)


def test_a_task_has_what_the_site_sets_for_it_and_for_all(site: Path) -> None:
    containers, settings = compiled(Layers(read_site(site).pods))
    container, benchmark = containers["exec-benchmark"], settings["exec-benchmark"]
    assert benchmark["nodeSelector"]["labels"] == {"pool": "cpu", "node.kubernetes.io/instance-type": "c7i.4xlarge"}
    [toleration] = benchmark["tolerations"]
    # Protobuf writes 64-bit numbers as text; the driver reads both.
    assert toleration == {"key": "spot", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": "30"}
    [affinity] = benchmark["nodeAffinity"]
    [preferred] = affinity["nodeAffinityJson"]["runtimeValue"]["constant"].values()
    assert preferred[0]["preference"]["matchExpressions"][0]["values"] == ["a"]
    assert benchmark["podMetadata"]["labels"] == {"team": "nlp"}
    assert benchmark["podMetadata"]["annotations"] == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
    assert benchmark["securityContext"] == {"runAsUser": "2000", "runAsNonRoot": True}
    assert benchmark["pvcMount"][0]["constant"] == "models" and benchmark["pvcMount"][0]["mountPath"] == "/models"
    resources = container["resources"]
    assert resources["resourceCpuRequest"] == resources["resourceCpuLimit"] == "8"
    assert resources["resourceMemoryRequest"] == resources["resourceMemoryLimit"] == "32Gi"
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in container["env"]
    taken = {key["envVar"] for source in benchmark["configMapAsEnv"] for key in source["keyToEnv"]}
    assert "HTTP_PROXY" in taken and "HTTPS_PROXY" not in taken, "the site's ConfigMap would win"
    assert settings["exec-data-prep"]["nodeSelector"]["labels"] == {"pool": "cpu"}
    assert containers["exec-data-prep"]["resources"]["resourceCpuLimit"] == "3"


def test_the_entry_of_a_training_is_for_its_job_and_not_for_the_pod_that_waits(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers, settings = compiled(Layers(read_site(site).pods))
    waiting = containers["exec-distillation"]
    assert (waiting["resources"]["resourceCpuLimit"], waiting["resources"]["resourceMemoryLimit"]) == ("500m", "2Gi")
    assert settings["exec-distillation"]["nodeSelector"]["labels"] == {"pool": "cpu"}
    [variable] = waiting["env"]
    # As Kubernetes expands it.
    monkeypatch.setenv(variable["name"], variable["value"].replace("$$", "$"))
    started: list[Any] = []
    monkeypatch.setattr(run, "run_job", lambda name, config, options, part: started.append(options))
    monkeypatch.setattr(run.Summary, "load", lambda output: output)
    run.attempt_component("distillation", {"output": "out"}, {"launcher": "torchrun", "num_nodes": 2})
    [options] = started
    assert (options.cpu_per_node, options.priority_class, options.num_nodes) == ("16", "batch", 2)
    assert options.node_selector == {"pool": "cpu"} and options.env == {"NOTE": "costs $5"}


def test_memory_of_a_task_may_be_a_fraction() -> None:
    pods = {"benchmark": PodOptions(memory="1.5Gi")}
    containers, _ = compiled(Layers(pods))
    assert containers["exec-benchmark"]["resources"]["resourceMemoryLimit"] == str(1536 * 2**20)


def test_a_run_takes_precedence_over_the_site(site: Path) -> None:
    pods = read_site(site).pods
    job = {"pods": {"benchmark": {"cpu": "4", "node_selector": {"pool": "quiet"}}}}
    containers, settings = compiled(Layers(pods, run_pods(job, pods)))
    assert containers["exec-benchmark"]["resources"]["resourceCpuRequest"] == "4"
    assert containers["exec-benchmark"]["resources"]["resourceMemoryRequest"] == "32Gi"
    assert settings["exec-benchmark"]["nodeSelector"]["labels"]["pool"] == "quiet"


@pytest.mark.parametrize("name", catalog.names())
def test_a_site_changes_no_parameter_and_no_reference_of_a_pipeline(name: str, site: Path) -> None:
    spec, _ = yaml.safe_load_all(compile_pipeline(name, layers=Layers(read_site(site).pods)))
    plain = catalog.spec(name)
    assert spec["root"] == plain["root"] and spec["components"] == plain["components"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pods: {benchmrk: {}}", "'pods.benchmrk' names no component: did you mean 'pods.benchmark'?"),
        ("pods: {benchmark: {priority_class: high}}", "pods.benchmark.priority_class: KFP cannot set it for a task"),
        ("pods: {launcher: {ephemeral_storage: 5Gi}}", "pods.launcher.ephemeral_storage: KFP cannot set it"),
        (
            "pods: {publish: {service_account: a}}",
            "pods.publish.service_account: KFP cannot set it for a task; use --s",
        ),
        ("pods: {publish: {affinity: {podAffinity: {}}}}", "pods.publish.affinity.podAffinity: KFP can set only node"),
        ("pods: {sweep_branch: {cpu: 1}}", "'pods.sweep_branch': its pods wait for jobs; set pods.launcher"),
        ("pods: {benchmark: {memory: 8}}", "'pods.benchmark.memory' is \"8\": this means bytes"),
        ("pod: {}", "unknown key 'pod': did you mean 'pods'?"),
    ],
)
def test_a_mistake_in_the_sites_file_is_one_line(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["compile", "--site", str(file), "--output", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert ended.value.code == 2 and len(error.splitlines()) == 1 and len(error) < 300
    assert message in error and f"site file {file}" in error
    assert not (tmp_path / "out").exists()


def test_submit_compiles_what_the_site_and_the_run_set(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPAWARE_IMAGES", "registry.example.com/compaware")

    def version(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["submit", "distillation", "--dry-run", *words])
        assert ended.value.code == 0
        return json.loads(capsys.readouterr().out)["pipeline_version"]

    plain = version()
    monkeypatch.setenv("COMPAWARE_SITE", str(site))
    assert len({plain, version(), version("job.pods.benchmark.cpu=2")}) == 3
    for words in (["submit", "distillation", "--dry-run"], ["validate", "distillation"]):
        with pytest.raises(SystemExit) as ended:
            main([*words, "job.pods.benchmrk.cpu=2"])
        assert ended.value.code == 2 and "did you mean 'pods.benchmark'?" in capsys.readouterr().err


def test_files_in_the_pipelines_folders_have_no_sites_settings(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compile", "--check", "--site", str(site)])
    assert ended.value.code == 2 and "--site needs --output" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pipeline", "measuring"), [("distillation", "benchmark"), ("compression_sweep", "sweep-benchmark")]
)
def test_the_benchmark_knows_its_node(pipeline: str, measuring: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = executors(compiled_pipeline(pipeline, False))
    paths = {entry["fieldPath"]: entry["name"] for entry in settings.pop(f"exec-{measuring}")["fieldPathAsEnv"]}
    assert not any("fieldPathAsEnv" in other for other in settings.values())
    monkeypatch.setenv(paths["spec.nodeName"], "ip-10-0-3-7")
    monkeypatch.setenv(paths["metadata.labels['node.kubernetes.io/instance-type']"], "")
    assert machine_facts()["node"] == "ip-10-0-3-7" and "node_type" not in machine_facts()


def test_the_limits_of_runs_are_those_of_kfps_pipeline_config(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("runs: {timeout_hours: 12, keep_finished_hours: 0.5}", encoding="utf-8")

    @dsl.pipeline(
        name="plain",
        pipeline_config=dsl.PipelineConfig(ttl_seconds_after_finished=1800, active_deadline_seconds=43200),
    )
    def plain() -> None:
        dsl.importer(artifact_uri="s3://bucket/data", artifact_class=dsl.Dataset)

    _, platform = yaml.safe_load_all(compile_pipeline("distillation", layers=Layers(limits=read_site(site).runs)))
    expected = MessageToDict(plain.platform_spec.platforms["kubernetes"].pipelineConfig)
    assert platform["platforms"]["kubernetes"]["pipelineConfig"] == expected
