"""What killed uploads leave in a real store is removed by the next run, or by the rules of manifests/README.md."""

import json
import re
from pathlib import Path

import pytest
from minio import Minio
from minio.commonconfig import Filter
from minio.lifecycleconfig import AbortIncompleteMultipartUpload, Expiration, LifecycleConfig, Rule

from compaware.components.storage import abandoned_uploads, discard, exists, upload
from tests.services.storage.conftest import KillAfter

MANIFESTS = Path(__file__).parents[3] / "manifests" / "README.md"


def test_the_next_upload_removes_the_parts_of_files_that_it_lacks(
    bucket: str, large_model: Path, kill_after: KillAfter, client: Minio
) -> None:
    uri = f"s3://{bucket}/model"
    kill_after(26, f"upload(Path('{large_model}'), {uri!r})")
    assert client._list_multipart_uploads(bucket).uploads
    (large_model / "model.safetensors").rename(large_model / "other.safetensors")
    (large_model / "other.safetensors").write_bytes(bytes(100))
    upload(large_model, uri)
    assert exists(uri)
    assert client._list_multipart_uploads(bucket).uploads == []


def test_a_half_version_is_found_and_deleted_with_its_parts(
    bucket: str, large_model: Path, kill_after: KillAfter, client: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"s3://{bucket}/versions"
    (large_model / "model.safetensors").rename(large_model / "z.safetensors")
    upload(large_model, f"{prefix}/1")
    kill_after(26, f"upload(Path('{large_model}'), '{prefix}/2')")
    assert abandoned_uploads(prefix) == []
    monkeypatch.setattr("compaware.components.storage.leftovers.ABANDONED_AFTER_S", 0)
    assert abandoned_uploads(prefix) == [f"{prefix}/2"]
    discard(f"{prefix}/2")
    names = {item.object_name.split("/")[1] for item in client.list_objects(bucket, "versions/", recursive=True)}
    assert names == {"1"} and client._list_multipart_uploads(bucket).uploads == []


def test_the_store_accepts_the_documented_rules(bucket: str, client: Minio) -> None:
    command = re.search(r"--lifecycle-configuration '(.*?)'", MANIFESTS.read_text(encoding="utf-8"), re.DOTALL)
    assert command
    rules = [
        Rule(
            rule["Status"],
            rule_filter=Filter(prefix=rule["Filter"]["Prefix"]),
            rule_id=rule["ID"],
            expiration=Expiration(days=rule["Expiration"]["Days"]) if "Expiration" in rule else None,
            abort_incomplete_multipart_upload=AbortIncompleteMultipartUpload(
                rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
            )
            if "AbortIncompleteMultipartUpload" in rule
            else None,
        )
        for rule in json.loads(command[1])["Rules"]
    ]
    client.set_bucket_lifecycle(bucket, LifecycleConfig(rules))
    stored = client.get_bucket_lifecycle(bucket)
    assert stored is not None and {rule.rule_id for rule in stored.rules} == {"compaware-work", "unfinished-uploads"}
