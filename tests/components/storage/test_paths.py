"""Uploads to a disk behave like uploads to a store."""

from pathlib import Path

import pytest

from compaware.components.core.base.errors import UserError
from compaware.components.storage import delete, exists, fetch, local_source, read_text, upload


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "nested").mkdir(parents=True)
    (folder / "weights").write_bytes(b"0123456789")
    (folder / "nested" / "summary.json").write_text("{}")
    return folder


def test_a_path_or_file_uri_is_fetched_without_a_copy(tmp_path: Path) -> None:
    file = tmp_path / "with space.csv"
    file.write_text("x")
    assert fetch(str(file), tmp_path / "cache") == file
    assert fetch(file.as_uri(), tmp_path / "cache") == file
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("uri", ["/no/such/file.csv", "file:///no/such/file.csv"])
def test_a_missing_file_is_named(uri: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=uri):
        fetch(uri, tmp_path)


def test_a_hub_id_is_not_changed(tmp_path: Path) -> None:
    assert local_source("owner/model", tmp_path) == "owner/model"


@pytest.mark.parametrize("as_uri", [False, True])
def test_an_uploaded_folder_is_complete_and_replaced_as_a_whole(model: Path, tmp_path: Path, as_uri: bool) -> None:
    target = tmp_path / "there" / "copy"
    uri = target.as_uri() if as_uri else str(target)
    upload(model, uri)
    (model / "weights").write_bytes(b"new")
    (model / "nested" / "summary.json").rename(model / "summary.json")
    upload(model, uri)
    assert exists(uri) and read_text(uri, "summary.json") == "{}"
    folder = fetch(uri, tmp_path / "cache", require_manifest=True)
    assert (folder / "weights").read_bytes() == b"new" and not (folder / "nested" / "summary.json").exists()
    assert [path.name for path in target.parent.iterdir()] == ["copy"]


def test_a_folder_without_its_manifest_is_incomplete(model: Path, tmp_path: Path) -> None:
    assert not exists(str(model))
    assert fetch(str(model), tmp_path) == model
    for use in (lambda: fetch(str(model), tmp_path, require_manifest=True), lambda: read_text(str(model), "weights")):
        with pytest.raises(UserError, match="not complete"):
            use()


@pytest.mark.parametrize(
    ("content", "expected"), [(b"012345678", "truncated"), (b"0123456780", "corrupt"), (None, "lacks weights")]
)
def test_a_damaged_file_is_named(model: Path, tmp_path: Path, content: bytes | None, expected: str) -> None:
    uri = str(tmp_path / "copy")
    upload(model, uri)
    if content is None:
        (tmp_path / "copy" / "weights").unlink()
    else:
        (tmp_path / "copy" / "weights").write_bytes(content)
    with pytest.raises(UserError, match=expected):
        fetch(uri, tmp_path / "cache", require_manifest=True)
    with pytest.raises(UserError, match="weights"):
        read_text(uri, "weights")


def test_a_manifest_with_a_path_outside_its_folder_is_refused(model: Path, tmp_path: Path) -> None:
    upload(model, str(tmp_path / "copy"))
    manifest = tmp_path / "copy" / ".compaware-manifest.json"
    manifest.write_text(manifest.read_text().replace('"weights"', '"../model/weights"'))
    with pytest.raises(UserError, match="not a file below it"):
        fetch(str(tmp_path / "copy"), tmp_path / "cache", require_manifest=True)


def test_nothing_to_upload_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, expected in (("empty", "has no files"), ("missing", "no such file")):
        with pytest.raises(UserError, match=expected):
            upload(tmp_path / name, str(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


def test_deleting_twice_is_no_error(model: Path, tmp_path: Path) -> None:
    upload(model, str(tmp_path / "copy"))
    for name in ("copy", "copy", "model/weights"):
        delete(str(tmp_path / name))
    assert not (tmp_path / "copy").exists() and not (model / "weights").exists()
