"""Files and folders in an S3 server: fetch, upload, and errors of one line."""

import datetime
import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from unittest.mock import Mock

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from minio import Minio

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.storage import exists, fetch, find, has_unfinished_upload, upload
from tests.components.storage.conftest import KEYS, s3_server


def test_one_object(bucket: str, tmp_path: Path) -> None:
    assert fetch(f"s3://{bucket}/reviews/train.csv", tmp_path).read_text() == "reviews/train.csv"
    odd = fetch(f"minio://{bucket}/odd ü #1?.csv", tmp_path)
    assert odd.name == odd.read_text() == "odd ü #1?.csv"


def test_a_folder_without_a_manifest(bucket: str, tmp_path: Path) -> None:
    folder = fetch(f"s3://{bucket}/reviews/", tmp_path)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"train.csv", "shards/validation.csv"}
    assert not exists(f"s3://{bucket}/reviews")
    with pytest.raises(UserError, match="not complete"):
        fetch(f"s3://{bucket}/reviews", tmp_path, require_manifest=True)


def test_files_of_a_name_are_found_below_a_folder(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("again")
    upload(tmp_path / "train.csv", f"s3://{bucket}/reviews/again/train.csv")
    uris = find(f"s3://{bucket}/reviews?region=us-east-1", "train.csv")
    names = {"reviews/train.csv", "reviews/again/train.csv"}
    assert set(uris) == {f"s3://{bucket}/{name}?region=us-east-1" for name in names}
    assert {fetch(uri, tmp_path / "cache").read_text() for uri in uris} == {"reviews/train.csv", "again"}
    assert find(f"s3://{bucket}/nowhere", "train.csv") == []


def test_files_of_a_name_are_found_oldest_first(tmp_path: Path) -> None:
    files = [tmp_path / name / "report" for name in ("b", "a", "c")]
    for number, file in enumerate(files):
        file.parent.mkdir()
        file.touch()
        os.utime(file, (number, number))
    assert find(tmp_path.as_uri(), "report") == [str(file) for file in files]


def test_an_uploaded_folder_is_complete(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"0123456789")
    upload(tmp_path / "model", f"s3://{bucket}/model")
    assert exists(f"s3://{bucket}/model")
    fetched = fetch(f"s3://{bucket}/model", tmp_path / "cache", require_manifest=True)
    assert [path.name for path in fetched.iterdir()] == ["weights"]


def test_an_unfinished_upload_is_recognized(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri, folder = f"s3://{bucket}/half", tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"0123456789")
    with monkeypatch.context() as killed:
        killed.setattr("compaware.components.storage.uploads._check", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            upload(folder, uri)
    assert not exists(uri) and has_unfinished_upload(uri)
    upload(folder, uri)
    assert exists(uri) and not has_unfinished_upload(uri)
    assert not has_unfinished_upload(f"s3://{bucket}/reviews")


def test_an_unusable_cache_folder_is_named(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"cannot use {tmp_path}/file"):
        fetch(f"s3://{bucket}/reviews", tmp_path / "file")


def test_an_endpoint_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 does not answer \(no connection\)"):
        fetch("s3://bucket/reviews", tmp_path)


@contextmanager
def server_that_answers(*answers: tuple[int, str]) -> Iterator[str]:
    """A server with the given answers in order, the last one repeated; yields its address."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Type", "application/xml" if body.startswith("<Error") else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def refusal(code: str) -> str:
    return f"<Error><Code>{code}</Code><Message>two\nlines</Message></Error>"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, refusal("ExpiredToken"), "the session token has expired: get new credentials"),
        (400, refusal("InvalidToken"), "the session token is not valid"),
        (403, refusal("QuotaExceeded"), "the quota is exceeded"),
        (418, refusal("Unheard"), "Unheard two lines"),
        (200, "<html><p>A console", "does not answer as an object store"),
        (404, "<html>Not here</html>", "does not answer as an object store"),
    ],
)
def test_a_refusal_is_one_line(
    status: int, body: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server_that_answers((status, body)) as address:
        monkeypatch.setenv("S3_ENDPOINT", address)
        monkeypatch.setenv("AWS_SESSION_TOKEN", "of no use")
        with pytest.raises(UserError, match=expected) as caught:
            fetch("s3://bucket/reviews", tmp_path)
    assert len(str(caught.value).splitlines()) == 1
    assert "of no use" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, refusal("SlowDown"), r"does not answer \(SlowDown\)"),
        (502, "<html>Bad gateway</html>", r"does not answer \(HTTP 502 Bad Gateway\)"),
    ],
)
def test_a_server_that_keeps_failing_is_unavailable_and_not_an_error_of_the_user(
    status: int, body: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server_that_answers((status, body)) as address:
        monkeypatch.setenv("S3_ENDPOINT", address)
        with pytest.raises(UnavailableError, match=expected) as caught:
            fetch("s3://bucket/reviews", tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_component_exits_with_75_if_its_store_does_not_answer(tmp_path: Path) -> None:
    words = [f"output={tmp_path}/out", "quantized=s3://bucket/model"]
    done = subprocess.run(
        [sys.executable, "-m", "compaware.components.accuracy_gate", *words],
        env={**os.environ, "S3_ENDPOINT": "http://127.0.0.1:9", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 75
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("unavailable: cannot read s3://bucket/model: ")


def test_a_failed_request_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ((503, refusal("SlowDown")), (500, refusal("InternalError")), (404, refusal("NoSuchBucket")))
    with server_that_answers(*answers) as address:
        monkeypatch.setenv("S3_ENDPOINT", address)
        monkeypatch.setenv("COMPAWARE_STORAGE_PATIENCE_S", "30")
        with pytest.raises(UserError, match="no such bucket"):
            fetch("s3://bucket/reviews", tmp_path)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1; its key is next to it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    file.with_suffix(".key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


def test_a_store_with_a_self_signed_certificate(
    certificate: Path, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    with s3_server("-s", "-c", str(certificate), "-k", str(certificate.with_suffix(".key"))) as host:
        uri = f"s3://bucket-of-ours/file?endpoint={host}&region=us-east-1"
        with pytest.raises(UserError, match=r"self-signed.*COMPAWARE_CA_FILE"):
            upload(tmp_path / "file", uri)
        monkeypatch.setenv("COMPAWARE_CA_FILE", str(certificate))
        with pytest.raises(UserError, match="no such bucket"):
            upload(tmp_path / "file", uri)
    Minio(store, *KEYS, secure=False).make_bucket("without-tls")
    with pytest.raises(UserError, match="not a TLS server"):
        upload(tmp_path / "file", f"s3://without-tls/file?endpoint={store}")
