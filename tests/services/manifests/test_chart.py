"""The chart lints, renders to the plain template, and installs on a real API server."""

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from compaware.components import images
from tests.manifests.reading import MANIFESTS, values
from tests.services.launch.waiting import eventually
from tests.services.manifests.conftest import Command, Namespaces, set_namespace
from tests.services.manifests.test_permissions import Reviewer

CHART = MANIFESTS / "chart"
DIGEST = "sha256:" + "0123456789abcdef" * 4
BY_DIGEST = ",".join(f"{name}=registry.example.com/team/{name}@{DIGEST}" for name in images.NAMES)
REVIEW = """{apiVersion: authentication.k8s.io/v1, kind: TokenReview, spec: {token: %s}}"""
TOLERATION = {"key": "pool", "operator": "Equal", "value": "training", "effect": "NoSchedule"}
SITE: dict[str, Any] = {
    "image": {
        "repository": "registry.example.com/compaware/benchmark",
        "digest": DIGEST,
        "pullSecrets": ["mirror"],
    },
    "pipeline": "distillation",
    "config": "task: sst2\nteacher: s3://models/teacher\n",
    "timeoutHours": 0.5,
    "workspace": {"size": "1Gi", "storageClass": "fast"},
    "storage": {"endpoint": "https://store.example.com", "secret": "keys"},
    "site": {"variables": "compaware-site", "certificates": "compaware-ca"},
    "hub": {"secret": "hub"},
    "proxy": {"https": "http://proxy.example.com:3128", "noProxy": ".svc,10.0.0.0/8"},
    "nodeSelector": {"pool": "training"},
    "tolerations": [TOLERATION],
    "env": [
        {"name": "OMP_NUM_THREADS", "value": "4"},
        {"name": "AWS_SESSION_TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "session"}}},
    ],
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/compaware"}},
}


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
    rendered = helm("template", "site", CHART, "--values", tmp_path / "site.yaml")
    spec = workflow(rendered)["spec"]
    [container] = values(spec, "container")
    variables = {one["name"]: one.get("value") or one["valueFrom"]["secretKeyRef"]["name"] for one in container["env"]}
    assert variables == {
        "S3_ENDPOINT": "https://store.example.com",
        "AWS_ACCESS_KEY_ID": "keys",
        "AWS_SECRET_ACCESS_KEY": "keys",
        "HF_TOKEN": "hub",
        "HTTPS_PROXY": "http://proxy.example.com:3128",
        "NO_PROXY": ".svc,10.0.0.0/8",
        "OMP_NUM_THREADS": "4",
        "AWS_SESSION_TOKEN": "keys",
        "SSL_CERT_FILE": "/etc/compaware/ca.crt",
    }
    assert container["image"] == f"registry.example.com/compaware/benchmark@{DIGEST}"
    assert (spec["nodeSelector"], spec["tolerations"]) == ({"pool": "training"}, [TOLERATION])
    [account] = [one for one in yaml.safe_load_all(rendered) if one["kind"] == "ServiceAccount"]
    assert account["metadata"]["annotations"] == SITE["serviceAccount"]["annotations"]
    assert container["envFrom"] == [{"configMapRef": {"name": "compaware-site"}}]
    assert {"name": "certificates", "configMap": {"name": "compaware-ca"}} in spec["volumes"]
    assert spec["imagePullSecrets"] == [{"name": "mirror"}]
    assert spec["activeDeadlineSeconds"] == 1800
    assert spec["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"
    assert [entry["value"] for entry in spec["arguments"]["parameters"]] == ["distillation", SITE["config"]]


@pytest.mark.parametrize(
    ("option", "value", "image"),
    [
        (
            "--set",
            "images=registry.example.com/team/compaware:2.0",
            "registry.example.com/team/compaware/benchmark:2.0",
        ),
        ("--set", "images=registry:5000/team/compaware", f"registry:5000/team/compaware/benchmark:{images.VERSION}"),
        ("--set-literal", f"images={BY_DIGEST}", f"registry.example.com/team/benchmark@{DIGEST}"),
        ("--set", f"image.digest={DIGEST}", f"localhost/compaware/benchmark@{DIGEST}"),
        ("--set-string", "image.tag=3", "localhost/compaware/benchmark:3"),
    ],
)
def test_the_setting_of_the_images_reaches_the_chart(helm: Command, option: str, value: str, image: str) -> None:
    [found] = values(workflow(helm("template", "site", CHART, option, value)), "image")
    assert found == images.check_image(image, "image")
    setting = value.partition("=")[2]
    if value.startswith("images="):
        assert images.read_setting(setting)["benchmark"] == image


def test_hours_may_be_a_fraction(helm: Command) -> None:
    """Helm makes a number of `1`, but a text of `1.5`."""
    text = helm("template", "site", CHART, "--set", "timeoutHours=1.5", "--set", "keepFinishedHours=24.0")
    assert list(values(workflow(text), "activeDeadlineSeconds")) == [5400]
    assert list(values(workflow(text), "secondsAfterCompletion")) == [86400]


@pytest.mark.parametrize(
    "value",
    [
        "image.repository=compaware/benchmark",
        "images=compaware:2.0",
        "images=team/compaware",
        "images=benchmark=compaware/benchmark:1",
        "images=data=registry.example.com/data:1",
        "image.digest=0123",
        "image.tags=1",
        "proxy=http://proxy.example.com:3128",
        "retries=-1",
        "timeoutHours=0.0",
        "keepFinishedHours=-1.5",
    ],
)
def test_a_wrong_value_is_refused(value: str) -> None:
    ended = subprocess.run(
        ["helm", "template", "site", CHART, "--set", value], capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0 and ended.stdout == ""
    assert value.split("=")[0].split(".")[0].rstrip("s") in ended.stderr


def test_a_token_of_the_hub_becomes_a_secret_of_the_release(helm: Command, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_example\n", encoding="utf-8")
    text = helm("template", "site", CHART, "--set-file", f"hub.token={tmp_path / 'token'}")
    [secret] = [one for one in yaml.safe_load_all(text) if one["kind"] == "Secret" and "stringData" in one]
    assert secret["stringData"] == {"token": "hf_example"}
    [container] = values(workflow(text), "container")
    [variable] = [one for one in container["env"] if one["name"] == "HF_TOKEN"]
    wanted = {"name": secret["metadata"]["name"], "key": "token", "optional": False}
    assert variable["valueFrom"] == {"secretKeyRef": wanted}
    assert "hf_example" not in yaml.safe_dump(workflow(text))


@pytest.mark.usefixtures("argo")
def test_argos_token_is_the_account_s(helm: Command, kubectl: Command, namespaces: Namespaces) -> None:
    namespace = namespaces("chart")
    notes = helm("install", "compaware", CHART, "--namespace", namespace)
    assert "Nodes cannot pull localhost/compaware/benchmark:" in notes
    assert f"argo submit --namespace {namespace} --from workflowtemplate/compaware" in notes
    secret = ("get", "secret", "compaware.service-account-token", "-n", namespace, "-o", "jsonpath={.data.token}")
    token = eventually(lambda: kubectl(*secret))
    user = kubectl(
        "create", "-f", "-", "-o", "jsonpath={.status.user.username}", given=REVIEW % base64.b64decode(token).decode()
    )
    assert user == f"system:serviceaccount:{namespace}:compaware"
    helm("uninstall", "compaware", "--namespace", namespace)


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
