"""Odd names and places: special characters, Unicode forms, folder markers, equal prefixes, versions, dots, slashes."""

import os
import subprocess
import sys
import unicodedata
from io import BytesIO
from pathlib import Path

import pytest
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from compaware.components.core.base.errors import UserError
from compaware.components.storage import delete, exists, fetch, find, is_empty, upload
from compaware.components.storage.store import Store
from compaware.components.storage.uri import Location, parse
from tests.components.storage.relay import Answer, Relay, always

ODD = [
    "a b",
    " c ",
    "d+e",
    "f%41%2F%",
    "g#h",
    "i?j",
    "k&l=m;n",
    "o'p\"q<r>",
    "s\\t",
    "u:v@w",
    "x~y*z",
    "~",
    "-",
    "日本語 🎬",
    unicodedata.normalize("NFC", "é"),
    unicodedata.normalize("NFD", "é"),
]


def test_odd_names_survive_an_upload_and_a_deletion(bucket: str, client: Minio, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    for name in ODD:
        (folder / name).mkdir(parents=True)
        (folder / name / name).write_text(name)
    uri = f"s3://{bucket}/runs/odd + %41 # é?"
    for target in (uri, str(tmp_path / "on a disk %41 #?")):
        upload(folder, target)
        fetched = fetch(target, tmp_path / "cache", require_manifest=True)
        contents = {path.relative_to(fetched).as_posix(): path.read_text() for path in fetched.rglob("*/*")}
        assert contents == {f"{name}/{name}": name for name in ODD}
    found = {name: find(uri, name) for name in ODD}
    assert found == {name: [f"{uri}/{name}/{name}"] for name in ODD}
    for uris in found.values():
        assert exists(uris[0]) and fetch(uris[0], tmp_path / "cache").read_text() in ODD
    delete(uri)
    assert list(client.list_objects(bucket, "runs/", recursive=True)) == []


def test_a_key_that_ends_like_parameters_is_not_taken_for_them(bucket: str, client: Minio, tmp_path: Path) -> None:
    client.put_object(bucket, "runs/a?endpoint=other/report", BytesIO(b"1"), 1)
    assert find(f"s3://{bucket}/runs", "report") == []
    (uri,) = find(f"s3://{bucket}/runs?region=us-east-1", "report")
    assert fetch(uri, tmp_path).read_bytes() == b"1"
    with pytest.raises(UserError, match="unknown parameter 'b'"):
        fetch(f"s3://{bucket}/a?b=c", tmp_path)


@pytest.mark.parametrize("name", ["a\nb", "a\x01b", os.fsdecode(b"a\xff")])
def test_a_file_whose_name_cannot_be_stored_is_named(bucket: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).touch()
    for uri in (f"s3://{bucket}/folder", str(tmp_path / "copy")):
        with pytest.raises(UserError, match="rename it") as caught:
            upload(tmp_path / "folder", uri)
        assert str(caught.value).encode() and len(str(caught.value).splitlines()) == 1


def test_markers_of_folders_are_no_files(bucket: str, client: Minio, tmp_path: Path) -> None:
    for key in ("data/", "data/shards/", "only/"):
        client.put_object(bucket, key, BytesIO(b""), 0)
    client.put_object(bucket, "data/shards/1.csv", BytesIO(b"1"), 1)
    folder = fetch(f"s3://{bucket}/data", tmp_path)
    assert [path.name for path in folder.rglob("*")] == ["shards", "1.csv"]
    assert is_empty(f"s3://{bucket}/only") and not exists(f"s3://{bucket}/only")
    with pytest.raises(UserError, match="no object with that key"):
        fetch(f"s3://{bucket}/only", tmp_path)
    delete(f"s3://{bucket}/data")
    assert {item.object_name for item in client.list_objects(bucket)} & {"data/", "data"} == set()


def test_an_object_and_a_folder_of_one_name(bucket: str, client: Minio, tmp_path: Path) -> None:
    for key in ("both", "both/1.csv", "both-2"):
        client.put_object(bucket, key, BytesIO(key.encode()), len(key))
    assert fetch(f"s3://{bucket}/both", tmp_path).read_text() == "both"
    assert [path.name for path in fetch(f"s3://{bucket}/both/", tmp_path).iterdir()] == ["1.csv"]
    delete(f"s3://{bucket}/both/")
    assert fetch(f"s3://{bucket}/both", tmp_path).read_text() == "both"
    delete(f"s3://{bucket}/both")
    assert not exists(f"s3://{bucket}/both") and exists(f"s3://{bucket}/both-2")


def test_a_file_and_a_folder_are_not_mistaken_for_each_other(bucket: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("1")
    with pytest.raises(UserError, match="add the file's name"):
        upload(folder / "file", f"s3://{bucket}/folder/")
    upload(folder, f"s3://{bucket}/folder/")
    assert exists(f"s3://{bucket}/folder") and exists(f"s3://{bucket}/folder/")
    with pytest.raises(UserError, match="uploaded a folder there"):
        upload(folder / "file", f"s3://{bucket}/folder")


def test_empty_files_and_folders(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "model" / "empty").mkdir(parents=True)
    (tmp_path / "model" / "file").touch()
    for uri in (f"s3://{bucket}/model", str(tmp_path / "copy")):
        upload(tmp_path / "model", uri)
        assert (fetch(uri, tmp_path / "cache", require_manifest=True) / "file").read_bytes() == b""
        upload(tmp_path / "model" / "file", f"{uri}-file")
        assert fetch(f"{uri}-file", tmp_path / "cache", require_manifest=True).read_bytes() == b""


def test_a_folder_with_a_manifest_below_it_is_copied(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    upload(tmp_path / "a", str(tmp_path / "versions" / "1"))
    upload(tmp_path / "versions", str(tmp_path / "copy"))
    assert exists(str(tmp_path / "copy")) and exists(str(tmp_path / "copy" / "1"))


def test_a_bucket_with_versions(bucket: str, client: Minio, tmp_path: Path) -> None:
    client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    (tmp_path / "model").mkdir()
    uri = f"s3://{bucket}/model"
    for text in ("1", "2"):
        (tmp_path / "model" / "file").write_text(text)
        upload(tmp_path / "model", uri)
        assert (fetch(uri, tmp_path / "cache", require_manifest=True) / "file").read_text() == text
        delete(uri)
        assert is_empty(uri) and not exists(uri) and not exists(f"{uri}/file")
    delete(uri)
    markers = list(client.list_objects(bucket, "model", recursive=True, include_version=True))
    assert [item.object_name for item in markers if item.is_delete_marker] == [
        *["model/.compaware-manifest.json"] * 2,
        *["model/file"] * 2,
    ]


def test_a_bucket_with_dots_in_its_name(store: str, bucket: str, client: Minio, tmp_path: Path) -> None:
    client.make_bucket(f"{bucket}.example.com")
    (tmp_path / "file").write_text("1")
    upload(tmp_path / "file", f"s3://{bucket}.example.com/file")
    assert fetch(f"s3://{bucket}.example.com/file", tmp_path / "cache").read_text() == "1"
    # With TLS the certificate of *.s3.amazonaws.com does not cover it as a part of the host.
    location = parse("s3://with.dots/key?endpoint=s3.amazonaws.com&region=eu-west-1")
    assert isinstance(location, Location)
    url = Store(location, "read").client.presigned_get_object("with.dots", "key")
    assert url.startswith("https://s3.eu-west-1.amazonaws.com/with.dots/key?")


def test_plain_http_to_a_server_with_tls_is_named(
    bucket: str, relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Go's net/http answers so.
    message = b"Client sent an HTTP request to an HTTPS server.\n"
    relay.rule = always(lambda request: True, Answer(400, message, {"content-type": "text/plain; charset=utf-8"}))
    with pytest.raises(UserError, match="write https:// in the endpoint if it has TLS"):
        fetch(f"s3://{bucket}/reviews", tmp_path)
    # Other servers send an alert of TLS.
    code = (
        "import socket; server = socket.create_server(('127.0.0.1', 0)); print(server.getsockname()[1], flush=True)\n"
        "while True: near = server.accept()[0]; near.recv(9999); near.sendall(bytes.fromhex('15030300020246')); "
        "near.close()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        monkeypatch.setenv("S3_ENDPOINT", f"http://127.0.0.1:{server.stdout.readline().strip()}")
        with pytest.raises(UserError, match=r"does not speak HTTP.*write https://"):
            fetch(f"s3://{bucket}/reviews", tmp_path)
        server.kill()
