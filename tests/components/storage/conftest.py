"""A small S3 server in another process; tests with a real one are in tests/services/storage."""

import os
import random
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from minio import Minio

from tests.components.storage.relay import Relay, relay_to

KEYS = ("tester", "not-checked")


@contextmanager
def s3_server(*options: str) -> Iterator[str]:
    """Runs the server; yields its host and port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port), *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    """Host and port of a server without TLS."""
    with s3_server() as host:
        yield host


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the credentials and clears all other variables of the store."""
    prefixes = ("S3_", "AWS_", "MINIO_", "COMPAWARE_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in list(os.environ):
        if name.upper().startswith(prefixes) or name == "SSL_CERT_FILE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS[1])
    monkeypatch.setenv("COMPAWARE_STORAGE_PATIENCE_S", "2")


@pytest.fixture
def client(store: str) -> Minio:
    """A client of the store, to prepare and inspect it."""
    return Minio(store, *KEYS, secure=False)


@pytest.fixture
def bucket(store: str, client: Minio, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with a folder of two objects and a folder with the same prefix; the endpoints are its store."""
    monkeypatch.setenv("S3_ENDPOINT", f"http://{store}")
    monkeypatch.setenv("MINIO_ENDPOINT", f"http://{store}")
    name = f"test-{uuid.uuid4().hex[:12]}"
    client.make_bucket(name)
    for key in ("reviews/train.csv", "reviews/shards/validation.csv", "reviews-old/train.csv", "odd ü #1?.csv"):
        client.put_object(name, key, BytesIO(key.encode()), len(key.encode()))
    return name


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A folder with one file of two parts."""
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "weights").write_bytes(random.Random(1).randbytes(9 * 2**20))
    return tmp_path / "large"


def _wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the S3 server did not start within 30 s")


@pytest.fixture
def relay(bucket: str, store: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """A relay in front of the store; `S3_ENDPOINT` is its address."""
    with relay_to(store) as server:
        monkeypatch.setenv("S3_ENDPOINT", server.address)
        yield server
