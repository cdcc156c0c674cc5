"""The chart lints, renders to the plain template, and installs on a real API server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.reading import MANIFESTS, values
from tests.services.manifests.conftest import Command, Namespaces, set_namespace
from tests.services.manifests.test_permissions import Reviewer

CHART = MANIFESTS / "chart"
# Argo's default installation defines its kinds as loosely.
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: NAME.argoproj.io}
spec:
  group: argoproj.io
  names: {kind: KIND, plural: NAME}
  scope: Namespaced
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
SITE: dict[str, Any] = {
    "image": {"repository": "registry.example.com/compaware/benchmark", "pullSecrets": ["mirror"]},
    "pipeline": "distillation",
    "config": "task: sst2\nteacher: s3://models/teacher\n",
    "timeoutHours": 0.5,
    "workspace": {"size": "1Gi", "storageClass": "fast"},
    "storage": {"endpoint": "https://store.example.com", "secret": "keys"},
    "site": {"variables": "compaware-site", "certificates": "compaware-ca"},
}


@pytest.fixture
def argo(kubectl: Command) -> Iterator[None]:
    """The two kinds of Argo that the chart names; those that the cluster has already stay as they are."""
    kinds = {"workflowtemplates": "WorkflowTemplate", "workflowtaskresults": "WorkflowTaskResult"}
    there = kubectl("get", "crd", "--output", "name")
    missing = {name: kind for name, kind in kinds.items() if f"/{name}.argoproj.io" not in there}
    text = "---".join(DEFINITION.replace("NAME", name).replace("KIND", kind) for name, kind in missing.items())
    if missing:
        kubectl("apply", "-f", "-", given=text)
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", "-", given=text)
    yield
    if missing:
        kubectl("delete", "-f", "-", given=text)


def workflow(text: str) -> dict[str, Any]:
    [found] = [one for one in yaml.safe_load_all(text) if one["kind"] == "WorkflowTemplate"]
    return found


def test_the_chart_lints(helm: Command) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART)


def test_the_plain_template_is_the_chart_with_its_defaults(helm: Command) -> None:
    plain = (MANIFESTS / "argo" / "compaware.yaml").read_text(encoding="utf-8")
    assert helm("template", "compaware", CHART, "--namespace", "argo") == plain


def test_a_site_s_values_reach_the_pod(helm: Command, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(SITE), encoding="utf-8")
    spec = workflow(helm("template", "site", CHART, "--values", tmp_path / "site.yaml"))["spec"]
    [container] = values(spec, "container")
    variables = {one["name"]: one.get("value") or one["valueFrom"]["secretKeyRef"]["name"] for one in container["env"]}
    assert variables == {
        "S3_ENDPOINT": "https://store.example.com",
        "AWS_ACCESS_KEY_ID": "keys",
        "AWS_SECRET_ACCESS_KEY": "keys",
        "SSL_CERT_FILE": "/etc/compaware/ca.crt",
    }
    assert container["image"].startswith("registry.example.com/compaware/benchmark:")
    assert container["envFrom"] == [{"configMapRef": {"name": "compaware-site"}}]
    assert {"name": "certificates", "configMap": {"name": "compaware-ca"}} in spec["volumes"]
    assert spec["imagePullSecrets"] == [{"name": "mirror"}]
    assert spec["activeDeadlineSeconds"] == 1800
    assert spec["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"
    assert [entry["value"] for entry in spec["arguments"]["parameters"]] == ["distillation", SITE["config"]]


@pytest.mark.usefixtures("argo")
def test_the_chart_installs_and_leaves_nothing_behind(helm: Command, kubectl: Command, namespaces: Namespaces) -> None:
    namespace = namespaces("chart")
    helm("install", "compaware", CHART, "--namespace", namespace)
    kept = yaml.safe_load(kubectl("get", "workflowtemplate", "compaware", "-n", namespace, "-o", "yaml"))
    assert kept["spec"] == workflow(helm("template", "compaware", CHART))["spec"]
    reviewer = Reviewer()
    everyone = reviewer.allowed(f"{namespace}:somebody-else", namespace)
    assert reviewer.allowed(f"{namespace}:compaware", namespace) - everyone == {
        ("argoproj.io", "workflowtaskresults", "create"),
        ("argoproj.io", "workflowtaskresults", "patch"),
    }
    helm("uninstall", "compaware", "--namespace", namespace)
    left = kubectl("get", "workflowtemplates,roles,rolebindings", "-n", namespace, "-o", "name")
    assert left == ""


@pytest.mark.usefixtures("argo")
def test_the_plain_template_is_accepted(kubectl: Command, namespaces: Namespaces, tree: Path) -> None:
    namespace = namespaces("argo")
    set_namespace(tree / "argo" / "kustomization.yaml", namespace)
    kubectl("apply", "--kustomize", tree / "argo")
    binding = yaml.safe_load(kubectl("get", "rolebinding", "compaware", "-n", namespace, "-o", "yaml"))
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "compaware", "namespace": namespace}]
