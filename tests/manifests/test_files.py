"""The manifests contain no secrets, run nothing as root, and have the versions of this release."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from compaware.components import images
from compaware.components.launch import JobOptions
from compaware.components.launch.job import Job, JobKind
from compaware.components.launch.kinds import KINDS
from compaware.pipelines.client import catalog
from compaware.pipelines.client.validation import load_arguments
from tests.manifests.reading import MANIFESTS, ROOT, documented_permissions, documents, granted, values

SECRET_NAME = re.compile(r"SECRET|PASSWORD|TOKEN|KEY")
TOOL = ROOT / "tools" / "pipeline_resources.py"


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [document for _, document in documents() if document.get("kind") == kind]


def test_images_have_the_version_of_this_release() -> None:
    known = {images.DATA, images.TRAINER, images.BENCHMARK, images.LAUNCHER}
    used = {image for _, document in documents() if "kind" in document for image in values(document, "image")}
    assert used and used <= known
    chart = yaml.safe_load((MANIFESTS / "chart" / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == images.VERSION


def test_the_mirror_has_every_image() -> None:
    overlay = yaml.safe_load((MANIFESTS / "overlays/air-gapped/kustomization.yaml").read_text(encoding="utf-8"))
    mirrored = {entry["name"] for entry in overlay["images"]}
    assert mirrored == {name.split(":")[0] for name in (images.DATA, images.TRAINER, images.BENCHMARK, images.LAUNCHER)}


def test_no_file_contains_a_secret() -> None:
    # Kubernetes fills the one for Argo's token.
    [secret] = of_kind("Secret")
    assert secret["type"] == "kubernetes.io/service-account-token" and not secret.keys() & {"data", "stringData"}
    for file, document in documents():
        for variables in values(document, "env"):
            for variable in variables:
                if SECRET_NAME.search(variable["name"]):
                    assert set(variable) == {"name", "valueFrom"}, f"{file}: {variable['name']}"
                    assert "secretKeyRef" in variable["valueFrom"]


def test_nothing_runs_as_root_or_writes_outside_its_volumes() -> None:
    [workflow] = of_kind("WorkflowTemplate")
    pod = workflow["spec"]["securityContext"]
    assert pod["runAsNonRoot"] is True and pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    containers = list(values(workflow, "container"))
    assert containers
    for container in containers:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True and security["allowPrivilegeEscalation"] is False
        assert security["runAsNonRoot"] is True and security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/work", "/tmp", "/dev/shm"}


def test_the_workflow_runs_the_sample_by_default() -> None:
    [workflow] = of_kind("WorkflowTemplate")
    given = {entry["name"]: entry["value"] for entry in workflow["spec"]["arguments"]["parameters"]}
    sample = catalog.folder(given["pipeline"]) / "configs" / "sample.yaml"
    assert given["config"] == sample.read_text(encoding="utf-8"), "render the chart again: see manifests/README.md"
    assert load_arguments(catalog.spec(given["pipeline"]), sample, [])["task"] == "sample"


def test_only_argos_own_containers_have_a_token() -> None:
    [workflow], [account] = of_kind("WorkflowTemplate"), of_kind("ServiceAccount")
    name = account["metadata"]["name"]
    assert workflow["spec"]["serviceAccountName"] == name
    assert workflow["spec"]["automountServiceAccountToken"] is account["automountServiceAccountToken"] is False
    # Argo mounts this account's token, from the secret that it names so (util/secrets/secret_name.go: TokenName).
    assert workflow["spec"]["executor"] == {"serviceAccountName": name}
    [secret] = of_kind("Secret")
    assert secret["metadata"]["name"] == f"{name}.service-account-token"
    assert secret["metadata"]["annotations"] == {"kubernetes.io/service-account.name": name}


def test_the_schema_of_the_chart_has_the_values_of_the_chart() -> None:
    chart = MANIFESTS / "chart"
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    del schema["properties"]["global"]

    def check(schema: dict[str, Any], value: Any) -> None:
        if "properties" not in schema:
            return
        assert schema["additionalProperties"] is False and schema["properties"].keys() == value.keys()
        for key, part in schema["properties"].items():
            check(part, value[key])

    check(schema, values)


def test_the_role_is_the_documented_one() -> None:
    [role] = [role for role in of_kind("Role") if role["metadata"]["name"] == "compaware-launcher"]
    assert granted(role["rules"]) == documented_permissions()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.title)
def test_the_network_policy_selects_the_pods_of_a_job(kind: JobKind) -> None:
    manifest = kind.manifest(Job("distillation-0", "distillation", {}, JobOptions()))
    [policy] = of_kind("NetworkPolicy")
    spec = policy["spec"]
    wanted = spec["podSelector"]["matchLabels"].items()
    pods = [labels for labels in values(manifest, "labels") if labels.items() >= wanted]
    assert len(pods) >= 2, "the job's own labels, and its pods'"
    [rule] = spec["ingress"]
    assert rule["from"] == [{"podSelector": spec["podSelector"]}]
    opened = [range(port["port"], port.get("endPort", port["port"]) + 1) for port in rule["ports"]]
    for ports in values(manifest, "ports"):
        assert all(any(port["containerPort"] in allowed for allowed in opened) for port in ports)


def test_every_pipeline_is_a_resource_with_its_compiled_spec() -> None:
    versions = {
        version["spec"]["pipelineSpec"]["pipelineInfo"]["name"]: version for version in of_kind("PipelineVersion")
    }
    assert len(versions) == len(of_kind("Pipeline")) == len(catalog.names())
    for name in catalog.names():
        text = (catalog.folder(name) / catalog.SPEC_NAME).read_text(encoding="utf-8")
        spec, *platform = yaml.safe_load_all(text)
        version = versions[spec["pipelineInfo"]["name"]]
        assert version["spec"]["pipelineSpec"] == spec
        assert [version["spec"][key] for key in ("platformSpec",) if key in version["spec"]] == platform
        assert version["metadata"]["name"] == f"{version['spec']['pipelineName']}-{images.VERSION}"


def test_the_resources_of_pipelines_are_fresh() -> None:
    checked = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_resource_that_is_out_of_date_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = importlib.import_module("tools.pipeline_resources")
    monkeypatch.setattr(tool, "FOLDER", tmp_path)
    for arguments in ([], ["--check"]):
        monkeypatch.setattr(sys, "argv", ["pipeline_resources.py", *arguments])
        with pytest.raises(SystemExit) as ended:
            tool.main()
        assert ended.value.code == 0
    (tmp_path / "kustomization.yaml").write_text("kind: Kustomization\n", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        tool.main()
    assert ended.value.code == 1
    assert "kustomization.yaml is out of date: run `python tools/pipeline_resources.py`" in capsys.readouterr().err


def test_the_settings_in_the_readme_are_valid() -> None:
    text = (MANIFESTS / "README.md").read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    jobs = [JobOptions(**block["job"]) for block in blocks if "job" in block]
    assert len(jobs) >= 3
    claims = {claim["metadata"]["name"] for claim in of_kind("PersistentVolumeClaim")}
    assert all(set(job.volumes) <= claims for job in jobs)
    queues = {queue["metadata"]["name"] for queue in of_kind("LocalQueue")}
    named = {job.queue_name for job in jobs if job.queue_name}
    assert named and named <= queues
