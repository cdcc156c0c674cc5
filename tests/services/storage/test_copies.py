"""A copy within a real store is complete, and its data do not pass through this machine."""

from pathlib import Path

import pytest
from minio import Minio

from compaware.components.core.base.errors import UserError
from compaware.components.storage import copy, delete, exists, fetch, has_unfinished_upload, upload
from tests.services.storage.proxy import Proxy
from tests.services.storage.test_round_trip import contents


def test_a_copied_folder_equals_its_source(bucket: str, large_model: Path, tmp_path: Path, proxy: Proxy) -> None:
    source, target = f"s3://{bucket}/first/model", f"s3://{bucket}/second/model"
    upload(large_model, source)
    before = proxy.sent_bytes + proxy.received_bytes
    copy(source, target)
    assert proxy.sent_bytes + proxy.received_bytes - before < 2**17
    delete(source)
    assert exists(target) and not has_unfinished_upload(target)
    assert contents(fetch(target, tmp_path / "cache", require_manifest=True)) == contents(large_model)


def test_checkpoints_are_copied_with_their_manifests(bucket: str, model: Path, tmp_path: Path) -> None:
    work = f"minio://{bucket}/compaware-work/first"
    upload(model, f"{work}/checkpoint-5")
    (tmp_path / "checkpoints.json").write_text("{}")
    upload(tmp_path / "checkpoints.json", f"{work}/checkpoints.json")
    copy(work, f"minio://{bucket}/compaware-work/second")
    for name in ("checkpoint-5", "checkpoints.json"):
        fetch(f"minio://{bucket}/compaware-work/second/{name}", tmp_path / "cache", require_manifest=True)


def test_what_cannot_be_copied_is_named(bucket: str, client: Minio) -> None:
    with pytest.raises(UserError, match="there are no files"):
        copy(f"s3://{bucket}/nothing", f"s3://{bucket}/target")
    with pytest.raises(UserError, match="they must be in one bucket"):
        copy(f"s3://{bucket}/model", "s3://elsewhere/model")
