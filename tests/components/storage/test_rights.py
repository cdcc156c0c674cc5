"""Fewer rights than all: what they are enough for works, and the right that is missing is named.

tests/services/storage/test_rights.py has the same with the policies of a real store.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from minio import Minio

from compaware.components.core.base.errors import UserError
from compaware.components.storage import delete, discard, exists, fetch, is_empty, read_text, upload
from tests.components.storage.relay import Answer, Forward, Relay, Request

Condition = Callable[[Request], bool]


def _reads(request: Request) -> bool:
    return request.method in ("GET", "HEAD") and request.has_key and "uploadId" not in request.query


RIGHTS: dict[str, Condition] = {
    "s3:GetObject": _reads,
    "s3:PutObject": lambda request: request.method == "PUT" or (request.method == "POST" and request.has_key),
    "s3:DeleteObject": lambda request: request.method == "DELETE" and "uploadId" not in request.query,
    "s3:ListBucket": lambda request: request.method == "GET" and "list-type" in request.query,
    "s3:ListBucketMultipartUploads": lambda request: request.method == "GET" and "uploads" in request.query,
    "s3:ListMultipartUploadParts": lambda request: request.method == "GET" and "uploadId" in request.query,
    "s3:AbortMultipartUpload": lambda request: request.method == "DELETE" and "uploadId" in request.query,
    "s3:GetBucketLocation": lambda request: "location" in request.query,
}


def deny(relay: Relay, *rights: str) -> None:
    """Lets the store deny rights, as Amazon S3 does: without ListBucket it also denies to read what is not there."""

    def rule(request: Request, forward: Forward) -> Answer:
        if any(RIGHTS[right](request) for right in rights):
            return Answer(403) if request.method == "HEAD" else Answer.error(403, "AccessDenied")
        if "delete" in request.query and "s3:DeleteObject" in rights:
            body = b"<DeleteResult><Error><Key>a key</Key><Code>AccessDenied</Code></Error></DeleteResult>"
            return Answer(200, body, {"content-type": "application/xml"})
        answer = forward(request)
        if answer.status == 404 and _reads(request) and "s3:ListBucket" in rights:
            return Answer(403) if request.method == "HEAD" else Answer.error(403, "AccessDenied")
        return answer

    relay.rule = rule


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(bytes(9 * 2**20))
    (tmp_path / "model" / "summary.json").write_text("{}")
    return tmp_path / "model"


def test_uploads_need_no_deletion_and_no_list_of_unfinished_uploads(
    bucket: str, relay: Relay, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deny(
        relay,
        "s3:DeleteObject",
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
        "s3:AbortMultipartUpload",
        "s3:GetBucketLocation",
    )
    uri = f"s3://{bucket}/model"
    assert is_empty(uri)
    upload(model, uri)
    (model / "summary.json").rename(model / "renamed.json")
    with caplog.at_level(logging.INFO):
        upload(model, uri)
        upload(model / "weights", f"s3://{bucket}/weights")
    assert "1 files of an earlier upload stay" in caplog.text
    assert "lifecycle rule" in caplog.text
    names = {path.name for path in fetch(uri, tmp_path / "cache", require_manifest=True).iterdir()}
    assert names == {"weights", "renamed.json"}


def test_what_is_not_needed_any_more_stays_if_it_cannot_be_deleted(
    bucket: str, relay: Relay, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    upload(model, f"s3://{bucket}/model")
    deny(relay, "s3:DeleteObject")
    with caplog.at_level(logging.WARNING):
        discard(f"s3://{bucket}/model")
    assert f"s3://{bucket}/model stays: " in caplog.text and "s3:DeleteObject" in caplog.text
    assert exists(f"s3://{bucket}/model")
    with pytest.raises(UserError, match=r"access is denied.*s3:DeleteObject"):
        delete(f"s3://{bucket}/model")
    delete(f"s3://{bucket}/nothing")


def test_parts_of_a_killed_upload_are_sent_again_if_they_cannot_be_listed(
    bucket: str, relay: Relay, model: Path, client: Minio
) -> None:
    uri = f"s3://{bucket}/model"
    client._create_multipart_upload(bucket, "model/weights", {})
    deny(relay, "s3:ListMultipartUploadParts")
    upload(model, uri)
    assert exists(uri)


def test_reading_what_components_uploaded_needs_no_list(bucket: str, relay: Relay, model: Path, tmp_path: Path) -> None:
    upload(model, f"s3://{bucket}/model")
    upload(model / "summary.json", f"s3://{bucket}/summary.json")
    deny(relay, "s3:ListBucket", "s3:PutObject", "s3:DeleteObject", "s3:GetBucketLocation")
    assert {path.name for path in fetch(f"s3://{bucket}/model", tmp_path / "cache").iterdir()} == {
        "weights",
        "summary.json",
    }
    assert read_text(f"s3://{bucket}/model", "summary.json") == "{}"
    assert exists(f"s3://{bucket}/model") and exists(f"s3://{bucket}/summary.json")
    for name in ("summary.json", "reviews/train.csv"):
        assert fetch(f"s3://{bucket}/{name}", tmp_path / "cache").is_file()


@pytest.mark.parametrize(
    ("right", "operation"),
    [
        ("s3:ListBucket", lambda uri, model: upload(model, f"{uri}/new")),
        ("s3:PutObject", lambda uri, model: upload(model, f"{uri}/new")),
        ("s3:PutObject", lambda uri, model: upload(model / "weights", f"{uri}/new")),
        ("s3:ListBucket", lambda uri, model: fetch(f"{uri}/reviews", model)),
        ("s3:GetObject", lambda uri, model: fetch(f"{uri}/reviews/train.csv", model)),
        ("s3:GetObject", lambda uri, model: exists(f"{uri}/reviews/train.csv")),
        ("s3:ListBucket", lambda uri, model: exists(f"{uri}/nothing")),
    ],
)
def test_a_missing_right_is_named(
    bucket: str, relay: Relay, model: Path, right: str, operation: Callable[[str, Path], object]
) -> None:
    deny(relay, right)
    with pytest.raises(UserError, match=f"access is denied.*{right}") as caught:
        operation(f"s3://{bucket}", model)
    assert len(str(caught.value)) < 300
    assert sum(len(request.body) for request in relay.requests) < 2**20
