"""Data in one store and artifacts in another in one process, each with the keys of its own user."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from minio import Minio

from compaware.components.core.base.errors import UserError
from compaware.components.storage import exists, fetch, upload
from tests.services.storage.test_round_trip import contents

USERS = ("reviews", "kubeflow")


@pytest.fixture
def buckets(
    client: Minio, administer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """A bucket of each of two users, whose keys are mounted; no variable has the keys of another."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    names = {}
    for user in USERS:
        name = names[user] = f"{user}-{uuid.uuid4().hex[:8]}"
        keys = administer("user", "create", f"--uid={name}", f"--display-name={name}")["keys"][0]
        folder = tmp_path / "secrets" / f"{user}-keys"
        folder.mkdir(parents=True)
        (folder / "accesskey").write_text(keys["access_key"])
        (folder / "secretkey").write_text(keys["secret_key"])
        Minio(client._base_url.host, keys["access_key"], keys["secret_key"], secure=False).make_bucket(name)
    monkeypatch.setenv("COMPAWARE_SECRETS_DIR", str(tmp_path / "secrets"))
    return names


def keys_of(user: str) -> dict[str, Any]:
    return {"secretRef": {"secretName": f"{user}-keys", "accessKeyKey": "accesskey", "secretKeyKey": "secretkey"}}


def test_each_prefix_is_used_with_its_own_keys(
    buckets: dict[str, str], model: Path, tmp_path: Path, client: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site's mapping has the keys of the data, and KFP's those of its artifacts."""
    here = {"endpoint": client._base_url.host, "region": "us-east-1", "disableSSL": True}
    override = {"bucketName": buckets["reviews"], "keyPrefix": "2026/", "credentials": keys_of("reviews")}
    kfp = {"minio": {"default": {**here, "credentials": keys_of("kubeflow")}}}
    monkeypatch.setenv("COMPAWARE_STORES", yaml.safe_dump({"s3": {"default": here, "overrides": [override]}}))
    monkeypatch.setenv("COMPAWARE_KFP_PROVIDERS", yaml.safe_dump(kfp))
    for name in ("S3_ENDPOINT", "MINIO_ENDPOINT"):
        monkeypatch.delenv(name)
    data, output = f"s3://{buckets['reviews']}/2026/data", f"minio://{buckets['kubeflow']}/v2/artifacts/model"
    upload(model, data)
    upload(fetch(data, tmp_path / "cache"), output)
    assert contents(fetch(output, tmp_path / "cache", require_manifest=True)) == contents(model)
    for uri in (
        f"s3://{buckets['reviews']}/2025/data",
        output.replace("kubeflow", "reviews", 1).replace("minio", "s3", 1),
    ):
        with pytest.raises(UserError, match=r"access is denied|no such bucket"):
            fetch(uri, tmp_path / "cache")
    with pytest.raises(UserError, match="access is denied"):
        exists(f"minio://{buckets['reviews']}/2026/data")


def test_each_scheme_is_used_with_its_own_variables(
    buckets: dict[str, str], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user, variables in zip(
        USERS,
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")),
        strict=True,
    ):
        for name, key in zip(variables, ("accesskey", "secretkey"), strict=True):
            monkeypatch.setenv(name, (tmp_path / "secrets" / f"{user}-keys" / key).read_text())
    upload(model, f"s3://{buckets['reviews']}/data")
    upload(fetch(f"s3://{buckets['reviews']}/data", tmp_path / "cache"), f"minio://{buckets['kubeflow']}/model")
    assert exists(f"minio://{buckets['kubeflow']}/model")
    with pytest.raises(UserError, match="access is denied"):
        exists(f"minio://{buckets['reviews']}/data")
