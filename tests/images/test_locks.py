"""The locks that images are built from."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
_PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)


def entries(file: Path) -> list[str]:
    """The entries of a lock file, each with the lines of its hashes."""
    text = re.sub(r"(?m)^#.*\n", "", file.read_text(encoding="utf-8"))
    return re.split(r"\n(?=\S)", text.strip())


def versions(file: Path) -> dict[str, str]:
    """Versions by name."""
    return dict(_PIN.findall(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: file.stem)
def test_every_entry_has_one_version_and_hashes(lock: Path):
    for entry in entries(lock):
        assert re.fullmatch(r"[a-z0-9.-]+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry.splitlines()[0]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: file.stem)
def test_an_image_holds_the_versions_that_the_tests_run_with(lock: Path):
    whole = versions(ROOT / "requirements.lock")
    locked = versions(lock)
    assert {name: version for name, version in locked.items() if whole.get(name, version) != version} == {}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: file.stem)
def test_torch_is_left_to_the_recipe_and_cuda_to_nobody(lock: Path):
    names = versions(lock)
    assert "torch" not in names
    assert not [name for name in names if name.startswith(("nvidia-", "cuda-", "triton"))]


@pytest.mark.parametrize("name", ["launch", "data"])
def test_images_without_torch_have_nothing_that_needs_it(name: str):
    names = versions(ROOT / "requirements" / f"{name}.lock")
    assert not names.keys() & {"accelerate", "torchao", "neural-compressor"}
