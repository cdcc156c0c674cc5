"""Folders whose upload was killed are found, in a store and on a disk, but not those that are being uploaded."""

import os
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from minio import Minio

from compaware.components.storage import abandoned_uploads, discard, upload

DAY_S = 24 * 3600


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(bytes(1000))
    return tmp_path / "model"


def upload_half(model: Path, uri: str, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(f"compaware.components.storage.{place}", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            upload(model, uri)


def test_half_versions_in_a_store(bucket: str, client: Minio, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = f"s3://{bucket}/versions"
    upload(model, f"{prefix}/complete")
    upload(model, f"{prefix}/complete/nested")
    for name in ("half", "deeper/half"):
        upload_half(model, f"{prefix}/{name}", monkeypatch, "uploads._check")
    client._create_multipart_upload(bucket, "versions/half/large", {})
    assert abandoned_uploads(prefix) == []
    monkeypatch.setattr("compaware.components.storage.leftovers.ABANDONED_AFTER_S", 0)
    assert abandoned_uploads(f"{prefix}?region=us-east-1") == [f"{prefix}/half?region=us-east-1"]
    discard(f"{prefix}/half")
    assert abandoned_uploads(prefix) == []
    left = {item.object_name.split("/")[1] for item in client.list_objects(bucket, "versions/", recursive=True)}
    assert left == {"complete", "deeper"}
    assert client._list_multipart_uploads(bucket).uploads == []


def test_half_versions_on_a_disk(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = tmp_path / "versions"
    upload(model, f"{prefix}/complete")
    upload_half(model, f"{prefix}/half", monkeypatch, "disk.verify_folder")
    assert abandoned_uploads(str(prefix)) == []
    for path in [prefix / ".half.copy", *(prefix / ".half.copy").iterdir()]:
        os.utime(path, (time.time() - 2 * DAY_S,) * 2)
    assert abandoned_uploads(str(prefix)) == [f"{prefix}/.half.copy"]
    discard(f"{prefix}/.half.copy")
    assert [path.name for path in prefix.iterdir()] == ["complete"]


def test_nothing_is_found_where_nothing_is(bucket: str, tmp_path: Path) -> None:
    assert abandoned_uploads(f"s3://{bucket}/nothing") == abandoned_uploads(str(tmp_path / "nothing")) == []
