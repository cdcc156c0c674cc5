"""A store that stalls or is killed: transfers fail after the timeout if it stays away, and resume if it returns.

All tests share a bucket, because this store needs half a minute to create one after a kill.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from minio import Minio

from compaware.components.core.base.errors import UnavailableError
from compaware.components.storage import exists, fetch, upload
from tests.services.storage.conftest import new_bucket
from tests.services.storage.proxy import Proxy

Fault = Callable[[str], None]
MIB = 2**20


@pytest.fixture(scope="module")
def bucket(client: Minio) -> Iterator[str]:
    """The shared bucket."""
    with new_bucket(client) as name:
        yield name


def test_a_stalled_server_is_reported(
    bucket: str, model: Path, tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPAWARE_STORAGE_PATIENCE_S", "3")
    upload(model, f"s3://{bucket}/model")
    fault("stall")
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="does not answer") as caught:
        upload(model / "summary.json", f"s3://{bucket}/summary.json")
    assert "no answer in time" in str(caught.value)
    assert time.monotonic() - started < 60
    fault("resume")
    assert fetch(f"s3://{bucket}/model", tmp_path / "cache").is_dir()


def test_a_killed_server_is_reported(
    bucket: str, tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPAWARE_STORAGE_PATIENCE_S", "2")
    fault("kill")
    with pytest.raises(UnavailableError, match="does not answer"):
        fetch(f"s3://{bucket}/model", tmp_path)


def test_an_upload_survives_a_kill_of_the_server(
    bucket: str, large_model: Path, tmp_path: Path, proxy: Proxy, fault: Fault
) -> None:
    uri = f"s3://{bucket}/sent"
    proxy.hold_after(20 * MIB)
    with ThreadPoolExecutor(1) as pool:
        uploading = pool.submit(upload, large_model, uri)
        proxy.wait_until_held()
        fault("kill")
        proxy.release()
        time.sleep(1)
        assert not uploading.done()
        fault("restart")
        uploading.result(timeout=120)
    fetched = fetch(uri, tmp_path / "cache", require_manifest=True)
    assert (fetched / "model.safetensors").read_bytes() == (large_model / "model.safetensors").read_bytes()


def test_a_download_survives_a_kill_of_the_server(
    bucket: str, large_model: Path, tmp_path: Path, proxy: Proxy, fault: Fault
) -> None:
    uri = f"s3://{bucket}/fetched"
    upload(large_model, uri)
    proxy.hold_after(20 * MIB)
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(fetch, uri, tmp_path / "cache")
        proxy.wait_until_held()
        fault("kill")
        proxy.release()
        fault("restart")
        fetched = fetching.result(timeout=120)
    assert (fetched / "model.safetensors").read_bytes() == (large_model / "model.safetensors").read_bytes()


def test_an_upload_survives_a_stall_of_the_server(
    bucket: str, large_model: Path, tmp_path: Path, proxy: Proxy, fault: Fault
) -> None:
    uri = f"s3://{bucket}/stalled"
    proxy.hold_after(20 * MIB)
    with ThreadPoolExecutor(1) as pool:
        uploading = pool.submit(upload, large_model, uri)
        proxy.wait_until_held()
        fault("stall")
        proxy.release()
        time.sleep(2)
        assert not uploading.done()
        fault("resume")
        uploading.result(timeout=120)
    assert exists(uri)
