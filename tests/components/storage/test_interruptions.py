"""Downloads that are cut off, answers of other kinds to them, and what uploads that were killed leave."""

import gzip
import logging
import random
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from minio import Minio

from compaware.components.core.base.errors import UserError
from compaware.components.storage import delete, exists, fetch, upload
from tests.components.storage.relay import (
    Answer,
    Forward,
    Relay,
    Request,
    always,
    completes,
    lists,
    once,
    without_header,
)

MIB = 2**20


def test_a_download_that_is_cut_off_goes_on_where_it_ended(
    bucket: str, relay: Relay, client: Minio, tmp_path: Path
) -> None:
    content = random.Random(1).randbytes(3 * MIB)
    client.put_object(bucket, "file", BytesIO(content), len(content))

    def cut(request: Request, forward: Forward) -> Answer:
        return replace(forward(request), sent_bytes=MIB if "range" in request.headers else None)

    relay.rule = cut
    assert fetch(f"s3://{bucket}/file", tmp_path).read_bytes() == content


def test_a_file_with_an_encoding_is_stored_as_it_is(bucket: str, client: Minio, tmp_path: Path) -> None:
    content = gzip.compress(b"a,b\n1,2\n")
    client.put_object(bucket, "train.csv.gz", BytesIO(content), len(content), metadata={"Content-Encoding": "gzip"})
    assert fetch(f"s3://{bucket}/train.csv.gz", tmp_path).read_bytes() == content


def test_small_files_that_are_cut_off_are_read_again(bucket: str, relay: Relay, large: Path) -> None:
    upload(large, f"s3://{bucket}/model")
    whole = relay.forward(relay.requests[-1])
    cut = [1]

    def cut_first(request: Request, forward: Forward) -> Answer:
        is_manifest = request.method == "GET" and request.target.endswith("manifest.json")
        return replace(forward(request), sent_bytes=20 if is_manifest and cut and cut.pop() else None)

    relay.rule = cut_first
    assert whole.status == 200 and exists(f"s3://{bucket}/model") and not cut


def test_a_store_without_ranges_is_named(bucket: str, relay: Relay, large: Path, tmp_path: Path) -> None:
    upload(large, f"s3://{bucket}/model")
    relay.rule = lambda request, forward: forward(without_header(request, "range"))
    with pytest.raises(UserError, match="must answer range requests"):
        fetch(f"s3://{bucket}/model", tmp_path / "cache")


def test_a_store_without_if_match_can_be_read(bucket: str, relay: Relay, tmp_path: Path) -> None:
    relay.rule = always(lambda request: "if-match" in request.headers, Answer.error(501, "NotImplemented"))
    assert fetch(f"s3://{bucket}/reviews/train.csv", tmp_path).read_text() == "reviews/train.csv"


@pytest.mark.parametrize("ignores_if_match", [False, True])
def test_an_object_that_is_replaced_during_its_download_is_named(
    bucket: str, relay: Relay, client: Minio, large: Path, tmp_path: Path, ignores_if_match: bool
) -> None:
    upload(large / "weights", f"s3://{bucket}/file")
    ranges = []

    def replaced(request: Request, forward: Forward) -> Answer:
        if "range" in request.headers and not ranges:
            ranges.append(request)
            client.put_object(bucket, "file", BytesIO(bytes(9 * MIB)), 9 * MIB)
        return forward(without_header(request, "if-match") if ignores_if_match else request)

    relay.rule = replaced
    with pytest.raises(UserError, match=r"was replaced .*: run again"):
        fetch(f"s3://{bucket}/file", tmp_path / "cache")


def test_a_page_of_another_server_is_not_taken_for_an_answer(bucket: str, relay: Relay, tmp_path: Path) -> None:
    page = Answer(200, b"<html><body>Log in</body></html>", {"content-type": "application/xml"})
    relay.rule = always(lists, page)
    with pytest.raises(UserError, match="does not answer as an object store") as caught:
        fetch(f"s3://{bucket}/reviews", tmp_path)
    assert "\n" not in str(caught.value)


def test_parts_of_a_killed_upload_are_removed_by_the_next(
    bucket: str, relay: Relay, large: Path, client: Minio
) -> None:
    begun = {name: client._create_multipart_upload(bucket, f"model/{name}", {}) for name in ("weights", "gone", "a/b")}
    client._create_multipart_upload(bucket, "model-2/weights", {})
    client._create_multipart_upload(bucket, "file.old", {})
    client._create_multipart_upload(bucket, "file", {})
    for name, upload_id in begun.items():
        client._upload_part(bucket, f"model/{name}", b"1", None, upload_id, 1)
    upload(large, f"s3://{bucket}/model")
    upload(large / "weights", f"s3://{bucket}/file")
    left = {item.object_name for item in client._list_multipart_uploads(bucket).uploads}
    assert left == {"model-2/weights", "file.old"}
    delete(f"s3://{bucket}/model-2")
    assert [item.object_name for item in client._list_multipart_uploads(bucket).uploads] == ["file.old"]


def test_a_half_folder_is_no_plain_folder(bucket: str, relay: Relay, large: Path, tmp_path: Path) -> None:
    relay.rule = always(completes, Answer.error(403, "QuotaExceeded"))
    (large / "small").write_bytes(b"1")
    with pytest.raises(UserError, match="quota"):
        upload(large, f"s3://{bucket}/half")
    with pytest.raises(UserError, match="is not complete"):
        fetch(f"s3://{bucket}/half", tmp_path / "cache")


def test_retries_are_logged_with_their_reason(
    bucket: str, relay: Relay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    relay.rule = once(lists, Answer.error(503, "SlowDown"))
    with caplog.at_level(logging.WARNING):
        fetch(f"s3://{bucket}/reviews", tmp_path)
    assert "SlowDown; retrying in 0.5 s" in caplog.text
