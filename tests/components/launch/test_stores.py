"""A job's pods, and the task that starts the job, are told where stores are, and secrets by name only."""

import json
import os
from typing import Any, NamedTuple

import pytest

from compaware.components.launch.pytorchjob import PYTORCHJOB
from compaware.components.launch.stores import configure_task
from compaware.components.launch.trainjob import TRAINJOB
from tests.components.launch.test_manifests import make, pod
from tests.components.storage.conftest import environment  # noqa: F401
from tests.components.storage.test_mappings import DATASET, KFP_PROVIDERS, SESSION

OWN = (
    "s3: {default: {endpoint: host, credentials: {secretRef: {secretName: own, accessKeyKey: id, secretKeyKey: key}}}}"
)


class Artifact(NamedTuple):
    """What the module uses of a KFP artifact."""

    uri: str
    metadata: dict[str, Any]


@pytest.fixture(autouse=True)
def variables(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """The variables that `configure_task` sets; they are removed after the test."""
    for name in ("COMPAWARE_ARTIFACT_STORES", "COMPAWARE_STORAGE_SECRET", "COMPAWARE_STORES"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def trainer(kind: Any, **options: Any) -> dict[str, Any]:
    manifest = kind.manifest(make(**options))
    return pod(manifest)["containers"][0] if kind is PYTORCHJOB else manifest["spec"]["trainer"]


def sources(kind: Any, **options: Any) -> dict[str, Any]:
    return {item["name"]: item["valueFrom"] for item in trainer(kind, **options)["env"] if "valueFrom" in item}


def secret_key(secret: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": secret, "key": key, "optional": True}}


@pytest.mark.parametrize("kind", [PYTORCHJOB, TRAINJOB])
def test_pods_read_kfps_stores_and_the_keys_of_kfps_own(kind: Any) -> None:
    found = sources(kind)
    assert found["COMPAWARE_KFP_PROVIDERS"] == {
        "configMapKeyRef": {"name": "kfp-launcher", "key": "providers", "optional": True}
    }
    assert found["MINIO_ACCESS_KEY"] == secret_key("mlpipeline-minio-artifact", "accesskey")
    assert "AWS_ACCESS_KEY_ID" not in found, "they would be used in place of a role"


@pytest.mark.parametrize("kind", [PYTORCHJOB, TRAINJOB])
def test_a_secret_of_the_runs_own_has_the_keys_for_any_store(kind: Any) -> None:
    found = sources(kind, storage_secret="own")
    assert found["MINIO_SECRET_KEY"] == found["AWS_SECRET_ACCESS_KEY"] == secret_key("own", "secretkey")
    assert not {"MINIO_ACCESS_KEY", "AWS_ACCESS_KEY_ID"} & sources(kind, storage_secret="").keys()


@pytest.mark.parametrize("kind", [PYTORCHJOB, TRAINJOB])
def test_secrets_of_other_stores_are_mounted_by_name(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "compaware-secrets" not in json.dumps(kind.manifest(make()))
    monkeypatch.setenv("COMPAWARE_STORES", OWN)
    items = [{"key": "id", "path": "own/id"}, {"key": "key", "path": "own/key"}]
    source = {"secret": {"name": "own", "optional": True, "items": items}}
    volume = json.dumps({"name": "stores", "projected": {"sources": [source]}})
    mount = json.dumps({"name": "stores", "mountPath": "/etc/compaware-secrets", "readOnly": True})
    assert volume in json.dumps(kind.manifest(make())) and mount in json.dumps(kind.manifest(make()))
    monkeypatch.delenv("COMPAWARE_STORES")
    assert volume in json.dumps(kind.manifest(make(env={"COMPAWARE_STORES": OWN}))), "the run's own mapping"
    monkeypatch.setenv("COMPAWARE_KFP_PROVIDERS", KFP_PROVIDERS)
    assert "s3-test-secret-6-b/s3-access" in json.dumps(kind.manifest(make()))


@pytest.mark.parametrize("kind", [PYTORCHJOB, TRAINJOB])
def test_pods_learn_where_kfp_stored_the_inputs(kind: Any) -> None:
    configure_task([Artifact(DATASET, {"store_session_info": SESSION}), Artifact("s3://b/out", {})], make().options)
    [text] = [item["value"] for item in trainer(kind)["env"] if item["name"] == "COMPAWARE_ARTIFACT_STORES"]
    [store] = json.loads(text)["minio"]["overrides"]
    assert (store["bucketName"], store["endpoint"]) == ("mlpipeline", "seaweedfs.kubeflow:9000")


def test_the_task_that_starts_a_job_uses_its_stores_and_its_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "https://of.the.site")
    env = {"S3_ENDPOINT": "https://of.the.job", "COMPAWARE_STORES": OWN, "OMP_PROC_BIND": "true"}
    configure_task([], make(launcher="torchrun", env=env).options)
    assert os.environ["S3_ENDPOINT"] == "https://of.the.site"
    configure_task([], make(launcher="pytorchjob", env=env).options)
    assert (os.environ["S3_ENDPOINT"], os.environ["COMPAWARE_STORES"]) == ("https://of.the.job", OWN)
    assert "OMP_PROC_BIND" not in os.environ
    for options in ({"launcher": "torchrun", "storage_secret": "own"}, {"launcher": "pytorchjob"}):
        configure_task([], make(**options).options)
        assert "COMPAWARE_STORAGE_SECRET" not in os.environ
    configure_task([], make(launcher="pytorchjob", storage_secret="own").options)
    assert os.environ["COMPAWARE_STORAGE_SECRET"] == "own"
