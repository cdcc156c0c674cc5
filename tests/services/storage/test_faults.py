"""Errors and damaged objects of the store are reported in one line; a partial transfer is never complete."""

import subprocess
import uuid
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from minio import Minio

from compaware.components.core.base.errors import UserError
from compaware.components.storage import delete, exists, fetch, upload

MIB = 2**20
OPERATIONS: list[Callable[[str, Path], object]] = [
    lambda uri, folder: fetch(uri, folder / "cache"),
    lambda uri, folder: upload(folder, uri),
    lambda uri, folder: exists(uri),
    lambda uri, folder: delete(uri),
]
NAMES = ["fetch", "upload", "exists", "delete"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "the secret key does not match the access key"),
        ("AWS_ACCESS_KEY_ID", "nobody", "the access key is unknown"),
    ],
)
def test_wrong_credentials_are_named(
    bucket: str,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    operation: Callable[[str, Path], object],
    variable: str,
    value: str,
    expected: str,
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=expected) as caught:
        operation(f"s3://{bucket}/model", model)
    assert len(str(caught.value).splitlines()) == 1


def test_without_credentials_access_is_denied(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match="access is denied"):
        fetch(f"s3://{bucket}/model", tmp_path)


def test_credentials_are_found_in_a_mounted_secret(
    bucket: str, model: Path, tmp_path: Path, client: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = client._provider.retrieve()
    (tmp_path / "accesskey").write_text(f"{keys.access_key}\n")
    (tmp_path / "secretkey").write_text(f"{keys.secret_key}\n")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("COMPAWARE_S3_SECRET_DIR", str(tmp_path))
    upload(model / "summary.json", f"s3://{bucket}/summary.json")
    assert exists(f"s3://{bucket}/summary.json")


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_a_missing_bucket_is_named(bucket: str, model: Path, operation: Callable[[str, Path], object]) -> None:
    with pytest.raises(UserError, match="no such bucket"):
        operation(f"s3://{bucket}-gone/model", model)


def test_nothing_there_is_named(bucket: str, tmp_path: Path) -> None:
    assert not exists(f"s3://{bucket}/model")
    with pytest.raises(UserError, match="no object with that key"):
        fetch(f"s3://{bucket}/model", tmp_path)


def test_a_quota_is_named_and_leaves_nothing_complete(
    model: Path, client: Minio, administer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = f"quota-{uuid.uuid4().hex[:8]}"
    keys = administer("user", "create", f"--uid={user}", f"--display-name={user}")["keys"][0]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["secret_key"])
    owned = Minio(client._base_url.host, keys["access_key"], keys["secret_key"], secure=False)
    owned.make_bucket(user)
    administer("quota", "set", f"--uid={user}", "--quota-scope=user", f"--max-size={MIB}")
    administer("quota", "enable", f"--uid={user}", "--quota-scope=user")
    with pytest.raises(UserError, match="quota is exceeded"):
        upload(model, f"s3://{user}/model")
    administer("quota", "disable", f"--uid={user}", "--quota-scope=user")
    assert not exists(f"s3://{user}/model")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda content: content[:-1], "truncated"),
        (lambda content: bytes([content[0] ^ 1]) + content[1:], "corrupt"),
    ],
    ids=["truncated", "corrupt"],
)
def test_a_damaged_object_is_not_returned(
    bucket: str, model: Path, tmp_path: Path, client: Minio, damage: Callable[[bytes], bytes], expected: str
) -> None:
    uri = f"s3://{bucket}/model"
    upload(model, uri)
    content = (model / "model.safetensors").read_bytes()
    damaged = damage(content)
    client.put_object(bucket, "model/model.safetensors", BytesIO(damaged), len(damaged))
    with pytest.raises(UserError, match=expected):
        fetch(uri, tmp_path / "cache")
    client.put_object(bucket, "model/model.safetensors", BytesIO(content), len(content))
    assert (fetch(uri, tmp_path / "cache") / "model.safetensors").read_bytes() == content


def test_a_lost_object_is_named(bucket: str, model: Path, tmp_path: Path, client: Minio) -> None:
    upload(model, f"s3://{bucket}/model")
    client.remove_object(bucket, "model/summary.json")
    with pytest.raises(UserError, match=r"summary\.json is missing"):
        fetch(f"s3://{bucket}/model", tmp_path / "cache")


def test_the_cache_evicts_the_least_recently_used_entry_but_none_in_use(
    bucket: str, tmp_path: Path, client: Minio, start: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    for name in ("a", "b", "c"):
        client.put_object(bucket, name, BytesIO(bytes(MIB)), MIB)
    cache = tmp_path / "cache"
    user = start(f"print(fetch('s3://{bucket}/a', Path('{cache}')), flush=True); input()")
    assert user.stdout is not None
    in_use = Path(user.stdout.readline().strip())
    once = start(f"print(fetch('s3://{bucket}/b', Path('{cache}')))")
    unused = Path(once.communicate(timeout=60)[0].strip())
    assert in_use.is_file() and unused.is_file()
    last = start(
        f"import os; os.environ['COMPAWARE_CACHE_MAX_BYTES'] = '{2 * MIB}'\n"
        f"print(fetch('s3://{bucket}/c', Path('{cache}')))"
    )
    assert Path(last.communicate(timeout=60)[0].strip()).is_file()
    assert in_use.is_file() and not unused.exists()
