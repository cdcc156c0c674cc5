"""The table of rights in components/storage/README.md, with the policies of a real store."""

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from compaware.components.core.base.errors import UserError
from compaware.components.storage import copy, delete, discard, exists, fetch, is_empty, read_text, upload
from tests.services.storage.conftest import KillAfter
from tests.services.storage.proxy import Proxy

README = Path(__file__).parents[3] / "components" / "storage" / "README.md"
MIB = 2**20
Grant = Callable[..., None]


def rights_of(use: str) -> list[str]:
    """Returns the rights of the rows of the table whose use begins so."""
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {use}")]
    assert rows, use
    return [right for row in rows for right in re.findall(r"`(s3:\w+)`", row)]


@pytest.fixture
def grant(
    bucket: str, client: Minio, administer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Grant]:
    """Gives the credentials of the environment, those of another user, some rights on the bucket and no others."""
    user = f"user-{uuid.uuid4().hex[:8]}"
    keys = administer("user", "create", f"--uid={user}", f"--display-name={user}")["keys"][0]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["secret_key"])

    def give(*rights: str) -> None:
        principal = {"AWS": [f"arn:aws:iam:::user/{user}"]}
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        statement = {"Effect": "Allow", "Principal": principal, "Action": list(rights), "Resource": resources}
        client.set_bucket_policy(bucket, json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    yield give
    client.delete_bucket_policy(bucket)


def test_what_components_uploaded_can_be_read(
    bucket: str, model: Path, tmp_path: Path, grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant(*rights_of("upload outputs"))
    upload(model, f"s3://{bucket}/model")
    upload(model / "summary.json", f"s3://{bucket}/summary.json")
    grant(*rights_of("read one object"))
    assert exists(f"s3://{bucket}/model") and exists(f"s3://{bucket}/summary.json")
    assert read_text(f"s3://{bucket}/model", "summary.json") == '{"score": 0.9}'
    assert (fetch(f"s3://{bucket}/model", tmp_path / "cache", require_manifest=True) / "empty").is_file()
    assert fetch(f"s3://{bucket}/summary.json", tmp_path / "cache", require_manifest=True).is_file()
    grant(*rights_of("read a folder of other objects"))
    with pytest.raises(UserError, match=r"access is denied.*s3:PutObject"):
        upload(model / "summary.json", f"s3://{bucket}/summary.json")


def test_a_folder_of_other_objects_can_be_read(bucket: str, tmp_path: Path, client: Minio, grant: Grant) -> None:
    client.fput_object(bucket, "data/train.csv", __file__)
    grant(*rights_of("read a folder of other objects"))
    assert (fetch(f"s3://{bucket}/data", tmp_path) / "train.csv").is_file()
    grant(*rights_of("read one object"))
    assert fetch(f"s3://{bucket}/data/train.csv", tmp_path).is_file()
    with pytest.raises(UserError, match=r"access is denied.*s3:ListBucket"):
        fetch(f"s3://{bucket}/data", tmp_path)


def test_an_upload_that_may_not_delete_succeeds_with_a_warning(
    bucket: str, large_model: Path, tmp_path: Path, grant: Grant, caplog: pytest.LogCaptureFixture
) -> None:
    grant(*rights_of("upload outputs"))
    uri = f"s3://{bucket}/model"
    assert is_empty(uri)
    upload(large_model, uri)
    copy(uri, f"{uri}-2")
    assert exists(f"{uri}-2")
    (large_model / "summary.json").unlink()
    with caplog.at_level(logging.WARNING):
        upload(large_model, uri)
        discard(uri)
    assert "1 files of an earlier upload stay" in caplog.text and f"{uri} stays: " in caplog.text
    assert not (fetch(uri, tmp_path / "cache", require_manifest=True) / "summary.json").exists()
    with pytest.raises(UserError, match=r"access is denied.*s3:DeleteObject"):
        delete(uri)
    assert exists(uri)
    grant(*rights_of("upload outputs"), *rights_of("remove checkpoints"))
    discard(uri)
    assert is_empty(uri)


def test_a_killed_upload_is_resumed(
    bucket: str, large_model: Path, proxy: Proxy, kill_after: KillAfter, client: Minio, grant: Grant
) -> None:
    grant(*rights_of("upload outputs"), *rights_of("resume a killed upload"))
    uri = f"s3://{bucket}/model"
    kill_after(34, f"upload(Path('{large_model}'), {uri!r})")
    before = proxy.sent_bytes
    upload(large_model, uri)
    assert proxy.sent_bytes - before < 34 * MIB
    assert client._list_multipart_uploads(bucket).uploads == []
