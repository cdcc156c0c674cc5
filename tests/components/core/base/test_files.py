"""Artifacts have the permissions of the umask, whichever library wrote their files."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from compaware.components.core.base.files import move_replacing
from compaware.components.storage import upload


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def artifact(tmp_path: Path, umask: int) -> Path:
    """A folder as libraries write it: a private file, one with wider permissions, and a private folder."""
    folder = tmp_path / "artifact"
    (folder / "nested").mkdir(parents=True, mode=0o700)
    save_file({"weight": torch.zeros(1)}, folder / "model.safetensors")
    (folder / "nested/config.json").write_text("{}")
    (folder / "nested/config.json").chmod(0o664)
    return folder


def permissions(folder: Path) -> set[tuple[bool, int]]:
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in [folder, *folder.rglob("*")]}


def test_an_artifact_has_the_permissions_of_the_umask(tmp_path: Path, umask: int, artifact: Path) -> None:
    move_replacing(artifact, tmp_path / "model")
    assert permissions(tmp_path / "model") == {(False, 0o666 & ~umask), (True, 0o777 & ~umask)}


def test_an_upload_to_a_file_uri_has_the_permissions_of_the_umask(tmp_path: Path, umask: int, artifact: Path) -> None:
    upload(artifact, f"file://{tmp_path}/store/model")
    upload(artifact / "model.safetensors", f"file://{tmp_path}/store/weights")
    assert permissions(tmp_path / "store") == {(False, 0o666 & ~umask), (True, 0o777 & ~umask)}


def test_the_setgid_bit_of_a_folder_is_kept(tmp_path: Path, artifact: Path) -> None:
    artifact.chmod(0o2770)
    move_replacing(artifact, tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode & stat.S_ISGID
