"""A task reads a store's secret from a real API server, with the token of its service account."""

import base64
import os
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3
import yaml
from minio import Minio

from compaware.components.core.base.errors import UserError
from compaware.components.core.base.summary import Summary
from compaware.components.launch import attempt_component
from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.storage import secrets, upload
from compaware.components.storage.mappings import SecretRef
from tests.services.launch.conftest import Site
from tests.services.launch.waiting import eventually


@pytest.fixture
def account(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that Kubernetes mounts into a pod of the namespace's default account, which may get secrets."""
    cluster = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    namespace = f"/api/v1/namespaces/{site.direct.namespace}"
    token = None
    for _ in range(100):
        tokens = [
            item
            for item in site.direct.get(f"{namespace}/secrets")["items"]
            if item["type"] == "kubernetes.io/service-account-token"
        ]
        token = next((item["data"]["token"] for item in tokens if "token" in item.get("data", {})), None)
        if token:
            break
        time.sleep(0.1)
    assert token, "the server gives each account a token"
    (tmp_path / "token").write_bytes(base64.b64decode(token))
    (tmp_path / "namespace").write_text(site.direct.namespace)
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    address = urlsplit(cluster["server"])
    monkeypatch.setattr(secrets, "_ACCOUNT", tmp_path)
    monkeypatch.setattr(secrets, "_RETRY", urllib3.Retry(total=2, backoff_factor=0.1, status_forcelist=(403,)))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(address.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(address.port))
    keys = {"accesskey": "reviews", "secretkey": "hidden"}
    site.direct.create(f"{namespace}/secrets", {"metadata": {"name": "reviews-keys"}, "stringData": keys})


def let_get_secrets(site: Site) -> None:
    """Gives the account the rule of KFP's Role (manifests/kustomize/base/pipeline/pipeline-runner-role.yaml)."""
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{site.direct.namespace}"
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    site.direct.create(f"{rbac}/roles", {"metadata": {"name": "runner"}, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "runner"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": site.direct.namespace}
    site.direct.create(f"{rbac}/rolebindings", {"metadata": {"name": "runner"}, "subjects": [subject], "roleRef": role})
    time.sleep(1)


@pytest.mark.usefixtures("account")
def test_an_account_that_may_get_secrets_reads_the_keys_of_a_store(site: Site) -> None:
    with pytest.raises(UserError, match=r"may not read the secret reviews-keys in namespace .* get secrets"):
        secrets.read_secret(SecretRef(secret_name="reviews-keys"))
    let_get_secrets(site)
    assert secrets.read_secret(SecretRef(secret_name="reviews-keys")) == ("reviews", "hidden")
    with pytest.raises(UserError, match="there is no secret absent in namespace"):
        secrets.read_secret(SecretRef(secret_name="absent"))


@pytest.mark.usefixtures("account")
def test_the_task_that_starts_a_job_reads_the_jobs_output_with_the_jobs_secret(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output is in a real store, and the task has no other keys for it."""
    let_get_secrets(site)
    keys = [os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]]
    address = urlsplit(os.environ["S3_ENDPOINT"])
    output = f"s3://secrets-{time.monotonic_ns()}/out"
    Minio(address.netloc, *keys, secure=False).make_bucket(urlsplit(output).netloc)
    (tmp_path / "out").mkdir()
    summary = Summary(component="distillation", version="1", config={}, metrics={"x": 1.0}, facts={}, machine={})
    summary.save(tmp_path / "out")
    upload(tmp_path / "out", output)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    data = dict(zip(("accesskey", "secretkey"), keys, strict=True))
    secret = {"metadata": {"name": "keys-of-the-run"}, "stringData": data}
    site.direct.create(f"/api/v1/namespaces/{site.direct.namespace}/secrets", secret)
    # `attempt_component` sets this variable.
    monkeypatch.setenv("COMPAWARE_STORAGE_SECRET", "")
    jobs = PYTORCHJOB.path(site.direct.namespace)

    def succeed() -> None:
        [job] = eventually(lambda: site.direct.get(jobs)["items"])
        condition = {"type": "Succeeded", "status": "True", "reason": "Succeeded", "message": ""}
        site.direct.patch(f"{jobs}/{job['metadata']['name']}/status", {"status": {"conditions": [condition]}})

    operator = threading.Thread(target=succeed, daemon=True)
    operator.start()
    options = {"launcher": "pytorchjob", "storage_secret": "keys-of-the-run"}
    assert attempt_component("distillation", {"output": output}, options).metrics == {"x": 1.0}
    operator.join()
