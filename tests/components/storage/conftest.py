"""A real object store: the one that `S3_ENDPOINT` names, else a moto server in a process of its own."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from minio import Minio

HAS_STORE = bool(os.environ.get("S3_ENDPOINT"))
# moto lets every secret in, so what a store refuses can only be seen with a real one.
collect_ignore = [] if HAS_STORE else ["test_refusals.py"]


@pytest.fixture(scope="session")
def store_environment() -> Iterator[dict[str, str]]:
    """The variables that name the store and its credentials."""
    if HAS_STORE:
        yield {name: os.environ[name] for name in ("S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield {
            "S3_ENDPOINT": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "not-checked",
        }
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture
def bucket(store_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with a folder of two objects and a neighbour whose key begins alike; the environment names its store."""
    for name, value in store_environment.items():
        monkeypatch.setenv(name, value)
    client = Minio(
        urlsplit(store_environment["S3_ENDPOINT"]).netloc,
        access_key=store_environment["AWS_ACCESS_KEY_ID"],
        secret_key=store_environment["AWS_SECRET_ACCESS_KEY"],
        secure=False,
    )
    name = f"test-{uuid.uuid4().hex[:12]}"
    client.make_bucket(name)
    for key in ("reviews/train.csv", "reviews/shards/validation.csv", "reviews-old/train.csv", "odd ü #1?.csv"):
        client.put_object(name, key, BytesIO(key.encode()), len(key.encode()))
    return name


def _wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the moto server did not start within 30 s")
