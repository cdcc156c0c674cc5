"""A real object store with fault switches; the environment says where it is.

S3_ENDPOINT, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: the store. OBJECT_STORE_FAULT: a command that takes `stall`,
`resume`, `kill` or `restart`. OBJECT_STORE_ADMIN: `radosgw-admin` with the options that it needs for this store.
"""

import json
import os
import random
import shlex
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from minio import Minio

from tests.services.storage.proxy import Proxy

Fault = Callable[[str], None]
Start = Callable[[str], subprocess.Popen[str]]
KillAfter = Callable[[int, str], None]


def needed(variable: str) -> str:
    """Returns a variable's value; the test fails in one line without it."""
    if not os.environ.get(variable):
        pytest.fail(f"set {variable}: these tests need a real object store (see tests/services/storage)", pytrace=False)
    return os.environ[variable]


@contextmanager
def new_bucket(client: Minio) -> Iterator[str]:
    """Creates a bucket with a unique name, and empties it afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    client.make_bucket(name)
    yield name
    for upload in client._list_multipart_uploads(name).uploads:
        client._abort_multipart_upload(name, upload.object_name, upload.upload_id)
    for item in client.list_objects(name, recursive=True):
        client.remove_object(name, item.object_name)


@pytest.fixture(autouse=True)
def store_of_minio_uris(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the store that of `minio://`, too."""
    monkeypatch.setenv("MINIO_ENDPOINT", needed("S3_ENDPOINT"))


@pytest.fixture(scope="session")
def client() -> Minio:
    """A client of the store, to prepare and inspect it."""
    address = urlsplit(needed("S3_ENDPOINT"))
    return Minio(
        address.netloc,
        access_key=needed("AWS_ACCESS_KEY_ID"),
        secret_key=needed("AWS_SECRET_ACCESS_KEY"),
        secure=address.scheme == "https",
    )


@pytest.fixture
def bucket(client: Minio) -> Iterator[str]:
    """An empty bucket."""
    with new_bucket(client) as name:
        yield name


@pytest.fixture
def proxy(client: Minio, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A relay in front of the store that counts bytes and can hold them back; `S3_ENDPOINT` is its address."""
    address = urlsplit(os.environ["S3_ENDPOINT"])
    with Proxy(str(address.hostname), int(address.port or 80)) as relay:
        monkeypatch.setenv("S3_ENDPOINT", relay.address)
        yield relay


@pytest.fixture
def fault() -> Iterator[Fault]:
    """Causes a fault of the store, which is undone after the test."""
    command = shlex.split(needed("OBJECT_STORE_FAULT"))
    done = []

    def inject(kind: str) -> None:
        done.append(kind)
        subprocess.run([*command, kind], check=True, timeout=200)

    yield inject
    if done and done[-1] in ("stall", "kill"):
        inject({"stall": "resume", "kill": "restart"}[done[-1]])


@pytest.fixture
def administer() -> Callable[..., Any]:
    """Runs radosgw-admin and returns its JSON, if any."""
    command = shlex.split(needed("OBJECT_STORE_ADMIN"))

    def run(*arguments: str) -> Any:
        done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True, timeout=120)
        return json.loads(done.stdout) if done.stdout.startswith("{") else None

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder like a model's: 2 MiB of weights, a small file, a nested file, and an empty one."""
    folder = tmp_path / "model"
    (folder / "odd ü+ #1?").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(random.Random(1).randbytes(2 * 2**20))
    (folder / "summary.json").write_text('{"score": 0.9}')
    (folder / "odd ü+ #1?" / "vocab & more.txt").write_text("a\nb\n")
    (folder / "empty").touch()
    return folder


@pytest.fixture
def large_model(model: Path) -> Path:
    """The same with 40 MiB of weights: of six parts sent four at a time, at least one is complete after 34 MiB."""
    (model / "model.safetensors").write_bytes(random.Random(1).randbytes(40 * 2**20 + 7))
    return model


@pytest.fixture
def start() -> Iterator[Start]:
    """Runs code that can use `fetch`, `upload` and `Path` in another process."""
    children = []

    def run(code: str) -> subprocess.Popen[str]:
        lines = f"from pathlib import Path\nfrom compaware.components.storage import fetch, upload\n{code}"
        command = [sys.executable, "-c", lines]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield run
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture
def kill_after(proxy: Proxy, start: Start) -> KillAfter:
    """Runs such code and kills its process once it has transferred that many MiB."""

    def kill(mebibytes: int, code: str) -> None:
        proxy.hold_after(mebibytes * 2**20)
        child = start(code)
        proxy.wait_until_held()
        child.kill()
        child.wait()
        proxy.release()

    return kill
