"""Answers that only some stores give: errors after status 200, redirects, other ETags, pages, and short bodies.

The relay gives these answers in place of the store behind it.
"""

import hashlib
import random
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from minio import Minio

from compaware.components.core.base.errors import UnavailableError, UserError
from compaware.components.storage import copy, delete, exists, fetch, upload
from compaware.components.storage.store import Store
from compaware.components.storage.uri import Location, parse
from tests.components.storage.relay import Answer, Forward, Relay, Request, always, completes, deletes, lists, once

MIB = 2**20


def store_of(uri: str) -> Store:
    location = parse(uri)
    assert isinstance(location, Location)
    return Store(location, "read")


# Errors after status 200


@pytest.mark.parametrize("code", ["InternalError", "SlowDown", "ServiceUnavailable"])
def test_an_error_after_status_200_is_retried(bucket: str, relay: Relay, large: Path, code: str) -> None:
    relay.rule = once(completes, Answer.error(200, code))
    upload(large / "weights", f"s3://{bucket}/weights")
    assert exists(f"s3://{bucket}/weights")


def test_an_error_that_stays_after_status_200_is_not_a_success(bucket: str, relay: Relay, large: Path) -> None:
    for code, expected in (("InternalError", UnavailableError), ("EntityTooSmall", UserError)):
        relay.rule = always(completes, Answer.error(200, code))
        for source in (large, large / "weights"):
            uri = f"s3://{bucket}/{code}/{source.name}"
            with pytest.raises(expected, match=code):
                upload(source, uri)
            assert not exists(uri)


def test_an_error_after_status_200_of_a_copy_is_retried(bucket: str, relay: Relay, large: Path) -> None:
    (large / "weights").write_bytes(b"1")
    upload(large, f"s3://{bucket}/model")
    relay.rule = once(lambda request: "x-amz-copy-source" in request.headers, Answer.error(200, "InternalError"))
    copy(f"s3://{bucket}/model", f"s3://{bucket}/copy")
    assert exists(f"s3://{bucket}/copy")


def test_a_deletion_is_retried_if_the_store_could_not_delete_one_of_the_objects(bucket: str, relay: Relay) -> None:
    failed = b"<DeleteResult><Error><Key>reviews/train.csv</Key><Code>InternalError</Code></Error></DeleteResult>"
    for answer in (Answer(200, failed, {"content-type": "application/xml"}), Answer.error(200, "InternalError")):
        relay.rule = once(deletes, answer)
        delete(f"s3://{bucket}/reviews")
    assert store_of(f"s3://{bucket}/reviews").list_below() == {}


# Redirects


def signed_for(request: Request) -> str:
    """Returns the region in a request's signature."""
    match = re.search(r"Credential=[^/]+/\d+/([^/]+)/s3", request.headers.get("authorization", ""))
    return match[1] if match else ""


@pytest.mark.parametrize(
    "redirect",
    [
        Answer.error(301, "PermanentRedirect", x_amz_bucket_region="eu-central-1"),
        Answer.error(307, "TemporaryRedirect", x_amz_bucket_region="eu-central-1"),
        Answer.error(400, "AuthorizationHeaderMalformed", "<Region>eu-central-1</Region>"),
    ],
    ids=["301", "307", "400"],
)
def test_a_request_is_sent_again_to_the_region_that_the_store_names(
    bucket: str, relay: Relay, large: Path, tmp_path: Path, redirect: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.rule = always(lambda request: signed_for(request) != "eu-central-1", redirect)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    upload(large, f"s3://{bucket}/model")
    fetched = fetch(f"s3://{bucket}/model", tmp_path / "cache", require_manifest=True)
    assert (fetched / "weights").read_bytes() == (large / "weights").read_bytes()
    # An answer to HEAD has no body.
    redirect = Answer(redirect.status, headers={"x-amz-bucket-region": "eu-central-1"})
    relay.rule = always(lambda request: signed_for(request) != "eu-central-1", redirect)
    assert store_of(f"s3://{bucket}/reviews/train.csv").stat("reviews/train.csv") is not None


def test_a_redirect_to_another_region_of_aws_changes_the_host() -> None:
    store = store_of("s3://bucket/key?endpoint=s3.us-east-1.amazonaws.com")
    store._use_region("eu-west-1")
    assert store.client.presigned_get_object("bucket", "key").startswith("https://bucket.s3.eu-west-1.amazonaws.com/")


@pytest.mark.parametrize("region", ["", "eu-central-1", "not a region"])
def test_a_redirect_that_leads_nowhere_is_named(bucket: str, relay: Relay, tmp_path: Path, region: str) -> None:
    headers = {"x_amz_bucket_region": region, "location": "http://127.0.0.1:9/elsewhere"}
    relay.rule = always(lambda request: True, Answer.error(307, "TemporaryRedirect", **headers))
    with pytest.raises(UserError, match="another address or region") as caught:
        fetch(f"s3://{bucket}/reviews", tmp_path)
    assert len(str(caught.value)) < 300 and len(relay.requests) < 5


@pytest.mark.parametrize("answer", [Answer.error(403, "AccessDenied"), Answer.error(501, "NotImplemented")])
def test_a_store_need_not_tell_the_region(bucket: str, relay: Relay, tmp_path: Path, answer: Answer) -> None:
    relay.rule = always(lambda request: "location" in request.query, answer)
    assert fetch(f"s3://{bucket}/reviews/train.csv", tmp_path).read_text() == "reviews/train.csv"


# Listings


LISTED = "a b+c%41#ü?.csv"


@pytest.mark.parametrize(
    ("encoding", "key"),
    [
        ("url", "x/a+b%2Bc%2541%23%C3%BC%3F.csv"),  # Amazon S3; SeaweedFS's entryUrlEncode
        ("url", "x%2Fa%20b%2Bc%2541%23%C3%BC%3F.csv"),  # Ceph's dump_urlsafe, MinIO's s3URLEncode
        ("", f"x/{LISTED}"),  # A store that does not know encoding-type.
    ],
)
def test_names_in_a_listing_are_decoded(bucket: str, relay: Relay, tmp_path: Path, encoding: str, key: str) -> None:
    kind = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    etag = hashlib.md5(b"1").hexdigest()
    body = (
        f"<ListBucketResult><Name>{bucket}</Name>{kind}<IsTruncated>false</IsTruncated><Contents><Key>{key}</Key>"
        f"<ETag>&quot;{etag}&quot;</ETag><Size>1</Size></Contents></ListBucketResult>"
    )
    relay.rule = always(lists, Answer(200, body.encode(), {"content-type": "application/xml"}))
    assert list(store_of(f"s3://{bucket}/x/").list_below()) == [LISTED]


def test_a_listing_has_all_its_pages(bucket: str, relay: Relay, client: Minio, tmp_path: Path) -> None:
    names = {f"{number} +%ü.csv" for number in range(7)}
    for name in names:
        client.put_object(bucket, f"many/{name}", BytesIO(b"1"), 1)

    def in_pages(request: Request, forward: Forward) -> Answer:
        short = replace(request, target=request.target.replace("max-keys=1000", "max-keys=2"))
        return forward(short if lists(request) else request)

    relay.rule = in_pages
    assert {path.name for path in fetch(f"s3://{bucket}/many", tmp_path).iterdir()} == names
    assert len([request for request in relay.requests if "continuation-token" in request.query]) == 3


def test_at_most_1000_objects_are_deleted_by_one_request(bucket: str, relay: Relay) -> None:
    relay.rule = always(deletes, Answer(200, b"<DeleteResult/>", {"content-type": "application/xml"}))
    store_of(f"s3://{bucket}/many").remove([f"many/{number}" for number in range(2001)])
    assert [request.body.count(b"<Object>") for request in relay.requests if deletes(request)] == [1000, 1000, 1]


# Encryption


class Encrypted:
    """A rule: each upload has another ETag that says nothing about the content, as with SSE-KMS."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}
        self._shown: dict[str, str] = {}

    def __call__(self, request: Request, forward: Forward) -> Answer:
        match = request.headers.get("if-match", "")
        headers = {**request.headers, "if-match": self._to_real(match)} if match else request.headers
        answer = forward(replace(request, headers=headers, body=self._to_real_body(request)))
        body = re.sub(rb"[0-9a-f]{32}(-\d+)?", self._show, answer.body) if self._is_xml(answer) else answer.body
        etag = re.sub(rb"[0-9a-f]{32}(-\d+)?", self._show, answer.headers.get("etag", "").encode()).decode()
        encryption = {"x-amz-server-side-encryption": "aws:kms"}
        return replace(answer, body=body, headers={**answer.headers, **({"etag": etag} if etag else {}), **encryption})

    def _show(self, match: re.Match[bytes]) -> bytes:
        real = match[0].decode()
        shown = self._shown.setdefault(real, f"{random.getrandbits(128):032x}{(match[1] or b'').decode()}")
        self._real[shown] = real
        return shown.encode()

    def _to_real(self, text: str) -> str:
        return re.sub(r"[0-9a-f]{32}(-\d+)?", lambda match: self._real.get(match[0], match[0]), text)

    def _to_real_body(self, request: Request) -> bytes:
        return self._to_real(request.body.decode()).encode() if completes(request) else request.body

    @staticmethod
    def _is_xml(answer: Answer) -> bool:
        return answer.body.startswith((b"<?xml", b"\n<?xml", b"<")) and b"ETag" in answer.body


def test_etags_of_encrypted_objects_are_no_checksums(bucket: str, relay: Relay, large: Path, tmp_path: Path) -> None:
    relay.rule = Encrypted()
    (large / "small").write_bytes(b"1")
    for _ in range(2):
        upload(large, f"s3://{bucket}/model")
        upload(large / "weights", f"s3://{bucket}/file")
    fetched = fetch(f"s3://{bucket}/model", tmp_path / "cache", require_manifest=True)
    assert (fetched / "weights").read_bytes() == (large / "weights").read_bytes()
    file = fetch(f"s3://{bucket}/file", tmp_path / "cache", require_manifest=True)
    assert file.read_bytes() == (large / "weights").read_bytes()


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_lost_answer_to_the_end_of_an_upload_is_no_failure(
    bucket: str, relay: Relay, large: Path, is_encrypted: bool
) -> None:
    encrypted, lost = Encrypted(), []

    def lose_first(request: Request, forward: Forward) -> Answer:
        answer = encrypted(request, forward) if is_encrypted else forward(request)
        if completes(request) and not lost:
            lost.append(answer)
            return Answer.error(500, "InternalError")
        return answer

    relay.rule = lose_first
    upload(large / "weights", f"s3://{bucket}/weights")
    assert lost and exists(f"s3://{bucket}/weights")
