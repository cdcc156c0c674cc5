"""A download equals the upload, and unchanged data are not transferred again."""

from io import BytesIO
from pathlib import Path

import pytest
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from compaware.components.core.base.errors import UserError
from compaware.components.storage import delete, exists, fetch, find, is_empty, read_text, upload
from tests.components.storage.test_names import ODD
from tests.services.storage.conftest import KillAfter, Start
from tests.services.storage.proxy import Proxy

MIB = 2**20


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the contents of all files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_downloaded_folder_equals_the_uploaded_one(bucket: str, model: Path, tmp_path: Path) -> None:
    uri = f"minio://{bucket}/runs/1/model"
    assert not exists(uri)
    upload(model, uri)
    assert exists(uri)
    fetched = fetch(uri, tmp_path / "cache", require_manifest=True)
    assert fetched.name == "model"
    assert contents(fetched) == contents(model)


def test_a_downloaded_file_equals_the_uploaded_one(bucket: str, large_model: Path, tmp_path: Path) -> None:
    uri = f"s3://{bucket}/weights.safetensors"
    upload(large_model / "model.safetensors", uri)
    assert exists(uri)
    fetched = fetch(uri, tmp_path, require_manifest=True)
    assert fetched.name == "weights.safetensors"
    assert fetched.read_bytes() == (large_model / "model.safetensors").read_bytes()


def test_the_uri_alone_can_name_the_store(
    bucket: str, model: Path, tmp_path: Path, client: Minio, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(model, f"s3://{bucket}/model")
    monkeypatch.delenv("S3_ENDPOINT")
    uri = f"minio://{bucket}/model?endpoint={client._base_url.host}&disableSSL=true&region=us-east-1"
    assert contents(fetch(uri, tmp_path / "cache")) == contents(model)


def test_a_second_fetch_of_unchanged_data_transfers_almost_nothing(
    bucket: str, model: Path, tmp_path: Path, proxy: Proxy
) -> None:
    upload(model, f"s3://{bucket}/ours")
    for file in ("model.safetensors", "summary.json"):
        upload(model / file, f"s3://{bucket}/plain/{file}")
    for uri in (f"s3://{bucket}/ours", f"s3://{bucket}/plain"):
        first = fetch(uri, tmp_path / "cache")
        before = proxy.received_bytes
        assert fetch(uri, tmp_path / "cache") == first
        assert proxy.received_bytes - before < 10_000


def test_an_unchanged_file_is_not_uploaded_again_and_a_removed_one_is_deleted(
    bucket: str, model: Path, tmp_path: Path, proxy: Proxy, client: Minio
) -> None:
    uri = f"s3://{bucket}/model"
    upload(model, uri)
    (model / "summary.json").write_text('{"score": 0.91}')
    (model / "empty").unlink()
    before = proxy.sent_bytes
    upload(model, uri)
    assert proxy.sent_bytes - before < MIB
    assert contents(fetch(uri, tmp_path / "cache", require_manifest=True)) == contents(model)
    assert "model/empty" not in {item.object_name for item in client.list_objects(bucket, recursive=True)}


def test_changed_data_is_fetched_again(bucket: str, client: Minio, tmp_path: Path) -> None:
    for text in (b"old", b"new"):
        client.put_object(bucket, "data/train.csv", BytesIO(text), len(text))
        assert (fetch(f"s3://{bucket}/data", tmp_path) / "train.csv").read_bytes() == text


def test_reading_one_small_file_downloads_no_other_file(bucket: str, model: Path, proxy: Proxy) -> None:
    upload(model, f"s3://{bucket}/model")
    before = proxy.received_bytes
    assert read_text(f"s3://{bucket}/model", "summary.json") == '{"score": 0.9}'
    assert proxy.received_bytes - before < 10_000
    with pytest.raises(UserError, match="has no file"):
        read_text(f"s3://{bucket}/model", "other.json")


def test_deleting_a_folder_keeps_keys_that_begin_alike(bucket: str, model: Path, client: Minio) -> None:
    for name in ("step-1", "step-10"):
        upload(model, f"s3://{bucket}/checkpoints/{name}")
    client._create_multipart_upload(bucket, "checkpoints/step-1/half", {})
    delete(f"s3://{bucket}/checkpoints/step-1")
    delete(f"s3://{bucket}/checkpoints/step-1")
    assert not exists(f"s3://{bucket}/checkpoints/step-1")
    assert exists(f"s3://{bucket}/checkpoints/step-10")
    names = {item.object_name.split("/")[1] for item in client.list_objects(bucket, recursive=True)}
    assert names == {"step-10"}
    assert client._list_multipart_uploads(bucket).uploads == []


def test_two_processes_share_one_download(
    bucket: str, large_model: Path, tmp_path: Path, proxy: Proxy, start: Start
) -> None:
    upload(large_model, f"s3://{bucket}/model")
    before = proxy.received_bytes
    children = [start(f"print(fetch('s3://{bucket}/model', Path('{tmp_path}/cache')))") for _ in range(2)]
    answers = {child.communicate(timeout=60)[0].strip() for child in children}
    assert len(answers) == 1
    assert contents(Path(answers.pop())) == contents(large_model)
    assert proxy.received_bytes - before < 41 * MIB


def test_a_killed_download_is_resumed(
    bucket: str, large_model: Path, tmp_path: Path, proxy: Proxy, kill_after: KillAfter
) -> None:
    uri, cache = f"s3://{bucket}/model", tmp_path / "cache"
    upload(large_model, uri)
    kill_after(34, f"fetch({uri!r}, Path('{cache}'))")
    assert not [path for path in cache.rglob("model.safetensors") if "incoming" not in path.parts]
    before = proxy.received_bytes
    assert contents(fetch(uri, cache)) == contents(large_model)
    assert proxy.received_bytes - before < 34 * MIB


def test_a_killed_upload_is_incomplete_and_is_resumed(
    bucket: str, large_model: Path, tmp_path: Path, proxy: Proxy, kill_after: KillAfter, client: Minio
) -> None:
    uri = f"s3://{bucket}/model"
    kill_after(34, f"upload(Path('{large_model}'), {uri!r})")
    assert not exists(uri)
    with pytest.raises(UserError, match="not complete"):
        fetch(uri, tmp_path / "cache", require_manifest=True)
    with pytest.raises(UserError, match="not complete"):
        read_text(uri, "summary.json")
    before = proxy.sent_bytes
    upload(large_model, uri)
    assert proxy.sent_bytes - before < 34 * MIB
    assert contents(fetch(uri, tmp_path / "cache", require_manifest=True)) == contents(large_model)
    assert client._list_multipart_uploads(bucket).uploads == []


def test_an_upload_resumed_with_other_contents_uploads_the_new_ones(
    bucket: str, large_model: Path, tmp_path: Path, kill_after: KillAfter
) -> None:
    uri = f"s3://{bucket}/model"
    kill_after(34, f"upload(Path('{large_model}'), {uri!r})")
    weights = bytearray((large_model / "model.safetensors").read_bytes())
    weights[0] ^= 1
    (large_model / "model.safetensors").write_bytes(weights[:-1])
    upload(large_model, uri)
    assert contents(fetch(uri, tmp_path / "cache", require_manifest=True)) == contents(large_model)


def test_a_killed_replacement_is_incomplete(bucket: str, large_model: Path, kill_after: KillAfter) -> None:
    uri = f"s3://{bucket}/model"
    upload(large_model, uri)
    (large_model / "model.safetensors").write_bytes(bytes(40 * MIB))
    kill_after(12, f"upload(Path('{large_model}'), {uri!r})")
    assert not exists(uri)


def test_odd_names(bucket: str, client: Minio, tmp_path: Path) -> None:
    for name in ODD:
        (tmp_path / "odd" / name).mkdir(parents=True)
        (tmp_path / "odd" / name / name).write_text(name)
    uri = f"s3://{bucket}/odd + %41 # é?"
    upload(tmp_path / "odd", uri)
    assert contents(fetch(uri, tmp_path / "cache", require_manifest=True)) == contents(tmp_path / "odd")
    for name in ODD:
        assert find(uri, name) == [f"{uri}/{name}/{name}"]
        assert fetch(f"{uri}/{name}/{name}", tmp_path / "cache").read_text() == name
    delete(uri)
    assert list(client.list_objects(bucket, recursive=True)) == []


def test_more_than_1000_files(bucket: str, client: Minio, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(1050):
        (tmp_path / "many" / f"{number} +").write_text(str(number))
    upload(tmp_path / "many", f"s3://{bucket}/many")
    assert len(contents(fetch(f"s3://{bucket}/many", tmp_path / "cache", require_manifest=True))) == 1050
    client.remove_object(bucket, "many/.compaware-manifest.json")
    assert contents(fetch(f"s3://{bucket}/many", tmp_path / "plain")) == contents(tmp_path / "many")
    delete(f"s3://{bucket}/many")
    assert list(client.list_objects(bucket, recursive=True)) == []


def test_a_bucket_with_versions(bucket: str, client: Minio, tmp_path: Path) -> None:
    client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    (tmp_path / "model").mkdir()
    uri = f"s3://{bucket}/model"
    for text in ("1", "2"):
        (tmp_path / "model" / "file").write_text(text)
        upload(tmp_path / "model", uri)
        assert contents(fetch(uri, tmp_path / "cache", require_manifest=True)) == {"file": text.encode()}
        delete(uri)
        assert is_empty(uri) and not exists(uri) and not exists(f"{uri}/file")
