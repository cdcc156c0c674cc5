"""Checks the lock files from which images are built."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHOLE = ROOT / "requirements.lock"
LOCKS = [WHOLE, *sorted((ROOT / "requirements").glob("*.lock"))]
# The cp311 build for Linux on x86-64 of PyTorch's CPU index, by torch's version.
CPU_BUILDS = {
    "2.13.0": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
    "2.8.0": "cb06175284673a581dd91fb1965662ae4ecaba6e5c357aa0ea7bb8b84b6b7eeb",
}
_PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)


def entries(file: Path) -> list[str]:
    """Returns the entries of a lock file, each with the lines of its hashes."""
    text = re.sub(r"(?m)^#.*\n", "", file.read_text(encoding="utf-8"))
    return re.split(r"\n(?=\S)", text.strip())


def versions(file: Path) -> dict[str, str]:
    """Returns the locked versions by package name."""
    return dict(_PIN.findall(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: file.stem)
def test_every_entry_has_one_version_and_hashes(lock: Path):
    for entry in entries(lock):
        assert re.fullmatch(r"[a-z0-9.-]+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+", entry), entry.splitlines()[0]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: file.stem)
def test_images_and_tests_use_the_same_versions(lock: Path):
    whole = versions(WHOLE)
    locked = versions(lock)
    if lock.stem == "ipex":
        assert locked.pop("torch") == "2.8.0"
    assert {name: version for name, version in locked.items() if whole.get(name, version) != version} == {}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda file: file.stem)
def test_torch_has_the_hashes_of_its_cpu_builds_and_cuda_is_in_no_lock(lock: Path):
    names = versions(lock)
    for entry in entries(lock):
        if entry.startswith("torch=="):
            assert CPU_BUILDS[names["torch"]] in entry
    assert not [name for name in names if name.startswith(("nvidia-", "cuda-", "triton"))]


@pytest.mark.parametrize("name", ["launch", "data"])
def test_images_without_torch_have_no_package_that_needs_it(name: str):
    names = versions(ROOT / "requirements" / f"{name}.lock")
    assert not names.keys() & {"torch", "accelerate", "torchao", "neural-compressor"}
