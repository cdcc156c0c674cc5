"""Publishing to an object store: versions are complete, and changed content of a URI is noticed."""

from io import BytesIO
from pathlib import Path

import yaml
from minio import Minio

from compaware.components.publish.history_files import Published
from compaware.components.storage import exists, fetch, fingerprint, join, read_document, replace_document
from tests.components.publish.conftest import Folders, Publish, folders, publish_model  # noqa: F401
from tests.components.publish.test_publish import answers


def test_versions_in_a_bucket_are_complete_and_usable(
    bucket: str,
    client: Minio,
    folders: Folders,  # noqa: F811
    publish_model: Publish,  # noqa: F811
    tmp_path: Path,
) -> None:
    prefix = f"minio://{bucket}/models/reviews"
    publish_model(folders.int8, prefix)
    latest = Published.read(prefix).latest
    assert latest is not None
    version = fetch(join(prefix, latest.version), tmp_path / "cache", require_manifest=True)
    assert [label for label, *_ in answers(version, "a good film", "a bad film")] == ["positive", "negative"]
    service = yaml.safe_load((version / "inference-service.yaml").read_text(encoding="utf-8"))
    uri = service["spec"]["predictor"]["model"]["storageUri"]
    assert uri == f"s3://{bucket}/models/reviews/{latest.version}/serving"
    assert publish_model(folders.bad, prefix).metrics["published"] == 0.0
    assert [item.published for item in Published.read(prefix).history] == [True, False]
    assert Published.read(prefix).latest == latest
    # A partial version of a killed upload does not count.
    client.remove_object(bucket, f"models/reviews/{latest.version}/.compaware-manifest.json")
    assert not exists(join(prefix, latest.version))


def test_other_content_at_a_uri_has_another_fingerprint(bucket: str, client: Minio) -> None:
    fingerprints = []
    for text in (b"one", b"one", b"two"):
        client.put_object(bucket, "data/train.csv", BytesIO(text), len(text))
        fingerprints.append((fingerprint(f"s3://{bucket}/data"), fingerprint(f"s3://{bucket}/data/train.csv")))
    assert fingerprints[0] == fingerprints[1]
    assert fingerprints[0][0] != fingerprints[2][0] and fingerprints[0][1] != fingerprints[2][1]


def test_a_file_that_another_run_has_replaced_is_not_replaced(bucket: str, client: Minio) -> None:
    uri = f"s3://{bucket}/models/latest.json"
    absent = read_document(uri)
    assert absent.content is None and replace_document(uri, "one", absent)
    assert not replace_document(uri, "two", absent)
    one = read_document(uri)
    assert replace_document(uri, "two", one) and not replace_document(uri, "three", one)
    assert client.get_object(bucket, "models/latest.json").data == b"two"
    # The first answer was lost: the same request again finds its own content.
    assert replace_document(uri, "two", one)
