"""What storage promises: a URI becomes a local path, or one line says why not."""

from pathlib import Path

import pytest

from compaware.components.core.errors import UserError
from compaware.components.storage import fetch, local_source


def test_a_plain_path_and_a_file_uri_are_the_file_itself(tmp_path: Path) -> None:
    file = tmp_path / "with space.csv"
    file.write_text("x")
    assert fetch(str(file), tmp_path / "cache") == file
    assert fetch(file.as_uri(), tmp_path / "cache") == file
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/no/such/file.csv", "/no/such/file.csv"),
        ("file:///no/such/file.csv", "no file or folder"),
        ("file://folder/file.csv", "three slashes"),
        ("gs://bucket/key", "s3://"),
        ("s3://bucket", "BUCKET/KEY"),
    ],
)
def test_what_cannot_be_read_is_named(uri: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=expected):
        fetch(uri, tmp_path)


def test_a_hub_id_is_left_as_it_is(tmp_path: Path) -> None:
    assert local_source("owner/model", tmp_path) == "owner/model"


def test_one_object(bucket: str, tmp_path: Path) -> None:
    assert fetch(f"s3://{bucket}/reviews/train.csv", tmp_path).read_text() == "reviews/train.csv"
    assert fetch(f"minio://{bucket}/odd ü #1?.csv", tmp_path).read_text() == "odd ü #1?.csv"


def test_a_folder_of_objects_is_renewed_as_a_whole(bucket: str, tmp_path: Path) -> None:
    for _ in range(2):
        folder = fetch(f"s3://{bucket}/reviews/", tmp_path)
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert found == {"train.csv", "shards/validation.csv"}
        (folder / "left over").write_text("from an earlier download")
    assert [path.name for path in tmp_path.iterdir()] == [bucket]


def test_missing_bucket_and_key_are_named(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no object of that key"):
        fetch(f"s3://{bucket}/review", tmp_path)
    with pytest.raises(UserError, match="no such bucket"):
        fetch(f"s3://{bucket}-gone/reviews", tmp_path)


def test_an_endpoint_must_be_set(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S3_ENDPOINT")
    with pytest.raises(UserError, match="set S3_ENDPOINT"):
        fetch(f"s3://{bucket}/reviews", tmp_path)


def test_an_endpoint_that_does_not_answer_is_named(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9 does not answer"):
        fetch(f"s3://{bucket}/reviews", tmp_path)


def test_half_of_a_key_pair_is_refused(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match="AWS_SECRET_ACCESS_KEY"):
        fetch(f"s3://{bucket}/reviews", tmp_path)
